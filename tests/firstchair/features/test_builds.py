"""Building the gold tables: one partition, the same rows each time, nothing from the future."""

import shutil
from datetime import date

import pyarrow as pa
import pytest

from firstchair.errors import DataError, LeakageError
from firstchair.features import build_interactions, build_user_features, builds
from firstchair.features.history import History
from firstchair.features.matrix import interactions
from firstchair.features.profile import user_features
from firstchair.lake import Lake
from firstchair.lake import tables as lake_tables
from tests.firstchair.features.conftest import Scene

AS_OF, DAY_AFTER = date(2026, 1, 10), date(2026, 1, 11)


def some_events(scene):
    return [
        scene.event("login", scene.anna, "2026-01-09T08:00"),
        scene.event("impression", scene.anna, "2026-01-09T08:01", artist_id="x"),
        scene.event("click", scene.anna, "2026-01-09T08:02", artist_id="x"),
        scene.event(
            "play", scene.anna, "2026-01-09T08:03", artist_id="x", track_id="x1", ms_played=100_000
        ),
        scene.event("follow", scene.ben, "2026-01-09T08:04", artist_id="y"),
        scene.event(
            "play", scene.cara, "2026-01-10T08:05", artist_id="z", track_id="z1", ms_played=100_000
        ),
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A lake of some events, a day's user features and their report, for reading or copying."""
    lake, scene = Lake(str(tmp_path_factory.mktemp("built") / "lake")), Scene()
    scene.fill(lake, some_events(scene))
    return lake, build_user_features(lake, as_of=AS_OF)


@pytest.fixture
def built_lake(lake, built):
    """A copy of its own of the lake `built`."""
    shutil.copytree(built[0].url, lake.url)
    return lake


def test_user_features_of_a_day_hold_one_valid_row_per_user(built):
    lake, report = built

    written = lake.read(lake_tables.USER_FEATURES)
    assert (report.rows, report.users, report.leaked_rows, written.num_rows) == (3, 3, 0, 3)
    assert report.validation.passed
    assert written.schema == lake_tables.USER_FEATURES.schema
    assert written["self_normalised"].to_pylist().count([("x", 1.0)]) == 1
    assert report.fingerprint == lake.fingerprint(lake_tables.USER_FEATURES)


def test_matrix_of_a_day_is_counted_in_its_report(lake, scene):
    scene.fill(lake, some_events(scene))

    report = build_interactions(lake, as_of=AS_OF)

    written = lake.read(lake_tables.INTERACTIONS)
    assert sorted(written["artist_id"].to_pylist()) == ["x", "y"]
    assert (report.rows, report.positives, report.users, report.artists, report.density) == (
        2,
        2,
        2,
        2,
        0.5,
    )
    assert report.leaked_rows == 0
    assert report.fingerprint == lake.fingerprint(lake_tables.INTERACTIONS)


@pytest.mark.parametrize("build", [build_user_features, build_interactions])
def test_building_twice_leaves_the_same_rows_and_other_days_alone(lake, scene, build):
    scene.fill(lake, some_events(scene))
    table = lake_tables.USER_FEATURES if build is build_user_features else lake_tables.INTERACTIONS

    first = build(lake, as_of=AS_OF)
    rows_of_both = first.rows + build(lake, as_of=DAY_AFTER).rows
    again = build(lake, as_of=AS_OF)

    assert again == first
    assert lake.count(table) == rows_of_both
    assert lake.partitions(table) == [AS_OF, DAY_AFTER]


def test_same_events_in_another_order_give_the_same_fingerprints(built, built_lake, scene):
    lake = built_lake
    first = (built[1].fingerprint, build_interactions(lake, as_of=AS_OF).fingerprint)

    scene.fill(lake, some_events(scene)[::-1])

    assert build_user_features(lake, as_of=AS_OF).fingerprint == first[0]
    assert build_interactions(lake, as_of=AS_OF).fingerprint == first[1]


def test_late_event_changes_the_rebuilt_day(built, built_lake, scene):
    lake, before = built_lake, built[1]

    scene.fill(lake, [*some_events(scene), scene.event("login", scene.ben, "2026-01-02T08:00")])
    after = build_user_features(lake, as_of=AS_OF)

    assert after.fingerprint != before.fingerprint
    logins = lake.read(lake_tables.USER_FEATURES, f"user_key = '{scene.ben}'")[
        "logins_28d"
    ].to_pylist()
    assert logins == [1]


def test_empty_lake_gives_empty_partitions(lake):
    features, matrix = build_user_features(lake, as_of=AS_OF), build_interactions(lake, as_of=AS_OF)

    assert (features.rows, features.users, matrix.rows, matrix.density) == (0, 0, 0, 0.0)


def test_user_features_that_know_the_day_itself_are_refused_and_nothing_is_written(
    built_lake, monkeypatch
):
    lake = built_lake
    known = lake.fingerprint(lake_tables.USER_FEATURES)

    def leaky(history: History, *, as_of: date):
        return user_features(history, as_of=DAY_AFTER).mutate(as_of=as_of)

    monkeypatch.setattr(builds, "user_features", leaky)

    with pytest.raises(
        LeakageError, match=r"1 of 3 rows depend on an event at or after as_of 2026-01-10"
    ):
        build_user_features(lake, as_of=AS_OF)
    assert lake.fingerprint(lake_tables.USER_FEATURES) == known


def test_matrix_that_knows_the_day_itself_is_refused_and_nothing_is_written(
    lake, scene, monkeypatch
):
    scene.fill(lake, some_events(scene))

    def leaky(history: History, *, as_of: date, settings):
        return interactions(history, as_of=DAY_AFTER, settings=settings).mutate(as_of=as_of)

    monkeypatch.setattr(builds, "interactions", leaky)

    with pytest.raises(LeakageError, match="1 of 3 rows"):
        build_interactions(lake, as_of=AS_OF)
    assert lake.count(lake_tables.INTERACTIONS) == 0


def test_users_that_break_the_suite_are_named_and_the_partition_stays_as_it_was(built_lake, scene):
    lake = built_lake
    known = lake.fingerprint(lake_tables.USER_FEATURES)
    scene.fill(lake, [], users=[scene.user(scene.anna), scene.user(scene.ben, age_group="ancient")])

    with pytest.raises(
        DataError, match=r"Rows of the 2 user features .*: 1 of .*age_group.*: unknown_age_group"
    ):
        build_user_features(lake, as_of=AS_OF)
    assert lake.fingerprint(lake_tables.USER_FEATURES) == known


def test_written_columns_are_plain_delta_types(built):
    lake, _ = built

    snapshot = lake.snapshot(lake_tables.USER_FEATURES)

    assert snapshot is not None
    assert pa.schema(snapshot.schema().to_arrow()).names == lake_tables.USER_FEATURES.schema.names
