"""What is planted is what happens: expectations from the tastes against what listeners did."""

import numpy as np
import pandas as pd
import pytest

from firstchair.world import World
from firstchair.world.behaviour import CLICK, EXAMINATION, IMPRESSION, LOGIN, leaving
from firstchair.world.tastes import OVERSHOOT, expected_share_heard
from firstchair.world.truth import expectations
from tests.firstchair.world.conftest import Fixed, Make, same_for_all


def best_by_taste(world: World) -> np.ndarray:
    """Each user's ten artists by the inner product of taste and sound."""
    affinity = world.people.tastes @ world.music.vectors.T
    return np.argsort(-affinity, axis=1)[:, :10].astype(np.int64)


def whole(world: World, lists: dict[str, np.ndarray], day: int) -> dict[str, dict[str, float]]:
    return {r["model_version"]: r for r in expectations(world.life, day, lists) if r["segment"] == "all"}


def test_clicks_of_a_day_are_as_many_as_the_lists_were_expected_to_give(make: Make) -> None:
    world = make("steady", users=4_000)
    lists = {"mine": best_by_taste(world)}
    expected = whole(world, lists, 0)["mine"]["ctr"]

    happened = world.life.live(0, Fixed(lists, version="mine"))

    first = happened.slate < len(np.unique(happened.user[happened.kind == LOGIN]))
    shown, clicked = np.sum((happened.kind == IMPRESSION) & first), np.sum((happened.kind == CLICK) & first)
    assert abs(clicked / shown - expected) < 6 * np.sqrt(expected * (1 - expected) / shown)


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
