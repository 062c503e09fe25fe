"""`firstchair doctor`: is everything there that a run needs, and what to do where it is not."""

import importlib.metadata
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from firstchair.databases import open_databases
from firstchair.errors import FirstchairError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.settings import Settings
from firstchair.sources import EventStore

NEEDED = ("dagster", "mlflow", "evidently", "great-expectations", "implicit", "xgboost", "pandas", "sqlalchemy")
FREE_GIB = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is well, what was found, and what to do."""

    name: str
    passes: bool
    detail: str
    remedy: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Look at Python, packages, disk, ports, sources, databases and lake; each on its own."""
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("disk", lambda: _disk(settings)),
        ("events", lambda: _events(settings)),
        ("databases", lambda: _databases(settings)),
        ("lake", lambda: _lake(settings)),
        ("ports", lambda: _ports(settings)),
    )
    return tuple(_guarded(name, look) for name, look in looks)


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except FirstchairError as error:
        return Finding(name, False, error.what, error.remedy)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), version, "Use Python 3.11 or 3.12.")


def _packages() -> Finding:
    missing = []
    for name in NEEDED:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    detail = f"missing: {', '.join(missing)}" if missing else f"{len(NEEDED)} of {len(NEEDED)} are here"
    return Finding("packages", not missing, detail, "Run `make setup`.")


def _disk(settings: Settings) -> Finding:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free / 2**30
    return Finding("disk", free >= FREE_GIB, f"{free:.1f} GiB free at {settings.home}", f"Free {FREE_GIB} GiB.")


def _events(settings: Settings) -> Finding:
    count = len(EventStore(settings.events_url, {}).objects())
    remedy = "Deliver event objects there, or make some with `firstchair simulate`."
    return Finding("events", count > 0, f"{count:,} objects under {settings.events_url}", remedy)


def _databases(settings: Settings) -> Finding:
    databases = open_databases(settings)
    return Finding("databases", True, f"answering at {databases.ledger.render_as_string()}")


def _lake(settings: Settings) -> Finding:
    lake = Lake(settings.lake_url)
    versions = {table.name: lake.version(table) for table in t.ALL_TABLES}
    written = sum(version >= 0 for version in versions.values())
    return Finding("lake", True, f"{written} of {len(versions)} tables written at {settings.lake_url}")


def _ports(settings: Settings) -> Finding:
    taken = [port for port in (settings.api_port, settings.dagster_port, settings.mlflow_port) if _taken(port)]
    detail = f"in use: {', '.join(map(str, taken))}" if taken else "free"
    remedy = "Set FIRSTCHAIR_API_PORT, _DAGSTER_PORT or _MLFLOW_PORT, unless `firstchair up` is what listens there."
    return Finding("ports", not taken, detail, remedy)


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
