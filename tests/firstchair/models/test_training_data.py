"""What counts as taken, and so is left out of every family's lists."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from firstchair.features import build_user_features
from firstchair.lake import Lake, SparkSettings
from firstchair.lake import tables as t
from firstchair.models import load_training_data
from firstchair.settings import Settings
from tests.firstchair.features.conftest import Scene

AS_OF = date(2026, 2, 1)


def test_an_artist_followed_long_ago_and_never_played_is_taken(lake: Lake) -> None:
    scene = Scene()
    scene.fill(lake, [scene.event("follow", scene.anna, "2025-06-02", artist_id="x")])

    data = load_training_data(lake, as_of=AS_OF, labels=False)

    assert data.taken().toarray().tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_an_artist_without_a_name_is_called_by_its_id(lake: Lake) -> None:
    scene = Scene()
    scene.fill(lake, [scene.event("follow", scene.anna, "2026-01-10", artist_id="x")])
    artists = lake.read(t.ARTISTS)
    nameless = pa.nulls(artists.num_rows, pa.string())
    lake.overwrite(
        t.ARTISTS, artists.set_column(artists.schema.names.index("name"), "name", nameless)
    )

    data = load_training_data(lake, as_of=AS_OF, labels=False)

    assert data.artists["name"].tolist() == data.artist_ids.tolist()


def test_an_artist_unfollowed_may_be_listed_again_but_speaks_against_himself_unless_played(
    lake: Lake,
) -> None:
    scene = Scene()
    played = {"artist_id": "y", "track_id": "y1", "ms_played": 200_000}
    scene.fill(
        lake,
        [
            scene.event("follow", scene.anna, "2026-01-10", artist_id="x"),
            scene.event("unfollow", scene.anna, "2026-01-11", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-10", artist_id="y"),
            scene.event("play", scene.anna, "2026-01-10", **played),
            scene.event("unfollow", scene.anna, "2026-01-11", artist_id="y"),
        ],
    )

    data = load_training_data(lake, as_of=AS_OF, labels=False)

    assert data.taken().toarray()[0].tolist() == [0, 1, 0]
    assert data.confidence.toarray()[0, 0] < 0


def test_recent_is_what_was_liked_in_the_last_seven_days(lake: Lake) -> None:
    scene = Scene()
    scene.fill(
        lake,
        [
            scene.event("follow", scene.anna, "2026-01-24", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-25", artist_id="y"),
            scene.event("follow", scene.anna, "2026-01-31", artist_id="z"),
            scene.event("follow", scene.anna, "2026-02-01", artist_id="x"),
        ],
    )

    data = load_training_data(lake, as_of=AS_OF, labels=False)

    assert data.recent is not None
    assert data.recent.toarray()[0].tolist() == [0, 1, 1]


def test_data_say_that_spark_fits_als_where_it_is_set(lake: Lake, tmp_path: Path) -> None:
    scene = Scene()
    scene.fill(lake, [scene.event("follow", scene.anna, "2026-01-24", artist_id="x")])
    spark = SparkSettings.of(Settings(home=tmp_path, als_fitted_by="spark"))

    found = [
        load_training_data(one, as_of=AS_OF, labels=False).als_on
        for one in (lake, replace(lake, spark=spark))
    ]

    assert found == [None, spark]


def test_who_joined_after_a_day_that_was_built_is_in_its_data_as_one_who_did_nothing(
    lake: Lake, tmp_path: Path
) -> None:
    scene = Scene()
    follow = scene.event("follow", scene.anna, "2026-01-10", artist_id="x")
    login = scene.event("login", scene.anna, "2026-01-20")
    joined = scene.user("d" * 32, country="SE", created_at=datetime(2026, 2, 3, tzinfo=UTC))
    users = [*scene.catalogue()["users"], joined]
    scene.fill(lake, [follow, login])
    build_user_features(lake, as_of=AS_OF)
    scene.fill(lake, [follow, login], users=users)
    never_built = Lake(str(tmp_path / "never-built"))
    scene.fill(never_built, [follow, login], users=users)

    found, computed = (load_training_data(one, as_of=AS_OF) for one in (lake, never_built))

    assert found.users.loc["d" * 32, ["country", "lifecycle"]].tolist() == ["SE", "new"]
    assert found.users.equals(computed.users)
    assert found.fingerprint == computed.fingerprint
