"""Slates: whose list, what chance shows, and that the logged chances are the true ones."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from firstchair.promotion import Registry, Stage, bucket_of
from firstchair.serving.published import Published, open_published
from firstchair.serving.slates import EXPLORATION, Allocation, Slate, make_slate
from firstchair.sources import user_key
from tests.firstchair.serving.conftest import AS_OF, CHALLENGER, KEY, LENGTH, shifted

K = 5
PutOut = Callable[..., Path]
ALL_CHAMPION = Allocation(holdback_share=0)


def key(user: str) -> bytes:
    return bytes.fromhex(user_key(user, KEY))


def slate(published: Published, user: str, *, days: int = 0, seed: int = 1, k: int = K, **more: object) -> Slate:
    arguments = {"allocation": ALL_CHAMPION} | more
    return make_slate(published, key(user), k=k, day=AS_OF + timedelta(days=days), seed=seed, **arguments)


def names(published: Published, found: Slate) -> list[str]:
    return [published.artist_ids[artist] for artist in found.artists]


def test_logged_propensities_are_the_frequencies_of_what_is_shown(put_out: PutOut) -> None:
    published, draws = open_published(put_out()), 40_000
    shown: Counter[tuple[int, int]] = Counter()
    logged: dict[tuple[int, int], set[float]] = {}
    for seed in range(draws):
        found = slate(published, "user-3", seed=seed)
        for place, artist in enumerate(found.artists):
            shown[place, artist] += 1
            chance = found.explored_propensity if place == found.explored else found.propensity
            logged.setdefault((place, artist), set()).add(chance)

    outside = 30 - K  # 20 of the champion, 10 more of the challenger, less the first five
    assert len(shown) == K + K * outside
    for pair, count in shown.items():
        (chance,) = logged[pair]
        assert abs(count / draws - chance) < 5 * np.sqrt(chance * (1 - chance) / draws)
    total = sum(next(iter(chances)) for chances in logged.values())
    assert total == pytest.approx(K)


def test_no_artist_comes_twice_whatever_chance_shows(put_out: PutOut) -> None:
    published = open_published(put_out())

    found = [slate(published, f"user-{number % 30}", seed=number, k=1 + number % LENGTH) for number in range(2_000)]

    assert any(one.explored >= 0 for one in found)
    assert all(len(set(one.artists)) == len(one.artists) for one in found)


def test_the_same_user_on_the_same_day_sees_the_same_slate(put_out: PutOut) -> None:
    published = open_published(put_out())

    assert slate(published, "user-1") == slate(published, "user-1")
    assert len({slate(published, "user-1", days=day).explored for day in range(60)}) > 1


def test_the_list_in_its_order_where_chance_shows_nothing(put_out: PutOut) -> None:
    published = open_published(put_out())
    found = next(one for seed in range(50) if (one := slate(published, "user-7", seed=seed)).explored < 0)

    assert names(published, found) == shifted(7)[:K]
    assert (found.propensity, found.fallback) == (1 - EXPLORATION / K, None)


def test_lists_of_yesterday_are_told_stale(put_out: PutOut) -> None:
    assert slate(open_published(put_out()), "user-1", days=1).fallback == "stale"


def test_a_stranger_gets_a_full_cold_start_list_for_certain(put_out: PutOut) -> None:
    found = slate(open_published(put_out()), "nobody")

    assert (found.fallback, len(found.artists), found.propensity, found.explored) == ("cold_start", K, 1.0, -1)


def test_artists_that_are_left_out_are_not_shown_even_by_chance(put_out: PutOut) -> None:
    published = open_published(put_out())
    left_out = frozenset(slate(published, "user-2").artists[:2])

    found = [slate(published, "user-2", seed=seed, without=left_out) for seed in range(500)]

    assert all(len(one.artists) == K and not left_out & set(one.artists) for one in found)


def test_a_challenger_is_shown_in_canary_alone_and_to_its_share(put_out: PutOut, platform: Registry) -> None:
    shadow = open_published(put_out())
    platform.set_stage(CHALLENGER, Stage.CANARY)
    canary = open_published(put_out())
    half = Allocation(canary_share=0.5, holdback_share=0.1)

    def roles(published: Published) -> dict[str, str]:
        return {f"user-{n}": slate(published, f"user-{n}", allocation=half).role for n in range(30)}

    expected = {
        user: "challenger" if bucket < 5_000 else "holdback" if bucket >= 9_000 else "champion"
        for user in roles(canary)
        for bucket in [bucket_of(key(user), "first")]
    }
    assert roles(canary) == expected
    assert set(roles(shadow).values()) <= {"champion", "holdback"}


def test_a_share_that_grows_takes_nobody_out_of_the_challengers_arm() -> None:
    arms = [Allocation(canary_share=share) for share in (0.05, 0.2, 0.5)]

    members = [{bucket for bucket in range(10_000) if arm.role(bucket, canary=True) == "challenger"} for arm in arms]

    assert members[0] < members[1] < members[2]
    assert [len(one) for one in members] == [500, 2_000, 5_000]
