"""`firstchair doctor`: check whether a run has everything it needs, and what to do if not."""

import importlib.metadata
import shutil
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from urllib.request import urlopen

from firstchair import events
from firstchair.databases import open_databases
from firstchair.definitions.checks import CheckState
from firstchair.errors import FirstchairError
from firstchair.lake import Lake, java_version, require_spark, try_lake
from firstchair.lake import tables as t
from firstchair.memory import available_memory, engine_limit
from firstchair.platform.alert_guides import guide_of
from firstchair.promotion import open_registry_and_ledger
from firstchair.settings import Settings
from firstchair.sources import EventStore

NEEDED = (
    "dagster",
    "mlflow",
    "evidently",
    "great-expectations",
    "implicit",
    "xgboost",
    "pandas",
    "sqlalchemy",
)
PASSES, FAILS, UNKNOWN = CheckState.PASSES, CheckState.FAILS, CheckState.NOT_ENOUGH_DATA
FREE_GIB = 2
# How many records are checked before the first ingestion.
SAMPLED_OBJECTS, SAMPLED_RECORDS = 5, 100
# Paths at which our own services answer: the API, Dagster, MLflow.
OUR_ANSWERS = (b'"status":"ok"', b'"dagster_webserver_version"', b"OK")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: its state, what was found, and what to do if it fails.

    missing: the data without which there is no outcome; empty in every other state.
    """

    name: str
    state: CheckState
    detail: str
    remedy: str = ""
    missing: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Check what a run needs, from Python to the ports; each check is independent."""
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("memory", lambda: _memory(settings)),
        ("disk", lambda: _disk(settings)),
        ("events", lambda: _events(settings)),
        ("databases", lambda: _databases(settings)),
        ("lake", lambda: _lake(settings)),
        *([("spark", _spark)] if settings.uses_spark else []),
        ("catalogue", lambda: _catalogue(settings)),
        ("models", lambda: _models(settings)),
        ("ports", lambda: _ports(settings)),
    )
    return tuple(_guarded(name, look) for name, look in looks)


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except FirstchairError as error:
        return Finding(name, FAILS, error.what, error.remedy)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    state = _state(sys.version_info >= (3, 11))
    return Finding("python", state, version, "Use Python 3.11 or 3.12.")


def _state(passes: bool) -> CheckState:
    return PASSES if passes else FAILS


def _packages() -> Finding:
    missing = []
    for name in NEEDED:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    detail = (
        f"missing: {', '.join(missing)}" if missing else f"{len(NEEDED)} of {len(NEEDED)} are here"
    )
    return Finding("packages", _state(not missing), detail, "Run `make setup`.")


def _memory(settings: Settings) -> Finding:
    """Whether what the engine may hold is there, and where it puts what exceeds it."""
    settings.limit_engine()
    limit, available = engine_limit(), available_memory()
    spilled = Path(tempfile.gettempdir())
    detail = (
        f"queries may hold {limit / 2**30:.1f} of {available.size / 2**30:.1f} GiB of the "
        f"{available.owner}; more goes to {spilled}, where {_free_gib(spilled):.1f} GiB are free"
    )
    remedy = (
        f"Set FIRSTCHAIR_MEMORY_LIMIT to less than {available.size / 2**30:.1f}GiB, at best to a "
        f"quarter, or leave it out; free {FREE_GIB} GiB there, or name another folder in TMPDIR."
    )
    well = limit < available.size and _free_gib(spilled) >= FREE_GIB
    return Finding("memory", _state(well), detail, remedy)


def _free_gib(folder: Path) -> float:
    return shutil.disk_usage(folder).free / 2**30


def _disk(settings: Settings) -> Finding:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = _free_gib(settings.home)
    detail = f"{free:.1f} GiB free at {settings.home}"
    return Finding("disk", _state(free >= FREE_GIB), detail, f"Free {FREE_GIB} GiB.")


