"""An MLflow with its tables, copied for each test; fitted toys of every family; evidence of a known outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from firstchair import models
from firstchair.databases import Databases, to_driver
from firstchair.evaluation import POPULARITY
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender
from firstchair.promotion import Deciding, Ledger, Registry, Rule, decide
from tests.firstchair.models.toys import checkerboard

AS_OF = date(2026, 2, 1)
NOW = datetime(2026, 2, 1, 6, tzinfo=UTC)
USERS = 400
# Mean NDCG@10 of each family; the one that `decide` compares with is popularity's or the champion's.
LEVELS = {"als": 0.20, "xgboost": 0.20, "content": 0.05, "trending": 0.10, "random": 0.01, POPULARITY: 0.10}


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


@dataclass
class Audition:
    """A platform's promotion with days entered by hand, each with the levels that the test wants."""

    lake: Lake
    registry: Registry
    ledger: Ledger
    fitted: dict[Family, Recommender]
    rule: Rule

    def enter(self, as_of: date = AS_OF, *, fingerprint: str = "", noise: float = 0.05, **levels: float) -> None:
        """Versions of every family for a day, and evidence whose mean per user is `levels` (NDCG and recall)."""
        for model in self.fitted.values():
            self.registry.register(
                model, as_of=as_of, data_fingerprint=fingerprint or f"data of {as_of}", metrics={}, seed=1
            )
        rng = np.random.default_rng(as_of.toordinal())
        for family, level in {**LEVELS, **levels}.items():
            spread = noise * rng.standard_normal(USERS)
            values = level + spread - spread.mean()
            rows = {
                "as_of": [as_of] * USERS,
                "family": [family] * USERS,
                "user_key": [f"u{number:05d}" for number in range(USERS)],
                **dict.fromkeys(("recall_at_20", "ndcg_at_10", "ndcg_at_20"), values),
            }
            table = pa.table(rows, schema=t.OFFLINE_EVIDENCE.schema)
            self.lake.replace_where(t.OFFLINE_EVIDENCE, table, f"as_of = '{as_of}' and family = '{family}'")

    def decide(self, as_of: date = AS_OF) -> Deciding:
        return decide(self.lake, self.registry, self.ledger, as_of=as_of, now=NOW, rule=self.rule)

    def number(self, family: str, as_of: date = AS_OF) -> str:
        return self.registry.versions(as_of=as_of, family=family)[-1].version

    def aliases(self) -> dict[str, str | None]:
        found = {name: self.registry.alias(name) for name in ("champion", "challenger", "previous")}
        return {name: None if version is None else version.version for name, version in found.items()}


@pytest.fixture
def audition(
    lake: Lake, registry: Registry, ledger: Ledger, fitted: dict[Family, Recommender]
) -> Callable[..., Audition]:
    def make(**rule: float) -> Audition:
        return Audition(
            lake, registry, ledger, fitted, Rule(**{"min_test_users": 100, "bootstrap_samples": 200} | rule)
        )

    return make
