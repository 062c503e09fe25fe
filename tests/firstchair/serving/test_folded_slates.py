"""Slates of listeners who did something today: whose list, what is left out, and exact chances."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from firstchair.definitions.arms import Arms
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.login import folded_slates
from firstchair.login.folded_slates import folded_slate
from firstchair.login.slates import Slate, make_slate
from firstchair.models import Family, Recommender, load_training_data
from firstchair.promotion import Registry
from firstchair.publication import publish, ranking_files
from firstchair.publication.foldin import Folded, folded_row, uptake
from firstchair.publication.published import Published, open_published
from firstchair.signals.today import Signal
from firstchair.sources import user_key
from tests.firstchair.serving.conftest import (
    ALL_CHAMPION,
    ARTISTS,
    AS_OF,
    CHALLENGER,
    CHAMPION,
    KEY,
    LENGTH,
    TRENDING,
    shifted,
)

K = 5
PutOut = Callable[..., Path]
ALL_HOLDOUT = Arms.without_stage(holdout_salt="first", holdout_share=1.0)


@pytest.fixture(scope="module")
def published(publication: PutOut) -> Published:
    return open_published(publication(0, ALL_CHAMPION, True))


def said(*kinds_and_artists: tuple[str, str]) -> tuple[Signal, ...]:
    return tuple(
        Signal(f"e{n}", kind, artist, "", 0, n)
        for n, (kind, artist) in enumerate(kinds_and_artists)
    )


def clicks(*artists: str) -> tuple[Signal, ...]:
    return said(*(("click", artist) for artist in artists))


def slate(
    published: Published,
    user: str,
    signals: tuple[Signal, ...],
    *,
    days: int = 0,
    seed: int = 1,
    k: int = K,
) -> Slate | None:
    key = bytes.fromhex(user_key(user, KEY))
    day = AS_OF + timedelta(days=days)
    return folded_slate(published, key, signals, k=k, day=day, seed=seed)


def made(*arguments: object, **more: object) -> Slate:
    found = slate(*arguments, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def names(published: Published, found: Slate) -> list[str]:
    return [published.artist_ids[artist] for artist in found.artists]


def reasons(published: Published, found: Slate) -> list[str]:
    return [
        found.texts.get(place) or published.reason(number)
        for place, number in enumerate(found.reasons)
    ]


def plain(published: Published, user: str, signals: tuple[Signal, ...], **more: object) -> Slate:
    """A slate in which chance shows nothing."""
    slates = (made(published, user, signals, seed=seed, **more) for seed in range(100))
    return next(found for found in slates if found.explored < 0)


def test_a_cold_listener_has_a_list_of_his_own_after_three_clicks(published: Published) -> None:
    found = plain(published, "nobody", clicks("a004", "a008", "a012"))

    assert (found.fallback, found.model.family, found.model.version, found.role) == (
        None,
        "als",
        CHAMPION,
        "champion",
    )
    assert {int(artist[1:]) % 2 for artist in names(published, found)} == {0}
    assert not {"a004", "a008", "a012"} & set(names(published, found))
    assert len(found.artists) == K
    assert all('The "a0' in reason for reason in reasons(published, found))


def test_a_folded_list_is_as_diverse_as_the_published_ones(
    put_out_matrix: PutOut, platform: Registry, lake: Lake
) -> None:
    root = put_out_matrix()
    asked = clicks("a004", "a008", "a012")
    before = plain(open_published(root), "nobody", asked, k=LENGTH)
    catalogue = lake.read(t.ARTISTS).to_pylist()
    for artist in catalogue:
        artist["genres"] = ["fado"] if int(artist["artist_id"][1:]) % 4 else ["jazz"]
    lake.overwrite(t.ARTISTS, pa.Table.from_pylist(catalogue, schema=t.ARTISTS.schema))

    publish(
        lake,
        platform,
        as_of=AS_OF,
        root=root,
        list_length=LENGTH,
        arms=ALL_CHAMPION,
        diversity=0.9,
    )
    published = open_published(root)
    found = plain(published, "nobody", asked, k=LENGTH)

    assert sorted(zip(found.artists, found.scores, strict=True)) == sorted(
        zip(before.artists, before.scores, strict=True)
    )
    assert found.artists[0] == before.artists[0]
    first, second = (int(artist[1:]) % 4 for artist in names(published, found)[:2])
    assert (first == 0) != (second == 0)


@pytest.mark.parametrize("user", ["nobody", "user-4"])
def test_a_user_who_takes_the_last_artist_today_is_shown_what_is_trending(
    published: Published, user: str
) -> None:
    trending = make_slate(published, bytes(16), k=K, day=AS_OF, seed=1)

    found = slate(published, user, clicks(*ARTISTS))

    assert found == trending
    assert len(trending.artists) == K


def test_where_the_champion_is_no_als_a_cold_listener_is_served_by_that_of_the_day(
    put_out_matrix: PutOut, platform: Registry
) -> None:
    platform.set_alias("champion", "2")
    published = open_published(put_out_matrix())

    found = plain(published, "nobody", clicks("a004", "a008", "a012"))

    assert (found.model.family, found.model.version, found.role, found.fallback) == (
        "als",
        CHAMPION,
        "cold_start",
        None,
    )


def test_a_warm_listeners_list_follows_what_he_did_today(published: Published) -> None:
    odd_today = clicks("a021", "a023", "a025", "a027", "a029", "a031", "a033", "a035")

    found = plain(published, "user-4", odd_today, k=LENGTH)

    shown = names(published, found)
    assert sum(int(artist[1:]) % 2 for artist in shown[:6]) > 0
    assert not {"a000", "a002", "a004", "a006", "a021"} & set(shown)
    assert found.scores == sorted(found.scores, reverse=True)


@pytest.mark.parametrize("arms", [ALL_CHAMPION, ALL_HOLDOUT])
def test_what_was_taken_up_or_refused_today_is_not_shown_even_by_chance(
    publication: PutOut, arms: Arms
) -> None:
    published = open_published(publication(0, arms, True))
    cases = [
        (user, said((kind, "a002"), (kind, "a003")))
        for kind in ("click", "follow", "unfollow")
        for user in ("user-2", "nobody")
    ]

    found = [
        made(published, user, signals, seed=seed) for user, signals in cases for seed in range(200)
    ]

    assert all(not {"a002", "a003"} & set(names(published, one)) for one in found)
    assert all(len(set(one.artists)) == len(one.artists) == K for one in found)


def test_a_list_of_another_family_is_kept_less_what_he_took_up(publication: PutOut) -> None:
    published = open_published(publication(0, ALL_HOLDOUT, True))

    found = plain(published, "user-3", clicks("a001", "a030"))

    assert names(published, found) == [artist for artist in shifted(0) if artist != "a001"][:K]
    assert (found.model.family, found.model.version, found.role) == (
        "trending",
        TRENDING,
        "holdout",
    )
    assert reasons(published, found)[0] == "because you play a000"


def test_an_unknown_user_who_only_refused_gets_what_is_trending_without_it(
    published: Published,
) -> None:
    usual = make_slate(published, bytes(16), k=K, day=AS_OF, seed=1)
    first = published.artist_ids[usual.artists[0]]

    found = made(published, "nobody", said(("unfollow", first)))

    assert found.artists[: K - 1] == usual.artists[1:]
    assert (found.fallback, found.role) == ("cold_start", "cold_start")


def test_signals_that_say_nothing_change_nothing(published: Published) -> None:
    skip = Signal("e", "play", "a001", "t", 10, 0)

    assert [slate(published, "user-1", signals) for signals in ((), clicks("nobody"), (skip,))] == [
        None
    ] * 3


def test_without_a_matrix_of_the_day_the_lists_stay_as_they_are(publication: PutOut) -> None:
    published = open_published(publication(0, ALL_CHAMPION, False))

    assert slate(published, "user-1", clicks("a001")) is None


def test_folded_lists_on_old_factors_are_told_stale(published: Published) -> None:
    found = [made(published, user, clicks("a004"), days=1) for user in ("user-1", "nobody")]

    assert [one.fallback for one in found] == ["stale", "stale"]


@pytest.mark.parametrize("user", ["user-3", "nobody"])
def test_logged_propensities_are_the_frequencies_of_what_is_shown(
    published: Published, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    # Nothing is drawn before the fold: one solve is that of all draws.
    solved = []
    fold = folded_slates.fold

    def solved_once(*row: Any, **settings: Any) -> Folded | None:
        if not solved:
            solved.append(fold(*row, **settings))
        return solved[0]

    monkeypatch.setattr(folded_slates, "fold", solved_once)
    draws = 10_000
    shown: Counter[tuple[int, int]] = Counter()
    logged: dict[tuple[int, int], set[float]] = {}
    for seed in range(draws):
        found = made(published, user, clicks("a021", "a023"), seed=seed)
        for place, artist in enumerate(found.artists):
            shown[place, artist] += 1
            explored = place == found.explored
            logged.setdefault((place, artist), set()).add(
                found.explored_propensity if explored else found.propensity
            )

    for pair, count in shown.items():
        (chance,) = logged[pair]
        assert abs(count / draws - chance) < 5 * np.sqrt(chance * (1 - chance) / draws)
    assert sum(next(iter(chances)) for chances in logged.values()) == pytest.approx(K)


def test_one_slate_for_one_day_and_the_same_signals(published: Published) -> None:
    assert made(published, "user-1", clicks("a004")) == made(published, "user-1", clicks("a004"))


@pytest.fixture
def ranked(put_out_matrix: PutOut, platform: Registry, lake: Lake, users: list[str]) -> Path:
    """Lists of a champion of XGBoost, of users of whom something is known beside their row."""
    # More countries than age groups: their numbers are told apart.
    countries = [("CL", "DE", "FR", "SE", "US")[number % 5] for number in range(len(users))]
    known = {"user_key": [user_key(user, KEY) for user in users], "country": countries}
    created = {
        "created_at": [datetime(2025, 1, 1, tzinfo=UTC)] * len(users),
        "age_group": ["25-34"] * len(users),
    }
    absent = {
        name: pa.nulls(len(users), t.USERS.schema.field(name).type) for name in t.USERS.schema.names
    }
    lake.overwrite(
        t.USERS, pa.table(absent | {k: pa.array(v) for k, v in (known | created).items()})
    )
    platform.set_alias("champion", CHALLENGER)
    platform.drop_alias("challenger")
    return put_out_matrix()


def test_a_list_of_the_ranker_is_as_the_batch_would_have_made_it_with_todays_signals(
    ranked: Path, lake: Lake, fitted: dict[Family, Recommender]
) -> None:
    published = open_published(ranked)
    odd_today = clicks("a021", "a023", "a025", "a027", "a029", "a031", "a033", "a035")

    found = plain(published, "user-4", odd_today, k=LENGTH)

    data = load_training_data(lake, as_of=AS_OF, labels=False)
    place = data.user_keys.tolist().index(user_key("user-4", KEY))
    today = uptake(odd_today, number_of=published.number_of, length_ms=lambda _: 0)
    assert published.folding is not None
    row = folded_row(
        published.folding.row(published.row(bytes.fromhex(user_key("user-4", KEY)))), today
    )
    confidence = data.confidence.tolil()
    confidence[place, row.artists] = row.confidence
    known = replace(data, confidence=confidence.tocsr())
    batch = fitted[Family.XGBOOST].recommend(known, np.array([place]), LENGTH)
    assert (found.model.family, found.model.version, found.role) == (
        "xgboost",
        CHALLENGER,
        "champion",
    )
    assert names(published, found) == [data.artist_ids[artist] for artist in batch.artists[0]]
    np.testing.assert_allclose(np.array(found.scores) / 10_000, batch.scores[0], atol=1e-3)


def test_reasons_of_the_ranker_are_the_published_ones_and_else_name_what_he_plays(
    ranked: Path,
) -> None:
    published = open_published(ranked)

    found = plain(published, "user-4", clicks("a021"), k=LENGTH)

    listed = dict(
        zip(shifted(14), (f"because you play {artist}" for artist in shifted(14)), strict=True)
    )
    for artist, reason in zip(names(published, found), reasons(published, found), strict=True):
        assert reason == listed.get(artist, reason)
        assert reason.startswith(("because you play", 'Because you listen to The "a0', "To widen"))
    assert set(names(published, found)) - set(listed)


def test_what_was_refused_or_taken_up_today_is_in_no_list_of_the_ranker(ranked: Path) -> None:
    published = open_published(ranked)
    signals = said(("click", "a002"), ("unfollow", "a003"), ("follow", "a004"))

    found = [made(published, "user-5", signals, seed=seed, k=LENGTH) for seed in range(20)]

    assert all(not {"a001", "a002", "a003", "a004"} & set(names(published, one)) for one in found)
    assert all(one.scores[0] == max(one.scores) for one in found if one.explored < 0)


def test_a_ranker_too_large_for_a_worker_leaves_its_lists_as_they_are(
    put_out_matrix: PutOut, platform: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking_files, "MOST_BYTES", 1_000)
    platform.set_alias("champion", CHALLENGER)
    published = open_published(put_out_matrix())

    found = plain(published, "user-3", clicks("a013"))

    assert not published.rankers
    assert found.model.family == "xgboost"
    assert names(published, found) == [artist for artist in shifted(13) if artist != "a013"][:K]
