"""One definition, two engines: Spark gives the rows that DuckDB gives."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
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
from tests.firstchair.features.conftest import ANNA, BEN, CARA, Row, Scene, in_order

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
pytestmark = pytest.mark.skipif(java_version() is None, reason="Spark needs Java")

# The day after the leap day; later events must not count.
AS_OF = date(2024, 3, 1)
# Rows that are computed when they are wanted, and how many; tables hold those of the others.
DEFINITIONS: dict[Callable[..., ir.Table], int] = {
    artist_statistics: 17,
    first_taken: 21,
    slate_items: 86,
}
# In the order of code points; UTF-16 puts the note before the last one.
NAMES = ("", " ", "'", "A", "\\", "a", "x", "y", "z", "é", "東", "\uffee", "𝄞")
DUNE = "d" * 32


def wild_events(scene: Scene) -> list[Row]:
    """Events as silver may hold them at its worst."""
    events = scene.busy(until=AS_OF + timedelta(days=2))
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    instants = (
        datetime(2024, 2, 29, 0, 0, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2024, 3, 1, 13, 59, 59, 600_000, tzinfo=east),
        datetime(2024, 2, 28, 12, 0, tzinfo=west),
        datetime(2024, 3, 9, 23, 59, 59, 500_001, tzinfo=UTC),
    )
    for at in (instant.astimezone(UTC) for instant in instants):
        for number, name in enumerate(NAMES):
            of = {"artist_id": name, "slate_id": f"s{at:%d%H}", "position": number % 3 + 1}
            for user in (ANNA, BEN):
                events += [
                    scene.event("impression", user, at, propensity=1 / (number + 3), **of),
                    scene.event("click", user, at, **of),
                    scene.event("follow", user, at, artist_id=name),
                    scene.event(
                        "play", user, at, artist_id=name, track_id=f"{name}1", ms_played=number
                    ),
                ]
        events += [
            # Ties: the later event_id counts.
            scene.event("unfollow", ANNA, at, artist_id="x"),
            scene.event("login", CARA, at),
            scene.event("impression", CARA, at, artist_id="y", slate_id="n", propensity=math.nan),
            scene.event("impression", CARA, at, artist_id="y", slate_id="n", propensity=0.25),
            scene.event("impression", CARA, at, artist_id="z", slate_id="m", propensity=math.nan),
            scene.event("play", CARA, at, artist_id=None, track_id=None, ms_played=None),
            scene.event("play", CARA, at, artist_id="y", track_id="gone", ms_played=10**13),
            scene.event("play", DUNE, at, artist_id="gone", track_id="x1", ms_played=0),
            scene.event("click", DUNE, at, artist_id=None),
        ]
    return events


def wild_accounts(scene: Scene) -> dict[str, list[Row]]:
    """Accounts and catalogue with gaps and borders."""
    border = datetime(2024, 1, 31, tzinfo=UTC)
    created = (
        None,
        border,
        border - timedelta(microseconds=1),
        border + timedelta(microseconds=400_000),
        border + timedelta(microseconds=600_000),
        datetime(2024, 3, 1, 12, tzinfo=UTC),
        datetime(1899, 12, 31, 23, tzinfo=UTC),
    )
    users = [
        scene.user(f"{number:032x}", created_at=at, country=None, city="Bogotá \n'\"\\")
        for number, at in enumerate(created)
    ]
    artists = [scene.artist(name, name=name.title()) for name in NAMES]
    artists += [
        scene.artist("Hildegard", first_active_on=date(1098, 9, 17), followers=None, genres=None),
        scene.artist("leap", first_active_on=date(2024, 2, 29), genres=[None, "a"]),
        scene.artist("later", first_active_on=date(2030, 1, 1), name=None),
        scene.artist("undated", first_active_on=None, followers=2**40),
    ]
    tracks = [
        scene.track(f"{name}{number}", name, (0, None, 200_000)[number - 1])
        for name in NAMES
        for number in (1, 2, 3)
    ]
    return {"users": scene.catalogue()["users"] + users, "artists": artists, "tracks": tracks}


def fill(lake: Lake) -> None:
    """The same rows for every lake, of which some days came late and an artist was merged."""
    scene = Scene()
    events, catalogue = wild_events(scene), wild_accounts(scene)
    in_time, late = [e for e in events if e["source_seq"] % 5], events[::5]
    scene.fill(lake, in_time, **catalogue)
    lake.append(t.EVENTS, pa.Table.from_pylist(late, schema=t.EVENTS.schema))
    lake.delete(t.EVENTS, "event_date = '2024-02-25'")
    merged = {"artist_id": "gone", "stated": "z", "redirect_to": "z", "fault": None}
    schema = t.ARTIST_REDIRECTS.schema
    lake.overwrite(t.ARTIST_REDIRECTS, pa.Table.from_pylist([merged], schema=schema))


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
