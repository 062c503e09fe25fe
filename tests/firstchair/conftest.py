"""An MLflow with its tables and a ledger, fresh for each test; fitted toys of every family."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from firstchair import models
from firstchair.databases import Databases, to_driver
from firstchair.models import Family, Recommender
from firstchair.promotion import Ledger, Registry
from tests.firstchair.models.toys import checkerboard


@pytest.fixture(scope="session")
def mlflow_template(session_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a database that holds MLflow's tables and nothing else."""
    url = session_databases.mlflow
    registry = Registry(to_driver(url, "psycopg2").render_as_string(hide_password=False), tmp_path_factory.mktemp("ml"))
    assert registry.alias("champion") is None
    admin = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(
            sa.text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
            {"name": url.database},
        )
    admin.dispose()
    return str(url.database)


@pytest.fixture
def registry(new_database: Callable[[str], sa.URL], mlflow_template: str, tmp_path: Path) -> Registry:
    url = to_driver(new_database(mlflow_template), "psycopg2")
    return Registry(url.render_as_string(hide_password=False), tmp_path / "ml")


@pytest.fixture
def ledger(new_database: Callable[[], sa.URL]) -> Ledger:
    found = Ledger(new_database())
    found.migrate()
    return found


@pytest.fixture(scope="session")
def fitted() -> dict[Family, Recommender]:
    data = checkerboard()
    return {family: models.fit(family, data, seed=1) for family in Family}
