"""What is planted is what happens: expectations from the tastes against what listeners did."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from firstchair.definitions.attribution import shown_sql
from firstchair.lake import connect
from firstchair.lake.tables import EVENTS, UTC_INSTANT
from firstchair.world import World
from firstchair.world.behaviour import (
    CLICK,
    EXAMINATION,
    IMPRESSION,
    KINDS,
    LOGIN,
    Happenings,
    leaving,
)
from firstchair.world.tastes import OVERSHOOT, expected_share_heard
from firstchair.world.truth import expectations
from tests.firstchair.world.conftest import Fixed, Make, same_for_all


def best_by_taste(world: World) -> np.ndarray:
    """Each user's ten artists by the inner product of taste and sound."""
    affinity = world.people.tastes @ world.music.vectors.T
    return np.argsort(-affinity, axis=1)[:, :10].astype(np.int64)


def whole(world: World, lists: dict[str, np.ndarray], day: int) -> dict[str, dict[str, float]]:
    return {
        r["model_version"]: r for r in expectations(world.life, day, lists) if r["segment"] == "all"
    }


def test_clicks_of_a_day_are_as_many_as_the_lists_were_expected_to_give(make: Make) -> None:
    world = make("steady", users=4_000)
    lists = {"mine": best_by_taste(world)}
    expected = whole(world, lists, 0)["mine"]["ctr"]

    happened = world.life.live(0, Fixed(lists, version="mine"))

    first = happened.slate < len(np.unique(happened.user[happened.kind == LOGIN]))
    shown, clicked = (
        np.sum((happened.kind == IMPRESSION) & first),
        np.sum((happened.kind == CLICK) & first),
    )
    assert abs(clicked / shown - expected) < 6 * np.sqrt(expected * (1 - expected) / shown)


def test_what_comes_of_a_slate_is_counted_on_the_day_of_the_slate(make: Make) -> None:
    world = make("steady", users=400)
    lists = {"mine": best_by_taste(world)}

    events = [as_events(world.life.live(day, Fixed(lists, version="mine")), day) for day in (0, 1)]

    with connect() as connection:
        connection.register("events", pa.concat_tables(events))
        found = connection.sql(shown_sql("events")).df()
    for day, lived in enumerate(events):
        rows = lived.to_pandas()
        things = found[found["event_date"].dt.dayofyear == day + 1]
        kinds = rows["event_type"].value_counts()
        assert len(things) == kinds["impression"]
        assert things["clicked"].sum() == kinds["click"]
        assert (
            things["played"].sum()
            == ((rows["event_type"] == "play") & (rows["slate_id"] != "-1")).sum()
        )
        assert (things["clicked_on"].dropna() == things["event_date"][things["clicked"]]).all()


def as_events(h: Happenings, day: int) -> pa.Table:
    """Accepted events, of the first days of 2026."""
    midnight = np.datetime64("2026-01-01T00:00:00", "us") + np.timedelta64(day, "D")
    columns = {
        "event_id": [f"{day}-{row}" for row in range(len(h))],
        "event_type": np.array(KINDS)[h.kind],
        "occurred_at": pa.array(midnight + h.ms.astype("timedelta64[ms]")).cast(UTC_INSTANT),
        "event_date": pa.array(midnight + h.ms.astype("timedelta64[ms]")).cast(pa.date32()),
        "user_key": h.user.astype(str),
        "slate_id": h.slate.astype(str),
        "artist_id": h.artist.astype(str),
    }
    count = len(h)
    return pa.table(
        {
            f.name: pa.array(columns[f.name]).cast(f.type)
            if f.name in columns
            else pa.nulls(count, f.type)
            for f in EVENTS.schema
        }
    )


def test_lists_by_taste_beat_popular_ones_and_those_beat_lists_by_chance(make: Make) -> None:
    world = make("steady")
    popular = np.argsort(-world.music.log_popularity)
    lists = {
        "taste": best_by_taste(world),
        "popular": same_for_all(world, popular),
        "chance": same_for_all(world, np.arange(100, 110)),
    }

    found = whole(world, lists, 3)

    assert found["taste"]["ctr"] > 1.5 * max(found["popular"]["ctr"], found["chance"]["ctr"])
    assert found["taste"]["churned_14"] < found["chance"]["churned_14"]
    assert found["taste"]["listen_through"] > found["chance"]["listen_through"]


def test_segments_are_parts_of_the_whole(make: Make) -> None:
    world = make("steady")
    rows = pd.DataFrame(expectations(world.life, 0, {"mine": best_by_taste(world)}))

    counts = rows.groupby("segment")["users"].sum()

    assert set(counts.index) == {"all", "lifecycle", "country", "age_group", "gender"}
    assert counts.nunique() == 1


def test_users_are_new_for_30_days_from_the_one_of_their_account(make: Make) -> None:
    world = make("steady")
    rows = expectations(world.life, 3, {"mine": best_by_taste(world)})
    today = world.life.start + timedelta(days=3)
    present = world.life.present(3)

    new = sum((today - world.people.created_on[user]).days < 30 for user in np.flatnonzero(present))

    counts = {row["segment_value"]: row["users"] for row in rows if row["segment"] == "lifecycle"}
    assert counts == {"new": new, "long_term": present.sum() - new}


def test_who_gets_less_leaves_sooner() -> None:
    joy = np.linspace(0, 2, 9, dtype=np.float32)

    assert (np.diff(leaving(joy)) < 0).all()


@pytest.mark.parametrize("keenness", [0.12, 0.4, 1.2, 4.0])
def test_the_expected_share_heard_is_the_mean_of_what_is_heard(keenness: float) -> None:
    drawn = np.clip(np.random.default_rng(1).beta(keenness, 1.0, 400_000) * OVERSHOOT, 0, 1)

    expected = expected_share_heard(np.array([keenness], dtype=np.float32))[0]

    assert drawn.mean() == pytest.approx(expected, abs=4 * drawn.std() / np.sqrt(len(drawn)))


def test_truth_is_kept_day_by_day_where_no_pipeline_reads(make: Make) -> None:
    world = make("steady", days=3)
    lists = {"a": best_by_taste(world), "b": same_for_all(world, np.arange(10))}

    for _ in range(3):
        world.step(Fixed(lists, version="a"))

    kept = pd.read_parquet(world.truth / "expected.parquet")
    assert sorted(kept["day"].astype(str).unique()) == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert set(kept["model_version"]) == {"a", "b"}
    assert kept["ctr"].between(0, EXAMINATION[0]).all()


def test_hits_go_on_for_as_long_as_a_world_and_a_longer_one_has_the_same(make: Make) -> None:
    small = {"users": 50, "artists": 100}
    short, long = (make("better-challenger", days=days, **small).life.tastes for days in (30, 900))

    totals = [long.by_country.on(day, 40, 100).sum() for day in (10, 460, 890)]

    assert min(totals) > 0.5 * max(totals) > 0
    for day in (0, 200, 399):
        np.testing.assert_array_equal(long.by_age.on(day, 10, 100), short.by_age.on(day, 10, 100))
