"""Slates: whose list, what chance shows, and that the logged chances are the true ones."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from firstchair.console.pages.listener import listener_page
from firstchair.console.sources import Sources
from firstchair.definitions.arms import Arms
from firstchair.login.slates import EXPLORATION, Slate, make_slate
from firstchair.publication.layout import NOBODY
from firstchair.publication.published import Published, open_published
from firstchair.sources import user_key
from tests.firstchair.serving.conftest import (
    ALL_CHAMPION,
    AS_OF,
    KEY,
    LENGTH,
    USERS,
    Stocked,
    shifted,
)

K = 5
PutOut = Callable[..., Path]


def key(user: str) -> bytes:
    return bytes.fromhex(user_key(user, KEY))


def slate(
    published: Published, user: str, *, days: int = 0, seed: int = 1, k: int = K, **more: object
) -> Slate:
    return make_slate(
        published, key(user), k=k, day=AS_OF + timedelta(days=days), seed=seed, **more
    )


def names(published: Published, found: Slate) -> list[str]:
    return [published.artist_ids[artist] for artist in found.artists]


def test_logged_propensities_are_the_frequencies_of_what_is_shown(put_copy: PutOut) -> None:
    published, draws = open_published(put_copy()), 40_000
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


def test_no_artist_comes_twice_whatever_chance_shows(put_copy: PutOut) -> None:
    published = open_published(put_copy())

    found = [
        slate(published, f"user-{number % 30}", seed=number, k=1 + number % LENGTH)
        for number in range(2_000)
    ]

    assert any(one.explored >= 0 for one in found)
    assert all(len(set(one.artists)) == len(one.artists) for one in found)


def test_the_same_user_on_the_same_day_sees_the_same_slate(put_copy: PutOut) -> None:
    published = open_published(put_copy())

    assert slate(published, "user-1") == slate(published, "user-1")
    assert len({slate(published, "user-1", days=day).explored for day in range(60)}) > 1


def test_the_list_in_its_order_where_chance_shows_nothing(put_copy: PutOut) -> None:
    published = open_published(put_copy())
    found = next(
        one for seed in range(50) if (one := slate(published, "user-7", seed=seed)).explored < 0
    )

    assert names(published, found) == shifted(7)[:K]
    assert (found.propensity, found.fallback) == (1 - EXPLORATION / K, None)


def test_lists_of_yesterday_are_told_stale(put_copy: PutOut) -> None:
    assert slate(open_published(put_copy()), "user-1", days=1).fallback == "stale"


def test_an_unknown_user_gets_a_full_cold_start_list_for_certain(put_copy: PutOut) -> None:
    found = slate(open_published(put_copy()), "nobody")

    assert (found.fallback, len(found.artists), found.propensity, found.explored) == (
        "cold_start",
        K,
        1.0,
        -1,
    )


def shortened(published: Published, **kept: int) -> Published:
    """The lists with only the first artists of those of some roles."""
    columns = dict(published.columns)
    for role, count in kept.items():
        artists = np.array(columns[role].artists).reshape(-1, LENGTH)
        artists[:, count:] = NOBODY
        columns[role] = replace(columns[role], artists=memoryview(artists.reshape(-1)))
    return replace(published, columns=columns)


def test_the_propensities_of_a_list_shorter_than_the_slate_are_the_frequencies(
    put_copy: PutOut,
) -> None:
    arms = ALL_CHAMPION.in_canary(0.5, salt="first/2")
    published = shortened(open_published(put_copy(arms=arms)), challenger=3)
    user = next(user for user in USERS if slate(published, user).role == "challenger")

    found = [slate(published, user, seed=seed) for seed in range(300)]

    assert {len(one.artists) for one in found} == {3}
    assert {one.explored >= 0 for one in found} == {True, False}
    assert {one.propensity for one in found} == {1 - EXPLORATION / 3}


@pytest.mark.parametrize("days", [0, 1])
def test_a_user_without_a_list_in_their_role_gets_the_champions(
    put_copy: PutOut, days: int
) -> None:
    arms = ALL_CHAMPION.in_canary(0.5, salt="first/2")
    whole = open_published(put_copy(arms=arms))
    published = shortened(whole, challenger=0)
    users = [user for user in USERS if slate(whole, user).role == "challenger"]

    found = slate(published, users[0], days=days)

    assert users and len(found.artists) == K
    assert (found.role, found.model) == ("champion", published.roles["champion"])
    assert found.fallback == ("stale" if days else None)
    assert found.propensity == 1 - EXPLORATION / K


@pytest.mark.parametrize("emptied", [{"champion": 0, "challenger": 0}, {"holdout": 0}])
def test_a_user_without_any_list_gets_what_unknown_users_get(
    put_copy: PutOut, emptied: dict[str, int]
) -> None:
    arms = Arms.without_stage(holdout_salt="first", holdout_share=0.5).in_canary(
        0.5, salt="first/2"
    )
    whole = open_published(put_copy(arms=arms))
    published = shortened(whole, **emptied)

    for user in USERS:
        if slate(whole, user).role in emptied:
            assert slate(published, user) == slate(published, "nobody of ours")


@pytest.mark.parametrize("emptied", [{"challenger": 0}, {"champion": 0, "challenger": 0}])
def test_the_page_of_a_listener_shows_the_list_and_model_of_their_login(
    put_copy: PutOut, stocked: Stocked, emptied: dict[str, int]
) -> None:
    whole = open_published(put_copy(arms=ALL_CHAMPION.in_canary(0.5, salt="first/2")))
    published = shortened(whole, **emptied)
    challenged = (user for user in USERS if slate(whole, user).role == "challenger")
    user = next(user for user in challenged if slate(published, user).explored < 0)
    sources = SimpleNamespace(lake=stocked.lake, pseudonym_key=KEY, published=lambda: published)

    page = listener_page(cast(Sources, sources), user)

    shown = slate(published, user)
    ids = [published.artist_ids[artist] for artist in shown.artists]
    assert page.arm is not None
    assert (page.arm.family, page.arm.version) == (shown.model.family, shown.model.version)
    assert page.arm.role == ("cold start: what is trending" if shown.fallback else shown.role)
    assert [item.artist_id for item in page.items][:K] == ids


def test_artists_that_are_left_out_are_not_shown_even_by_chance(put_copy: PutOut) -> None:
    published = open_published(put_copy())
    left_out = frozenset(slate(published, "user-2").artists[:2])

    found = [slate(published, "user-2", seed=seed, without=left_out) for seed in range(500)]

    assert all(len(one.artists) == K and not left_out & set(one.artists) for one in found)


def test_a_user_sees_the_list_of_the_role_that_was_published_for_their_bucket(
    put_copy: PutOut,
) -> None:
    arms = Arms.without_stage(holdout_salt="first", holdout_share=0.2).in_canary(
        0.5, salt="first/2"
    )
    published = open_published(put_copy(arms=arms))

    seen = {f"user-{n}": slate(published, f"user-{n}") for n in range(30)}

    roles = {user: arms.role(arms.bucket(key(user))) for user in seen}
    assert {user: found.role for user, found in seen.items()} == roles
    assert set(roles.values()) == {"champion", "challenger", "holdout"}
    starts = {"champion": 0, "challenger": 10}
    for number, (user, found) in enumerate(seen.items()):
        start = number + starts[found.role] if found.role in starts else 0
        listed = [
            artist
            for place, artist in enumerate(names(published, found))
            if place != found.explored
        ]
        assert set(listed) <= set(shifted(start)[:K]), user
