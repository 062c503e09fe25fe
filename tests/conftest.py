"""Real things for every test: an embedded Postgres, a lake in a temporary folder."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from firstchair.databases import Databases, open_databases
from firstchair.lake import Lake
from firstchair.settings import TELEMETRY_OFF, Settings
from tests.service import Lived, simulated

os.environ.update(TELEMETRY_OFF)


@pytest.fixture(scope="session")
def session_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """One embedded server for the whole session; a test gets databases of its own through `databases`."""
    found = open_databases(Settings(home=tmp_path_factory.mktemp("pg")))
    admin = sa.create_engine(found.ledger.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:  # what a test writes need not outlive a power cut
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sa.text(f"alter system set {setting} = off"))
        connection.execute(sa.text("select pg_reload_conf()"))
    admin.dispose()
    return found


@pytest.fixture
def new_database(session_databases: Databases) -> Iterator[Callable[[str], sa.URL]]:
    """Makes a database of the running server, a copy of the named one; dropped after the test."""
    admin = sa.create_engine(session_databases.ledger.set(database="postgres"), isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make(template: str = "template0") -> sa.URL:
        made.append(f"test_{uuid.uuid4().hex[:12]}")
        with admin.connect() as connection:
            connection.execute(sa.text(f'create database "{made[-1]}" template "{template}"'))
        return session_databases.ledger.set(database=made[-1])

    yield make
    with admin.connect() as connection:
        for name in made:
            connection.execute(sa.text(f'drop database "{name}" with (force)'))
    admin.dispose()


@pytest.fixture
def databases(new_database: Callable[[], sa.URL]) -> Databases:
    """Four empty databases of the running server."""
    return Databases(**{owner: new_database() for owner in ("accounts", "ledger", "mlflow", "dagster")})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """One small service for all tests that only read it, or change nothing by what they do."""
    service = simulated(tmp_path_factory.mktemp("service") / "home")
    return Lived(service, service.json("run"), service.json("status"), service.json("decisions"))


@pytest.fixture
def inside(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """The same service, with this process in its surroundings as its own commands would be."""
    for name, value in lived.service.environment().items():
        monkeypatch.setenv(name, value)
    return lived
