"""One definition, two engines: Spark gives the rows that DuckDB gives."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pytest

from firstchair.errors import RunError
from firstchair.features import (
    artist_statistics,
    build_interactions,
    build_user_features,
    first_taken,
    open_views,
    over_history,
    slate_items,
    user_scalars,
)
from firstchair.lake import Engine, Lake, SparkSettings, java_version, open_engine
from firstchair.lake import tables as t
from tests.firstchair.executors import executors, killed_at_work
from tests.firstchair.features.conftest import in_order
from tests.firstchair.features.wild import AS_OF, fill

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
pytestmark = pytest.mark.skipif(java_version() is None, reason="Spark needs Java")

# Rows that are computed when they are wanted, and how many; tables hold those of the others.
DEFINITIONS: dict[Callable[..., ir.Table], int] = {
    artist_statistics: 17,
    first_taken: 21,
    slate_items: 86,
}


@pytest.fixture(scope="module")
def lakes(
    tmp_path_factory: pytest.TempPathFactory, two_workers: SparkSettings
) -> tuple[Lake, Lake]:
    """The same rows in a lake for DuckDB, and in one for Spark."""
    home = tmp_path_factory.mktemp("engines")
    duckdb = Lake(str(home / "a {b} ü#1?" / "duckdb"))
    spark = Lake(str(home / "a {b} ü#1?" / "spark"), engine="spark", spark=two_workers)
    for lake in (duckdb, spark):
        fill(lake)
    return duckdb, spark


@pytest.fixture(scope="module")
def engines(lakes: tuple[Lake, Lake]) -> Iterator[tuple[Engine, Engine]]:
    with open_engine(lakes[0]) as duckdb, open_engine(lakes[1]) as spark:
        open_views(duckdb)
        open_views(spark)
        yield duckdb, spark


def same(found: Any, expected: Any) -> bool:
    """Whether two values are equal; of numbers with a fraction, to nine digits."""
    if isinstance(expected, float) and isinstance(found, float):
        both_nan = math.isnan(found) and math.isnan(expected)
        return both_nan or math.isclose(found, expected, rel_tol=1e-9)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and same([*found.values()], [*expected.values()])
    if isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    assert found.schema == expected.schema
    pairs = zip(in_order(found), in_order(expected), strict=True)
    assert [pair for pair in pairs if not same(*pair)] == []


@pytest.mark.parametrize(
    ("build", "table", "rows"),
    [(build_interactions, t.INTERACTIONS, 28), (build_user_features, t.USER_FEATURES, 10)],
    ids=["interactions", "user_features"],
)
def test_a_table_that_spark_builds_is_the_one_of_duckdb(
    build: Callable[..., Any], table: t.Table, rows: int, lakes: tuple[Lake, Lake]
) -> None:
    reports = [build(lake, as_of=AS_OF) for lake in lakes]
    expected, found = (lake.read(table) for lake in lakes)

    assert reports[0] == reports[1]
    assert_same(found, expected)
    assert expected.num_rows == rows
    assert lakes[1].version(table) == lakes[0].version(table)


def test_a_failure_of_spark_says_what_failed_and_nothing_is_left(lakes: tuple[Lake, Lake]) -> None:
    broken = replace(lakes[1], url=f"{lakes[1].url}-broken")
    fill(broken)
    with open_engine(broken) as engine, pytest.raises(RunError, match="could not compute"):
        open_views(engine)
        for path in broken.files(t.USERS):
            with open(path, "r+b") as file:
                file.truncate(8)
        engine.stage(over_history, definition=user_scalars, as_of=AS_OF)

    assert broken.spark.folder is not None
    assert not list(broken.spark.folder.glob("staged-*/rows"))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.__name__)
def test_spark_gives_the_rows_of_duckdb(
    definition: Callable[..., ir.Table], engines: tuple[Engine, Engine]
) -> None:
    of_range = definition is not artist_statistics
    cut = {"start": AS_OF - timedelta(days=20), "end": AS_OF} if of_range else {"as_of": AS_OF}
    expected, found = (
        engine.rows(over_history, definition=definition, **cut) for engine in engines
    )

    assert_same(found, expected)
    assert expected.num_rows == DEFINITIONS[definition]


def test_an_executor_killed_while_it_computes_changes_no_row(
    engines: tuple[Engine, Engine],
) -> None:
    query = {"definition": user_scalars, "as_of": AS_OF}
    duckdb, spark = engines
    expected = duckdb.rows(over_history, **query)

    killed, found = killed_at_work(lambda: spark.rows(over_history, **query))

    assert killed not in executors()
    assert_same(found, expected)
