"""Each scenario is what its name says, in the truth of lists that differ."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from firstchair.lake import Lake
from firstchair.world import SCENARIOS, World
from firstchair.world.behaviour import IMPRESSION
from firstchair.world.geography import COUNTRIES
from tests.firstchair.world.conftest import Fixed, Make, same_for_all
from tests.firstchair.world.test_truth import best_by_taste, whole


def hits(world: World, day: int) -> np.ndarray:
    """What is a hit in each user's country and age band on the day."""
    country = world.life.tastes.by_country.on(day, len(COUNTRIES), len(world.music))
    age = world.life.tastes.by_age.on(day, 8, len(world.music))
    heat = country[world.people.country] + age[world.people.age_band]
    return np.argsort(-heat, axis=1)[:, :10].astype(np.int64)


def by_country(
    world: World, lists: dict[str, np.ndarray], day: int
) -> dict[tuple[str, str], float]:
    from firstchair.world.truth import expectations

    rows = expectations(world.life, day, lists)
    return {
        (r["model_version"], r["segment_value"]): r["ctr"]
        for r in rows
        if r["segment"] == "country"
    }


def test_in_better_challenger_lists_of_local_hits_are_truly_better_than_anybodys(
    make: Make,
) -> None:
    fashionable, steady = make("better-challenger"), make("steady")

    found = whole(
        fashionable,
        {"hits": hits(fashionable, 9), "chance": same_for_all(fashionable, range(10))},
        9,
    )
    plain = whole(steady, {"hits": hits(steady, 9), "chance": same_for_all(steady, range(10))}, 9)

    assert found["hits"]["ctr"] > 2 * found["chance"]["ctr"]
    assert plain["hits"]["ctr"] < 1.5 * plain["chance"]["ctr"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_newcomers_appear_at_even_intervals_and_none_is_a_star(make: Make, seed: int) -> None:
    music = make("better-challenger", seed=seed).music
    newcomers = music.debut >= 0

    assert newcomers.sum() == round(0.15 * len(music))
    assert np.ptp(np.diff(np.sort(music.debut[newcomers]))) <= 1
    assert music.log_popularity[newcomers].max() <= 0 < music.log_popularity.max()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hits_are_heard_as_gladly_as_they_are_clicked_where_tastes_follow_them(
    make: Make, seed: int
) -> None:
    def ratios(name: str) -> tuple[float, float]:
        world = make(name, seed=seed)
        found = whole(world, {"hits": hits(world, 9), "own": best_by_taste(world)}, 9)
        clicks, heard = (found["hits"][of] / found["own"][of] for of in ("ctr", "listen_through"))
        return clicks, heard

    assert all(ratio > 1 for ratio in ratios("better-challenger"))
    assert all(ratio < 0.9 for ratio in ratios("steady"))


def test_with_no_difference_all_lists_are_worth_the_same(make: Make) -> None:
    world = make("no-difference")
    lists = {
        "taste": best_by_taste(world),
        "same": same_for_all(world, range(10)),
        "hits": hits(world, 9),
    }

    found = whole(world, lists, 9)

    for name in ("ctr", "listen_through", "churned_7", "churned_14"):
        assert len({round(row[name], 6) for row in found.values()}) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_harm_to_a_segment_is_in_its_country_alone_and_from_its_day_on(
    make: Make, seed: int
) -> None:
    world = make("harms-a-segment", change_on=9, seed=seed)

    def harmed(day: int) -> dict[str, float]:
        chance = same_for_all(world, range(10))
        mixed = np.concatenate([hits(world, day)[:, :5], chance[:, 5:]], axis=1)
        found = by_country(world, {"with hits": mixed, "chance": chance}, day)
        effects = {
            country: found["with hits", country] / found["chance", country] - 1
            for country in COUNTRIES
        }
        return {country: effect for country, effect in effects.items() if effect < 0}

    assert not harmed(8)
    assert set(harmed(9)) == {"US"}
    assert harmed(9)["US"] < -0.3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bait_is_clicked_and_not_heard(make: Make, seed: int) -> None:
    world = make("click-bait", seed=seed)

    found = whole(world, {"bait": hits(world, 5), "chance": same_for_all(world, range(10))}, 5)

    assert found["bait"]["ctr"] > 3 * found["chance"]["ctr"]
    assert found["bait"]["listen_through"] < 0.5 * found["chance"]["listen_through"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_taste_shifts_on_its_day_and_not_before(make: Make, seed: int) -> None:
    world = make("taste-shift", change_on=10, seed=seed)

    def gain(day: int) -> float:
        found = whole(world, {"hits": hits(world, day), "own": best_by_taste(world)}, day)
        return found["hits"]["ctr"] / found["own"]["ctr"]

    assert gain(10) < 0.3 * gain(9)


def test_what_is_new_to_the_eye_is_clicked_more_until_it_was_seen(make: Make) -> None:
    world = make("novelty")
    lists = {"seen": same_for_all(world, range(10)), "unseen": same_for_all(world, range(20, 30))}
    for day in range(8):
        world.life.live(day, Fixed(lists, version="seen"))

    fresh = whole(world, lists, 8)
    for day in range(8, 24):
        world.life.live(day, Fixed(lists, version="unseen"))
    later = whole(world, lists, 24)

    assert fresh["unseen"]["ctr"] > 1.2 * fresh["seen"]["ctr"]
    assert later["unseen"]["ctr"] < later["seen"]["ctr"]


def test_where_the_split_is_broken_one_device_never_renders_a_challenger(make: Make) -> None:
    world = make("traffic-split-broken")
    lists = {"new": same_for_all(world, range(10))}
    on_tv = np.flatnonzero(world.people.source == 2)

    by_role = {}
    for day, role in enumerate(("champion", "challenger")):
        happened = world.life.live(day, Fixed(lists, version="new", role=role))
        by_role[role] = set(happened.user[happened.kind == IMPRESSION]) & set(on_tv)

    assert by_role["champion"]
    assert not by_role["challenger"]


def days_of_lines(world: World) -> Counter[tuple[str, str]]:
    """Number of lines by the day delivered and the day they happened."""
    found: Counter[tuple[str, str]] = Counter()
    for path in sorted(Path(world.store.root).rglob("*.jsonl.gz")):
        if path.name != "cut-off.jsonl.gz":
            for line in gzip.decompress(path.read_bytes()).splitlines():
                found[path.parent.name, json.loads(line)["occurred_at"][:10]] += 1
    return found


def test_late_events_come_after_their_day(make: Make) -> None:
    world = make("late-events", users=200, days=12, change_on=5)
    for _ in range(12):
        world.step()

    found = days_of_lines(world)

    on_time, later = found["2026-01-06", "2026-01-06"], found["2026-01-07", "2026-01-06"]
    assert later + found["2026-01-08", "2026-01-06"] > 0.5 * on_time
    assert found["2026-01-04", "2026-01-03"] < 0.2 * found["2026-01-03", "2026-01-03"]


def test_in_an_outage_a_sender_is_silent_and_then_sends_all(make: Make) -> None:
    world = make("outage", users=200, days=12, change_on=5)
    for _ in range(12):
        world.step()

    sources = {
        path.parent.name: {p.name.split("-")[0] for p in path.parent.glob("*-?.jsonl.gz")}
        for path in Path(world.store.root).rglob("*.gz")
    }
    assert "ios" in sources["2026-01-05"]
    assert "ios" not in sources["2026-01-06"] | sources["2026-01-07"]
    assert world.delivery.planted.late > 100


def test_on_a_bad_data_day_exactly_what_was_broken_is_refused(make: Make, lake: Lake) -> None:
    from datetime import UTC, datetime

    from firstchair.events import ingest

    world = make("bad-data-day", users=200, days=8, change_on=5)
    for _ in range(8):
        world.step()

    report = ingest(
        lake, events_url=world.store.root, pseudonym_key=b"k", now=datetime(2026, 2, 1, tzinfo=UTC)
    )

    planted = {
        reason: n
        for reason, n in world.delivery.planted.quarantined.items()
        if reason in report.quarantined
    }
    assert report.quarantined["bad_type"] == planted["bad_type"] > 100


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_says_what_it_is_and_what_should_come_of_it(make: Make, name: str) -> None:
    world = make(name, users=30, artists=40, days=2)

    told = json.loads((world.truth / "scenario.json").read_text())

    assert told["name"] == name
    assert told["told"]
    assert told["expected"] in {"promote", "hold", "reject", "roll_back"}
