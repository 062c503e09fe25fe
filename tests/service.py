"""A service of its own: the real commands in their processes, over a temporary home."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from firstchair.cli import main
from firstchair.lake import Lake, Table, connect
from firstchair.lake.tables import ALL_TABLES
from tests import forks

COMMAND = Path(sys.executable).parent / "firstchair"
WORLD = (
    "--users",
    240,
    "--artists",
    160,
    "--days",
    30,
    "--seed",
    3,
    "--scenario",
    "imperfect-delivery",
)
LAST_DAY = date(2026, 1, 30)


@dataclass(frozen=True)
class Service:
    """Runs commands as a person would and reads the tables that they leave."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        own = {f"FIRSTCHAIR_{name.upper()}": value for name, value in self.settings.items()}
        return {
            **os.environ,
            "FIRSTCHAIR_HOME": str(self.home),
            "FIRSTCHAIR_PSEUDONYM_KEY": "a test's key",
            **own,
        }

    def run(self, *arguments: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command, which must end with that exit code; None takes any."""
        done = forks.run(
            [str(COMMAND), *map(str, arguments)], env=self.environment(), cwd=self.home.parent
        )
        assert code in {None, done.returncode}, (
            f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        )
        return done

    def json(self, *arguments: object, code: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def ask(self, *arguments: object) -> Any:
        """What a read-only command answers, as `json`, in this process: several times faster."""
        printed, code = io.StringIO(), None
        command = ["firstchair", *map(str, arguments), "--json"]
        with (
            patch.dict(os.environ, self.environment()),
            patch.object(sys, "argv", command),
            redirect_stdout(printed),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code
        assert code == 0, f"exit {code}\n{printed.getvalue()[-3000:]}"
        return json.loads(printed.getvalue())

    def kill_at(self, marker: str, *arguments: object) -> None:
        """Start a command and SIGKILL it when it tells of `marker` on standard error."""
        command = [str(COMMAND), *map(str, arguments)]
        assert forks.kill_at(marker, command, env=self.environment(), cwd=self.home.parent), (
            f"{marker} was never told"
        )

    @property
    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"))

    def rows(self, table: Table, where: str = "true") -> list[dict[str, Any]]:
        return self.lake.read(table, where).to_pylist()

    def contents(self) -> dict[str, tuple[Any, ...]]:
        """Content of every table by its name."""
        return contents_of(self.lake)


def contents_of(lake: Lake) -> dict[str, tuple[Any, ...]]:
    """Number and digest of all rows in any order, of every table by its name.

    The instant a record was read at and other facts of the reading are left out.
    """
    of_the_reading = {"ingested_at", "quarantined_at", "report_path", "store_version"}
    found = {}
    with connect() as connection:
        for table in ALL_TABLES:
            names = [name for name in table.schema.names if name not in of_the_reading]
            kept = ", ".join(f'"{name}"' for name in names)
            query = f"""
                select count(*), coalesce(sum(md5_number_lower(cast(t as varchar))), 0)
                from (select {kept} from {lake.scan(table)}) t
            """
            found[table.name] = connection.execute(query).fetchone() or ()
    return found


def different(one: dict[str, tuple[Any, ...]], other: dict[str, tuple[Any, ...]]) -> list[str]:
    """Names of the tables whose contents differ."""
    return [name for name in one if one[name] != other[name]]


@dataclass(frozen=True)
class Lived:
    """A service whose history was run once, with what the commands then printed."""

    service: Service
    summary: dict[str, Any]
    status: dict[str, Any]
    ledger: list[dict[str, Any]]


def simulated(home: Path, world: Sequence[object] = WORLD) -> Service:
    """A small service with its sources written and nothing run yet."""
    service = Service(home)
    service.json("simulate", *world)
    return service
