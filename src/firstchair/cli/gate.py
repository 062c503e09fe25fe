"""Commands of the gate: decide on a file of evidence, audition before worlds whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer

from firstchair.cli import gate_screens
from firstchair.cli.app import AsJson, app
from firstchair.cli.output import at_work, show
from firstchair.settings import load_settings


@app.command()
def decide(
    evidence: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Parquet or CSV, a row a user and day.")],
    stage: Annotated[str, typer.Option(help="canary or probation.")] = "canary",
    share: Annotated[
        float, typer.Option(min=0.0001, max=0.9999, help="Planned share of the challenger; up to 0.2 a ramp step.")
    ] = 0.5,
    daily: Annotated[bool, typer.Option("--daily", help="One decision for each day, as if looked at daily.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the gate alone on a file of evidence; print the decision at its last day."""
    from firstchair.operations.trials import trial_rules
    from firstchair.promotion import trial

    if stage not in trial.STAGES:
        raise typer.BadParameter(f"{stage} has no live evidence; choose one of {', '.join(trial.STAGES)}.")
    with at_work("decide"):
        found = trial.decide_daily(
            trial.read_evidence(evidence), trial_rules(load_settings()), stage=stage, share=share
        )
    documents = [decision.document() for decision in found]
    if daily:
        show(documents, as_json=as_json, screen=lambda: gate_screens.daily(found))
    else:
        show(documents[-1], as_json=as_json, screen=lambda: gate_screens.decision(found[-1]))


@app.command()
def audition(
    seeds: Annotated[int, typer.Option(min=1, help="Times that each scenario is played.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Run the gate's acceptance scenarios; print the rate of each decision."""
    from firstchair.promotion.audition import audition as hold_audition

    with at_work("audition") as advance:
        report = hold_audition(seeds=seeds, progress=advance)
    show(report, as_json=as_json, screen=lambda: gate_screens.audition(report))
    raise typer.Exit(0 if report.passes else 1)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Number of a registered version.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")],
    as_json: AsJson = False,
) -> None:
    """Seat a version by hand; it is on probation like one that earned it."""
    from firstchair.operations import chair, open_platform

    with at_work("promote"):
        entry = chair.promote(open_platform(), version=version, reason=_said(reason))
    show(entry, as_json=as_json, screen=lambda: gate_screens.by_hand(entry))


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")], as_json: AsJson = False
) -> None:
    """Give the chair back to the champion before."""
    from firstchair.operations import chair, open_platform

    with at_work("rollback"):
        entry = chair.roll_back(open_platform(), reason=_said(reason))
    show(entry, as_json=as_json, screen=lambda: gate_screens.by_hand(entry))


def _said(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("A decision by hand needs a reason.")
    return reason.strip()
