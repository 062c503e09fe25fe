"""Commands of the gate: decide on a file of evidence, audition on worlds of known truth."""

from pathlib import Path
from typing import Annotated

import typer

from firstchair.cli import gate_screens
from firstchair.cli.app import AsJson, app
from firstchair.cli.output import at_work, show


@app.command()
def decide(
    evidence: Annotated[
        Path,
        typer.Option(
            exists=True, help="Parquet, CSV, or a folder of Parquet parts; a row a user and day."
        ),
    ],
    stage: Annotated[str, typer.Option(help="canary or probation.")] = "canary",
    share: Annotated[
        float,
        typer.Option(
            min=0.0001, max=0.9999, help="Planned share of the challenger; up to 0.2 a ramp step."
        ),
    ] = 0.5,
    daily: Annotated[
        bool, typer.Option("--daily", help="One decision for each day, as if looked at daily.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the gate alone on a file of evidence; print the decision at its last day."""
    from firstchair.promotion import GateRules, experiment
    from firstchair.settings import load_settings

    if stage not in experiment.STAGES:
        raise typer.BadParameter(
            f"{stage} has no live evidence; choose one of {', '.join(experiment.STAGES)}."
        )
    with at_work("decide"):
        rules = GateRules.of(load_settings()).live
        rows = experiment.read_evidence(evidence, most_days=rules.most_evidence_days)
        found = experiment.decide_daily(rows, rules, stage=stage, share=share)
    documents = [decision.document() for decision in found]
    if daily:
        show(documents, as_json=as_json, screen=lambda: gate_screens.daily(found))
    else:
        show(documents[-1], as_json=as_json, screen=lambda: gate_screens.decision(found[-1], rules))


@app.command()
def audition(
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Times that each scenario is played in each world."),
    ] = 60,
    worlds: Annotated[
        str | None,
        typer.Option(help="Names of simulated worlds, with commas; default all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the gate's acceptance scenarios; print the rate of each decision."""
    from firstchair.promotion.audition import WORLDS
    from firstchair.promotion.audition import audition as hold_audition

    names = list(dict.fromkeys((worlds or ",".join(WORLDS)).split(",")))
    unknown = [name for name in names if name not in WORLDS]
    if unknown:
        known = ", ".join(WORLDS)
        raise typer.BadParameter(f"No world is called {', '.join(unknown)}; choose from {known}.")
    with at_work("audition") as advance:
        report = hold_audition(seeds=seeds, worlds=names, progress=advance)
    show(report, as_json=as_json, screen=lambda: gate_screens.audition(report))
    raise typer.Exit(0 if report.passes else 1)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Number of a registered version.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")],
    as_json: AsJson = False,
) -> None:
    """Promote a version by hand; it is put on probation like one that the gate promoted."""
    from firstchair.commands import manual
    from firstchair.platform import open_platform

    with at_work("promote"):
        entry = manual.promote(
            open_platform(), version=version, reason=_said(reason), notify=_notify
        )
    show(entry, as_json=as_json, screen=lambda: gate_screens.by_hand(entry))


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")],
    as_json: AsJson = False,
) -> None:
    """Remove the champion; the last version before it that had passed serves again."""
    from firstchair.commands import manual
    from firstchair.platform import open_platform

    with at_work("rollback"):
        entry = manual.roll_back(open_platform(), reason=_said(reason), notify=_notify)
    show(entry, as_json=as_json, screen=lambda: gate_screens.by_hand(entry))


@app.command()
def replay(
    decision: Annotated[str | None, typer.Argument(help="Id of a decision in the ledger.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every decision of the ledger.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute a decision from the table versions it names; exit 1 where the result differs."""
    from firstchair.platform import open_platform
    from firstchair.promotion import replay as recompute
    from firstchair.promotion import replay_all

    if (decision is None) is not every:
        raise typer.BadParameter("Name a decision, or give --all.")
    with at_work("replay"):
        p = open_platform()
        if decision is None:
            report = replay_all(p.lake, p.registry, p.ledger)
            results, differs = report.results, report.different > 0
        else:
            found = recompute(p.lake, p.registry, p.ledger, decision)
            results, differs = (found,), found.outcome == "different"
    show(
        report if decision is None else found,
        as_json=as_json,
        screen=lambda: gate_screens.replayed(results),
    )
    raise typer.Exit(1 if differs else 0)


def _notify(text: str) -> None:
    typer.echo(text, err=True)


def _said(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("A decision by hand needs a reason.")
    return reason.strip()
