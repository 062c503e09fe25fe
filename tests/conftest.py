"""Real things for every test: an embedded Postgres, a lake in a temporary folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from firstchair.databases import Databases, open_databases
from firstchair.lake import Lake
from firstchair.settings import TELEMETRY_OFF, Settings

os.environ.update(TELEMETRY_OFF)


@pytest.fixture(scope="session")
def session_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """One embedded server for the whole session; a test gets databases of its own through `databases`."""
    return open_databases(Settings(home=tmp_path_factory.mktemp("pg")))


@pytest.fixture
def databases(session_databases: Databases, request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Four empty databases of the running server, dropped after the test."""
    suffix = f"{abs(hash(request.node.nodeid)) % 10**10}"
    admin = sa.create_engine(session_databases.ledger.set(database="postgres"), isolation_level="AUTOCOMMIT")
    fresh = {
        owner: getattr(session_databases, owner).set(database=f"{owner}_{suffix}")
        for owner in ("accounts", "ledger", "mlflow", "dagster")
    }
    with admin.connect() as connection:
        for url in fresh.values():
            connection.execute(sa.text(f'create database "{url.database}"'))
    yield Databases(**fresh)
    with admin.connect() as connection:
        for url in fresh.values():
            connection.execute(sa.text(f'drop database if exists "{url.database}" with (force)'))
    admin.dispose()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))
