"""Random kills of a small service: copied, killed in a deed, done again, compared in the end."""

import gzip
import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from firstchair.databases import Databases
from firstchair.promotion.artifact_paths import follow_home
from firstchair.promotion.registry import NAME
from firstchair.settings import Settings
from tests import forks
from tests.conftest import making
from tests.faults.deeds import MIGRATIONS
from tests.service import Service

# Deeds that fit models, and take as long as all others together.
LONG = ("forget", "run")
# Late events of the service: copies of what landed, under ids and by senders of their own.
LATE = 3
# Where a deed ends before its first kill, it is begun anew and killed after so much of that time.
SOONER = 0.7
SOONEST = 0.001
# The last line but the server's own of a stack that `faulthandler` writes: the deed's process.
BOTTOM = 'File "<string>"'
_FRAME = re.compile(
    r'File ".*/(?:src/firstchair|dagster_project|monitoring)/(.*)\.py", .* in (\w+)'
)
KILLED = """
import faulthandler
faulthandler.dump_traceback_later({seconds})
from tests.faults.deeds import DEEDS
DEEDS[{name!r}]()
"""
COMPLETED = "from tests.faults.deeds import complete\ncomplete({name!r})"


@dataclass(frozen=True)
class Killed:
    """A deed that was killed, maybe several times in a row, and then done to its end.

    places: module and function of ours in which each kill met the process. different: what the
    unbroken deed left otherwise; empty if nothing.
    """

    deed: str
    places: tuple[str, ...]
    different: tuple[str, ...]


@dataclass
class Killer:
    """Copies a service for each deed; the server of its databases runs meanwhile.

    original: home of a service that has lists. server: its databases. folder: for the copies.
    """

    original: Path
    server: Databases
    folder: Path
    pseudonym_key: str
    _unbroken: dict[str, dict[str, Any]] = field(default_factory=dict)

    def kill(self, deed: str, rng: random.Random, *, kills: int) -> Killed:
        """Kill a deed up to so many times in a row, each time at a random instant; then do it.

        The row ends early where the deed does, but there is one kill at least.
        """
        unbroken, longest = self.unbroken(deed), self.unbroken(deed)["seconds"]
        places: tuple[str, ...] = ()
        while not places:
            with self._copy(deed) as copy:
                places = tuple(copy.killed(deed, rng, longest, kills))
                if places:
                    state, expected = copy.completed(deed)["state"], unbroken["state"]
            longest *= SOONER
        names = sorted({*state, *expected})
        changed = [name for name in names if state.get(name) != expected.get(name)]
        return Killed(deed, places, tuple(changed))

    def unbroken(self, deed: str) -> dict[str, Any]:
        """Seconds of a deed without a break, and the state that it leaves."""
        if deed not in self._unbroken:
            with self._copy(deed) as copy:
                self._unbroken[deed] = copy.completed(deed)
        return self._unbroken[deed]

    @contextmanager
    def _copy(self, deed: str) -> Iterator["_Copy"]:
        """A copy of the service in which a deed has something to do; removed after the block."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name, making(self.server) as make:
            home = Path(name) / "home"
            shutil.copytree(self.original, home, ignore=shutil.ignore_patterns("postgres"))
            base = make() if deed == "migrate" else make(str(self.server.ledger.database))
            mlflow, dagster = self.server.mlflow.database, self.server.dagster.database
            follow_home(make(mlflow, f"{base.database}_mlflow"), NAME, home / "mlartifacts")
            make(dagster, f"{base.database}_dagster")
            settings = {
                "database_url": base.render_as_string(hide_password=False),
                "source_database_url": self.server.accounts.render_as_string(hide_password=False),
            }
            copy = _Copy(home, settings)
            Settings(home=home).keep_pseudonym_key(self.pseudonym_key)
            if (prepare := PREPARED.get(deed)) is not None:
                prepare(home, base)
            yield copy


class _Copy(Service):
    """A copy of the service, with a key of its own home."""

    def environment(self) -> dict[str, str]:
        found = super().environment()
        del found["FIRSTCHAIR_PSEUDONYM_KEY"]
        return found

    def killed(self, deed: str, rng: random.Random, longest: float, kills: int) -> Iterator[str]:
        """Kill a deed within so many seconds, again and again; where each kill met it."""
        for _ in range(kills):
            seconds = max(rng.random() * longest, SOONEST)
            source = ["-c", KILLED.format(name=deed, seconds=seconds)]
            stack = forks.kill_at(BOTTOM, source, env=self.environment(), cwd=self.home.parent)
            if stack is None:
                return
            yield place_of(stack)

    def completed(self, deed: str) -> dict[str, Any]:
        """Do a deed to its end; its seconds, and the state that it left."""
        source = COMPLETED.format(name=deed)
        done = forks.script(source, env=self.environment(), cwd=self.home.parent)
        assert done.returncode == 0, f"{deed}: {done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def place_of(stack: Sequence[str]) -> str:
    """Innermost function of ours in a stack, as module and name; where none is, what is imported.

    Of several threads the last one counts, which is the main one.
    """
    main = max(n for n, line in enumerate(stack) if "most recent call first" in line)
    found = (match for line in stack[main:] if (match := _FRAME.search(line)))
    match = next(found, None)
    return "before the first step" if match is None else f"{match[1]}:{match[2]}"


def land_late_events(home: Path, _base: sa.URL) -> None:
    """Deliver some objects again, under ids and by senders of their own."""
    landing = home / "landing" / "events"
    for path in sorted(landing.rglob("*.jsonl.gz"))[::-1][:LATE]:
        lines = gzip.decompress(path.read_bytes()).decode()
        late = re.sub(r'"(event_id|source)":"', r'"\1":"late-', lines)
        path.with_name(f"late-{path.name}").write_bytes(gzip.compress(late.encode(), mtime=0))


def unpublish(home: Path, _base: sa.URL) -> None:
    """Have nothing published."""
    shutil.rmtree(home / "published")


def to_first_forms(_home: Path, base: sa.URL) -> None:
    """Bring an empty database to the form that the first migrations made."""
    engine = sa.create_engine(base, poolclass=sa.pool.NullPool)
    for folder, table in MIGRATIONS.items():
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(folder))
            config.attributes |= {"connection": connection, "version_table": table}
            command.upgrade(config, "+1")


# What a deed needs to have something to do.
PREPARED: dict[str, Callable[[Path, sa.URL], None]] = {
    "ingest": land_late_events,
    "run": land_late_events,
    "publish": unpublish,
    "migrate": to_first_forms,
}
