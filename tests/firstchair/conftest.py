"""An MLflow with its tables, a ledger and a bucket, new for each test; toys of every family."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import fsspec
import pytest
import sqlalchemy as sa

from firstchair import models
from firstchair.databases import Databases
from firstchair.lake import Lake, SparkSettings
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender
from firstchair.promotion import GateRules, Ledger, Registry
from firstchair.promotion.audition import Effect
from tests.firstchair.models.toys import checkerboard
from tests.firstchair.promotion.conftest import (
    AS_OF,
    HISTORY_DAYS,
    NEXT_DAY,
    Audition,
    Copies,
    logins,
    registry_at,
    rules,
)
from tests.firstchair.promotion.test_live import AT_HALF, Stand
from tests.s3 import S3, serving

_BUCKETS = count(1)
# Small rows are computed before the compiler that costs more time is of use.
_SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_OF_WORKERS = (
    ("spark.sql.shuffle.partitions", "2"),
    ("spark.driver.extraJavaOptions", _SHORT_LIVED),
    ("spark.executor.extraJavaOptions", _SHORT_LIVED),
    ("spark.shuffle.io.retryWait", "100ms"),
)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server of S3 for all tests of this process."""
    with serving(tmp_path_factory.mktemp("s3") / "requests.log") as server:
        yield server


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an empty bucket, reached as any process of a platform reaches it."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3.variables().items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    name = f"music-{next(_BUCKETS)}"
    fsspec.filesystem("s3").mkdir(name)
    yield f"s3://{name}"
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> SparkSettings:
    """Spark in two processes beside the driver: rows are serialised, and shuffled between them."""
    folder = tmp_path_factory.mktemp("spark")
    return SparkSettings("local-cluster[2,1,1024]", _OF_WORKERS, folder)


@pytest.fixture(scope="session")
def mlflow_template(
    session_databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a database that holds MLflow's tables and nothing else."""
    from mlflow.store.db import utils

    url = session_databases.mlflow
    # MLflow reads all its migrations for each database that it opens, and each test has one of its
    # own.
    latest = "_get_latest_schema_revision"
    with patch.object(utils, latest, cache(getattr(utils, latest))):
        registry = registry_at(url, tmp_path_factory.mktemp("ml"))
        assert registry.alias("champion") is None
        yield str(url.database)


@pytest.fixture
def registry(
    new_database: Callable[[str], sa.URL], mlflow_template: str, tmp_path: Path
) -> Registry:
    return registry_at(new_database(mlflow_template), tmp_path / "ml")


@pytest.fixture(scope="session")
def ledger_template(new_session_database: Callable[[], sa.URL]) -> str:
    """Name of a database that holds an empty ledger."""
    url = new_session_database()
    Ledger(url).migrate()
    return str(url.database)


@pytest.fixture
def ledger(new_database: Callable[[str], sa.URL], ledger_template: str) -> Ledger:
    return Ledger(new_database(ledger_template))


@pytest.fixture(scope="session")
def fitted() -> dict[Family, Recommender]:
    data = checkerboard()
    return {family: models.fit(family, data, seed=1) for family in Family}


@pytest.fixture
def copy_of(new_database: Callable[[str], sa.URL], tmp_path: Path) -> Copies:
    return Copies(new_database, tmp_path)


@pytest.fixture(scope="session")
def copy_for_all(
    new_session_database: Callable[[str], sa.URL], tmp_path_factory: pytest.TempPathFactory
) -> Copies:
    return Copies(new_session_database, tmp_path_factory.mktemp("auditions"))


@pytest.fixture(scope="session")
def registered(
    new_session_database: Callable[..., sa.URL],
    mlflow_template: str,
    fitted: dict[Family, Recommender],
    tmp_path_factory: pytest.TempPathFactory,
) -> Audition:
    """A history, and versions of every family for `AS_OF`, which take longest to enter."""
    folder = tmp_path_factory.mktemp("registered")
    registry = registry_at(new_session_database(mlflow_template), folder / "ml")
    ledger = Ledger(new_session_database())
    ledger.migrate()
    a = Audition(Lake(str(folder / "lake")), registry, ledger, fitted, GateRules())
    a.lake.append(t.EVENTS, logins(AS_OF - timedelta(days=HISTORY_DAYS), HISTORY_DAYS))
    return with_versions_of(a, AS_OF)


def with_versions_of(a: Audition, day: date) -> Audition:
    a.register(day)
    return replace(a, registered=a.registered | {day})


@pytest.fixture(scope="session")
def registered_twice(registered: Audition, copy_for_all: Copies) -> Audition:
    """The same with versions for `NEXT_DAY` as well."""
    return with_versions_of(copy_for_all(registered), NEXT_DAY)


@pytest.fixture
def audition(registered: Audition, copy_of: Copies) -> Callable[..., Audition]:
    """Makes auditions with versions for `AS_OF` and nothing decided."""

    def make(**changed: Any) -> Audition:
        return replace(copy_of(registered), rules=rules(**changed))

    return make


@pytest.fixture
def two_days(registered_twice: Audition, copy_of: Copies) -> Audition:
    """A copy of its own of an audition with versions for two days and nothing decided."""
    return replace(copy_of(registered_twice), rules=rules())


@pytest.fixture(scope="session")
def first_decided(registered_twice: Audition, copy_for_all: Copies) -> Audition:
    """`AS_OF` entered with the usual levels and decided: ALS serves, XGBoost is in shadow."""
    a = replace(copy_for_all(registered_twice), rules=rules())
    a.enter()
    a.decide()
    return a


@pytest.fixture
def after_a_day(first_decided: Audition, copy_of: Copies) -> Audition:
    """A copy of its own of an audition that decided `AS_OF`, with versions for `NEXT_DAY`."""
    return copy_of(first_decided)


@pytest.fixture(scope="session")
def begun(registered: Audition, copy_for_all: Copies) -> Stand:
    """`AS_OF` decided with a better XGBoost: a stage on its first morning."""
    return Stand.begun(replace(copy_for_all(registered), rules=rules()))


@pytest.fixture(scope="session")
def at_half(begun: Stand, copy_for_all: Copies) -> Stand:
    """The stage through its ramp, on its first day at 50 %."""
    stand = begun.copied(copy_for_all)
    stand.climb()
    return stand


@pytest.fixture(scope="session")
def on_probation(at_half: Stand, copy_for_all: Copies) -> Stand:
    """The stage after four days at 50 % with a far better XGBoost, which is on probation now."""
    stand = at_half.copied(copy_for_all)
    stand.live(Effect(0.25), 4)
    stand.decide(AT_HALF + 4)
    return stand


@pytest.fixture
def stand(begun: Stand, copy_of: Copies) -> Stand:
    """A copy of its own of a stage on its first morning."""
    return begun.copied(copy_of)


@pytest.fixture
def climbed(at_half: Stand, copy_of: Copies) -> Stand:
    """A copy of its own of a stage on its first day at 50 %."""
    return at_half.copied(copy_of)


@pytest.fixture
def probation(on_probation: Stand, copy_of: Copies) -> Stand:
    """A copy of its own of a stage whose challenger was promoted and is on probation."""
    return on_probation.copied(copy_of)
