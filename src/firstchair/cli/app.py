"""The commands; each is options, one call, one picture of the result."""

import atexit
import gc
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import firstchair
from firstchair.cli import screens
from firstchair.cli.output import Advance, at_work, days_at_work, show
from firstchair.definitions.checks import CheckState
from firstchair.definitions.instants import instant_of
from firstchair.errors import FirstchairError, storage_fault
from firstchair.memory import collect_seldom

app = typer.Typer(
    name="firstchair",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Artist recommendations in which no model goes live without earning it.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"firstchair {firstchair.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Options before a command."""


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
DEFAULT_START = datetime(2026, 1, 1)


def _end_at_once() -> None:
    """Keep Python from looking for garbage in all that was imported before it ends.

    DuckDB (2.0) takes what is not freed for leaks and lists it on standard error.
    """
    if "_duckdb" not in sys.modules:
        gc.freeze()


def main() -> None:
    """Run a command; a fault is two lines on standard error and exit code 1, no traceback."""
    collect_seldom()
    atexit.register(_end_at_once)
    try:
        app()
    except FirstchairError as error:
        _complain(f"{error.what} [{error.code}, {error.where}]", f"{error.data} {error.remedy}")
    except Exception as error:
        if (storage := storage_fault(error)) is not None:
            _complain(
                f"The disk cannot be written: {storage} [storage_failed]",
                "Every table is whole; what had not been written is missing. Make space, or mend "
                "the rights of the folder, then run the command again.",
            )
        from firstchair.lake import store_fault

        if (away := store_fault(error)) is not None:
            _complain(
                f"The tables cannot be read: {away} [lake_error]",
                "Every table is whole. Check lake_url and its credentials (`firstchair doctor` "
                "tries both), then run the command again.",
            )
        kind, fault, _ = sys.exc_info()
        details = _kept(traceback.format_exc())
        _complain(
            f"{kind.__name__ if kind else 'Fault'}: {fault} [a fault of firstchair itself]",
            f"Every table is whole. {details}; please report it.",
        )


def _kept(details: str) -> str:
    """Where the details of a crash were written, in words; they never hide the crash itself."""
    from firstchair.settings import load_settings

    try:
        path = load_settings().home / "logs" / "last-crash.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(details)
    except (FirstchairError, OSError) as error:
        return f"The details could not be written ({error}): {details.strip().splitlines()[-1]}"
    return f"The details are in {path}"


def _complain(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(" ".join(line.split()) + "\n")
    sys.stderr.flush()
    raise SystemExit(1)


@app.command()
def simulate(
    users: Annotated[int, typer.Option(min=1, help="Accounts.")],
    artists: Annotated[int, typer.Option(min=1, help="Artists in the catalogue.")],
    days: Annotated[int, typer.Option(min=1, help="Days of events.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")],
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")
    ] = DEFAULT_START,
    scenario: Annotated[
        str, typer.Option(help="Name of the world; `steady` has no broken records.")
    ] = "steady",
    as_json: AsJson = False,
) -> None:
    """Write both sources from a world with planted truth."""
    with at_work("simulate") as advance:
        report = _simulate(users, artists, days, seed, start.date(), scenario, advance)
    show(report, as_json=as_json, screen=lambda: screens.world(report))


def _simulate(
    users: int, artists: int, days: int, seed: int, start: date, scenario: str, advance: Advance
) -> Any:
    from firstchair import world
    from firstchair.databases import open_databases
    from firstchair.settings import load_settings

    settings = load_settings()
    return world.simulate(
        users=users,
        artists=artists,
        days=days,
        seed=seed,
        start=start,
        scenario=scenario,
        accounts=open_databases(settings).accounts,
        events_url=settings.events_url,
        truth=settings.home / "truth",
        progress=lambda done, total: advance("", done, total),
    )


@app.command()
def load(
    dataset: Annotated[
        str,
        typer.Argument(
            help="listenbrainz, spotify-history, scrobbler-log, lastfm-json, yambda, "
            "hetrec-lastfm or lastfm-1k."
        ),
    ],
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="The export or data set on disk, or a folder with the exports of several users.",
        ),
    ],
    days: Annotated[
        int,
        typer.Option(min=10, help="Days the plays are spread over, where the set has no times."),
    ] = 60,
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")
    ] = DEFAULT_START,
    time_zone: Annotated[
        str | None,
        typer.Option(help="Of times that do not say theirs, such as UTC or Europe/Berlin."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write both sources from exports that people hold, or from a public data set, on disk."""
    from firstchair import datasets
    from firstchair.databases import open_databases
    from firstchair.settings import load_settings

    settings = load_settings()
    with at_work("load") as advance:
        report = datasets.load(
            dataset,
            path,
            accounts=open_databases(settings).accounts,
            events_url=settings.events_url,
            truth=settings.home / "truth",
            seed=settings.seed,
            days=days,
            start=start.date(),
            time_zone=time_zone,
            progress=lambda done, total: advance("", done, total),
        )
    show(report, as_json=as_json, screen=lambda: screens.loaded(report))


def _reason(value: str | None) -> str | None:
    """The reason, where it is one of the contract's."""
    from firstchair.events import Reason

    if value is not None and value not in list(Reason):
        raise typer.BadParameter(f"{value} is none of {', '.join(Reason)}.")
    return value


@app.command()
def run(
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Build every day from here in full."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Default: the last complete day."),
    ] = None,
    clock_is_right: Annotated[
        bool,
        typer.Option(
            "--clock-is-right",
            help="Refuse the events after the clock: it stood ahead when they were read.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Materialise the pipeline up to the last complete day."""
    from firstchair.commands import run as runs
    from firstchair.commands.summary import summarise
    from firstchair.platform import open_platform

    platform = open_platform()
    with at_work("run") as advance:
        report = runs.run(
            platform,
            first=_day(first),
            last=_day(last),
            progress=advance,
            clock_is_right=clock_is_right,
        )
    summary = summarise(platform, report)
    show(summary, as_json=as_json, screen=lambda: screens.summary(summary))


def _day(instant: datetime | None) -> date | None:
    return None if instant is None else instant.date()


@app.command()
def demo(
    no_ui: Annotated[bool, typer.Option("--no-ui", help="End after the summary.")] = False,
    users: Annotated[int, typer.Option(min=50, help="Accounts of the simulated service.")] = 3_000,
    artists: Annotated[int, typer.Option(min=50, help="Artists of its catalogue.")] = 500,
    days: Annotated[
        int, typer.Option(min=10, help="Days of history, before there are models.")
    ] = 28,
    lived: Annotated[int, typer.Option(min=0, help="Days after it, on which lists are shown.")] = 8,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed and start give the same bytes.")
    ] = 7,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day (UTC); by default they end yesterday."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a simulated music service live with the platform day by day, and print the outcome."""
    from firstchair import world
    from firstchair.commands import demo as demos
    from firstchair.commands.summary import summarise

    first = _day(start) or datetime.now(UTC).date() - timedelta(days=days + lived)
    spec = world.WorldSpec(users, artists, days + lived, seed, first, demos.DEMO_SCENARIO)
    with days_at_work("demo") as advance:
        platform, report = demos.run_demo(
            demos.demo_settings(),
            demos.Demo(spec, days, demos.DEMO_NOISE),
            progress=advance,
        )
    summary = summarise(platform, report)
    show(summary, as_json=as_json, screen=lambda: screens.summary(summary))
    if not no_ui:
        _up(platform)


@app.command()
def up(
    no_ui: Annotated[
        bool,
        typer.Option("--no-ui", help="The API and the Dagster daemon alone, without web pages."),
    ] = False,
) -> None:
    """Start and supervise the API, the Dagster webserver and daemon and MLflow; Ctrl-C ends all."""
    from firstchair.platform import open_platform

    _up(open_platform(), no_ui=no_ui)


def _up(platform: Any, *, no_ui: bool = False) -> None:
    from firstchair.commands.up import Service
    from firstchair.commands.up import up as keep_up
    from firstchair.platform.activity import settling_sentence
    from firstchair.platform.start import settled_at

    console = Console()
    console.print("Starting; the pages answer in about 20 seconds. Ctrl-C ends all.")
    began = time.monotonic()

    def answers(service: Service) -> None:
        console.print(f"{service.name} answers after {time.monotonic() - began:.0f} s.")

    def started(services: Sequence[Service]) -> None:
        console.print(screens.addresses(services))
        if (until := settled_at(platform)) is not None:
            console.print(settling_sentence(until))
        console.file.flush()

    def tell(text: str) -> None:
        Console(stderr=True).print(text)

    keep_up(platform, answers=answers, started=started, tell=tell, no_ui=no_ui)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Champion, challenger, since when and why; freshness; open alerts."""
    from firstchair.commands import status as states
    from firstchair.platform import open_platform

    with at_work("status"):
        found = states.status(open_platform())
    show(found, as_json=as_json, screen=lambda: screens.status(found))


@app.command()
def recommend(
    user_id: Annotated[str, typer.Argument(help="Key of the account table.")],
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="Length of the list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """The list that the API would answer a login of a user with now; nothing counts as shown."""
    from firstchair.login.preview import preview
    from firstchair.settings import load_settings

    with at_work("recommend"):
        listed = preview(load_settings(), user_id=user_id, k=k)
    show(listed, as_json=as_json, screen=lambda: screens.listener(listed))


@app.command()
def decisions(
    at: Annotated[str | None, typer.Option(help="RFC 3339 instant: who was champion then.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check the hash chain.")] = False,
    before: Annotated[
        int | None, typer.Option(min=1, help="Only entries before the one of this number.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The ledger, the newest 1,000 entries; who was champion at a time; hash chain check."""
    from firstchair.platform import open_platform
    from firstchair.platform.activity import waiting_candidates, waiting_sentence
    from firstchair.promotion import entry_document

    with at_work("decisions"):
        platform = open_platform()
        ledger = platform.ledger
        if verify:
            checked = ledger.verify()
        elif at is not None:
            champion = ledger.champion_at(_instant(at))
        else:
            entries = ledger.entries(before=before)
            waiting = waiting_sentence(waiting_candidates(platform), ledger.last())
    if verify:
        show(checked, as_json=as_json, screen=lambda: screens.verification(checked))
        raise typer.Exit(0 if checked.ok else 1)
    if at is not None:
        show(
            {"at": at, "entry": champion},
            as_json=as_json,
            screen=lambda: screens.champion_at(at, champion),
        )
    else:
        documents = [entry_document(entry) for entry in entries]
        show(documents, as_json=as_json, screen=lambda: screens.decisions(entries, waiting))
        if entries and (oldest := entries[-1].sequence) > 1:
            text = f"Earlier entries: `firstchair decisions --before {oldest}`."
            typer.echo(text, err=True)


def _instant(text: str) -> datetime:
    try:
        return instant_of(text, zone=None)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


@app.command("replay-quarantine")
def replay_quarantine(
    reason: Annotated[
        str | None, typer.Option(help="Only records refused for this reason.", callback=_reason)
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only records of this day (UTC)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try quarantined records again after a fix in code, catalogue or accounts."""
    from firstchair.commands import quarantine
    from firstchair.platform import open_platform

    with at_work("replay-quarantine") as advance:
        report = quarantine.replay_quarantine(
            open_platform(), reason=reason, day=_day(day), progress=advance
        )
    show(report, as_json=as_json, screen=lambda: screens.replayed(report))


@app.command("rotate-key")
def rotate_key(as_json: AsJson = False) -> None:
    """New pseudonym key: all tables, lists and signals are migrated; resumable."""
    from firstchair.commands import rotation
    from firstchair.platform import open_platform

    with at_work("rotate-key") as advance:
        report = rotation.rotate_key(open_platform(rotating=True), progress=advance)
    show(report, as_json=as_json, screen=lambda: screens.rotated(report))


@app.command()
def init(
    events: Annotated[
        str | None, typer.Option(help="Where event objects are: any fsspec URL or a path.")
    ] = None,
    accounts: Annotated[
        str | None,
        typer.Option(help="Postgres with accounts and catalogue; empty for an embedded one."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A ready mapping: segment, rudderstack or snowplow.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over firstchair.toml.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented firstchair.toml for your own sources, with a mapping made from samples."""
    from firstchair.commands.init import init as initialise

    is_asked = sys.stdin.isatty() and not as_json
    if events is None:
        if not is_asked:
            raise typer.BadParameter("Name where event objects are: --events PATH_OR_URL.")
        events = typer.prompt("Where are the event objects (a path or URL)?")
    if accounts is None:
        question = "Where are accounts and catalogue (postgresql://..., empty: embedded)?"
        accounts = typer.prompt(question, default="", show_default=False) if is_asked else ""
    with at_work("init"):
        report = initialise(
            Path.cwd(),
            events_url=events,
            accounts_url=accounts,
            preset=preset,
            force=force,
            now=datetime.now(UTC),
        )
    show(report, as_json=as_json, screen=lambda: screens.initialised(report))


@app.command()
def check(as_json: AsJson = False) -> None:
    """Read samples of the sources; say what is accepted or refused, and why; write nothing."""
    from firstchair.commands.check import check as checking
    from firstchair.settings import load_settings

    with at_work("check"):
        report = checking(load_settings(), now=datetime.now(UTC))
    show(report, as_json=as_json, screen=lambda: screens.checked(report))
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the environment; say what to do."""
    from firstchair.commands.doctor import examine
    from firstchair.settings import load_settings

    with at_work("doctor"):
        findings = examine(load_settings())
    show(findings, as_json=as_json, screen=lambda: screens.doctor(findings))
    raise typer.Exit(1 if any(finding.state is CheckState.FAILS for finding in findings) else 0)