def _events(settings: Settings) -> Finding:
    store = EventStore(settings.events_url, {})
    listing = store.listing()
    names = list(listing.states)
    skipped = events.skipped_of(listing.skipped)
    detail = f"{len(names):,} objects under {settings.events_url}"
    detail = detail if skipped is None else f"{detail}; {skipped.sentence()}"
    if not names:
        remedy = "Deliver event objects there, or make some with `firstchair simulate`."
        return Finding("events", FAILS, detail, remedy)
    lake = Lake(settings.lake_url)
    refused = events.refused(lake)
    if refused is None:
        return _sampled(settings, store, names, detail)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    why = events.unusable(lake, as_of=tomorrow, limit=settings.max_quarantine_rate)
    few = why is None and 2 * refused.records < refused.read
    detail = f"{detail}; {refused.sentence()}"
    return Finding("events", _state(few), detail, events.REFUSED_REMEDY)


def _sampled(settings: Settings, store: EventStore, names: list[str], detail: str) -> Finding:
    """Whether ingestion would accept the first records of some objects."""
    records = [
        (name, record)
        for name in names[:SAMPLED_OBJECTS]
        for record in islice(store.records(name), SAMPLED_RECORDS)
    ]
    found = events.refusals(
        [record for _, record in records],
        now=datetime.now(UTC),
        mapping=settings.events.mapping,
    )
    if not found:
        return Finding("events", PASSES, detail)
    name, record = records[found[0].index]
    reasons = ", ".join(
        f"{count:,} {reason}" for reason, count in Counter(f.reason for f in found).most_common(3)
    )
    detail = (
        f"{detail}; {len(found):,} of the first {len(records):,} records would be refused: "
        f"{reasons} (first: {name} line {record.line}: {found[0].detail})"
    )
    few = _state(2 * len(found) < len(records))
    return Finding("events", few, detail, events.REFUSED_REMEDY)


def _databases(settings: Settings) -> Finding:
    databases = open_databases(settings)
    return Finding("databases", PASSES, f"answering at {databases.ledger.render_as_string()}")


def _lake(settings: Settings) -> Finding:
    lake = Lake(settings.lake_url)
    try_lake(lake)
    versions = {table.name: lake.version(table) for table in t.ALL_TABLES}
    written = sum(version >= 0 for version in versions.values())
    detail = (
        f"{written} of {len(versions)} tables written at {settings.lake_url}; "
        "a trial table was written, read and removed"
    )
    if not written:
        return Finding("lake", UNKNOWN, detail, missing="the first run")
    return Finding("lake", PASSES, detail)


def _spark() -> Finding:
    """Whether Spark can be started; it is not."""
    require_spark()
    detail = f"pyspark {importlib.metadata.version('pyspark')} and Java {java_version()} are here"
    return Finding("spark", PASSES, detail)


def _catalogue(settings: Settings) -> Finding:
    """Whether every merged artist of the catalogue leads to an existing artist."""
    found = events.check_redirects(Lake(settings.lake_url))
    remedy = guide_of(found.name).remedy
    return Finding("catalogue", found.state, found.detail, remedy, found.missing)


def _models(settings: Settings) -> Finding:
    """Whether MLflow has the versions that the ledger names, and their artifacts."""
    registry, ledger = open_registry_and_ledger(settings, open_databases(settings))
    last = ledger.last()
    if last is None or last.champion_after is None:
        return Finding("models", UNKNOWN, "no champion yet", missing="the first decision")
    champion = registry.version(last.champion_after)
    registry.load(champion)
    detail = f"champion {champion.version} ({champion.family}) can be read"
    return Finding("models", PASSES, detail)


def _ports(settings: Settings) -> Finding:
    ports = {
        settings.api_port: "/healthz",
        settings.dagster_port: "/server_info",
        settings.mlflow_port: "/health",
    }
    taken = [port for port in ports if _taken(port)]
    strange = [port for port in taken if not _is_ours(port, ports[port])]
    served = f"`firstchair up` answers at {', '.join(map(str, taken))}" if taken else "free"
    detail = f"in use by something else: {', '.join(map(str, strange))}" if strange else served
    remedy = "End what listens there, or set FIRSTCHAIR_API_PORT, _DAGSTER_PORT or _MLFLOW_PORT."
    return Finding("ports", _state(not strange), detail, remedy)


def _is_ours(port: int, path: str) -> bool:
    """Whether a service that `up` starts answers at the port."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
            return any(mark in page.read(1_000) for mark in OUR_ANSWERS)
    except (OSError, HTTPException):
        return False


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
