"""Fold-in, against what the batch makes of the same signals."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair import models
from firstchair.features import ConfidenceSettings, interactions
from firstchair.models import Family
from firstchair.models.als import ALS
from firstchair.publication.factors import Factors, Row
from firstchair.publication.foldin import Folded, Uptake, fold, folded_row, reasons, uptake
from firstchair.signals.today import Signal
from tests.firstchair.features.conftest import Scene, compiled
from tests.firstchair.models.toys import ARTISTS, checkerboard, training_data

AS_OF = date(2026, 2, 1)
# Today counts in full, so the batch it is held against must not decay either.
UNDECAYED = replace(ConfidenceSettings(), half_life_days=1e12)
NAMES = [f"a{number:03d}" for number in range(ARTISTS)]
TRACK_MS = 200_000
NOTHING = Row(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
Said = tuple[str, int, int]


def event(scene: Scene, said: Said, at: datetime) -> dict[str, Any]:
    kind, artist, ms_played = said
    played = {"track_id": f"t{artist}", "ms_played": ms_played} if kind == "play" else {}
    return scene.event(kind, scene.anna, at, artist_id=NAMES[artist], **played)


def signal(said: Said, number: int = 0) -> Signal:
    kind, artist, ms_played = said
    return Signal(f"e{number:06d}", kind, NAMES[artist], f"t{artist}", ms_played, 1.0 + number)


def number_of(artist_id: str) -> int:
    return NAMES.index(artist_id) if artist_id in NAMES else -1


def length_ms(track_id: str) -> int:
    return TRACK_MS if int(track_id[1:]) % 2 else 0


def taken_up(said: Sequence[Said]) -> Uptake:
    signals = [signal(one, number) for number, one in enumerate(said)]
    return uptake(signals, number_of=number_of, length_ms=length_ms)


@pytest.fixture(scope="module")
def als() -> ALS:
    model = models.fit(Family.ALS, checkerboard(labelled=False), seed=1)
    assert isinstance(model, ALS)
    return model


@pytest.fixture(scope="module")
def factors(als: ALS) -> Factors:
    longest = float(np.linalg.norm(als.artist_factors, axis=1).max())
    return Factors(
        "1", als.alpha, longest, als.artist_factors, als.gram, np.zeros(0, dtype=np.int64)
    )


Batch = Callable[[Sequence[Said], Sequence[Said]], Row]


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Makes Anna's row of the matrix out of what happened before and, if anything did, today."""
    scene = Scene()
    tracks = [scene.track(f"t{n}", NAMES[n], TRACK_MS if n % 2 else None) for n in range(ARTISTS)]
    history = scene.history([], tracks=tracks)
    yesterday, today = (
        compiled(interactions(history, as_of=day, settings=UNDECAYED).order_by("artist_id"))
        for day in (AS_OF, AS_OF + timedelta(days=1))
    )

    def made_of(before: Sequence[Said], of_today: Sequence[Said]) -> Row:
        start = datetime(2026, 1, 20, tzinfo=UTC)
        noon = datetime(2026, 2, 1, 12, tzinfo=UTC)
        events = [event(scene, one, start + timedelta(minutes=n)) for n, one in enumerate(before)]
        events += [event(scene, one, noon + timedelta(minutes=n)) for n, one in enumerate(of_today)]
        rows = (today if of_today else yesterday)(events)
        artists = [number_of(artist) for artist in rows.column("artist_id").to_pylist()]
        return Row(np.array(artists, dtype=np.int32), _signed(rows))

    return made_of


def _signed(rows: pa.Table) -> np.ndarray:
    confidence = rows.column("confidence").to_numpy()
    return np.where(rows.column("preference").to_numpy() > 0, confidence, -confidence).astype(
        np.float32
    )


def dense(row: Row) -> np.ndarray:
    wide = np.zeros((1, ARTISTS), dtype=np.float32)
    wide[0, row.artists] = row.confidence
    return wide


def plays_and_clicks(artists: range) -> st.SearchStrategy[Said]:
    played = st.tuples(st.just("play"), st.sampled_from(artists), st.integers(0, 400_000))
    return st.one_of(played, st.tuples(st.just("click"), st.sampled_from(artists), st.just(0)))


def follows(artists: range, *kinds: str) -> st.SearchStrategy[Said]:
    return st.tuples(st.sampled_from(kinds), st.sampled_from(artists), st.just(0))


shown = st.tuples(st.just("impression"), st.sampled_from(range(25, 30)), st.just(0))
heard_before = st.lists(
    st.one_of(plays_and_clicks(range(20)), follows(range(20, 25), "follow"), shown), max_size=60
)
heard_today = st.lists(
    st.one_of(plays_and_clicks(range(10, 35)), follows(range(25, 40), "follow", "unfollow")),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=heard_before, today=heard_today)
def test_a_fold_in_is_what_the_batch_makes_of_the_same_signals(
    als: ALS, factors: Factors, batch: Batch, before: list[Said], today: list[Said]
) -> None:
    published = batch(before, [])
    whole = training_data(dense(batch(before, today)), AS_OF)

    up = taken_up(today)
    row = folded_row(published, up, settings=UNDECAYED)
    folded = fold(factors, published, up, k=ARTISTS, settings=UNDECAYED)

    assert dense(row) == pytest.approx(whole.confidence.toarray(), rel=1e-4, abs=1e-5)
    if not whole.warm()[0]:
        assert folded is None
        return
    assert folded is not None
    expected = als.recommend(whole, np.array([0]), ARTISTS)
    said = {
        int(a): s for a, s in zip(expected.artists[0], expected.scores[0], strict=True) if a >= 0
    }
    unwanted = up.refused & said.keys()  # the batch only pushes them down
    assert dict(zip(folded.artists, folded.scores, strict=True)) == pytest.approx(
        {artist: score for artist, score in said.items() if artist not in unwanted}, abs=1e-4
    )
    assert folded.scores == sorted(folded.scores, reverse=True)


def test_three_clicks_make_a_list_in_their_direction_and_say_so(factors: Factors) -> None:
    folded = fold(
        factors, NOTHING, taken_up([("click", 4, 0), ("click", 8, 0), ("click", 12, 0)]), k=8
    )

    assert folded is not None
    assert {artist % 2 for artist in folded.artists} == {0}
    assert not {4, 8, 12} & set(folded.artists)
    assert all(-1 <= score <= 1 for score in folded.scores)
    said = reasons(factors, folded, folded.artists, lambda artist: f"Artist {artist}")
    named = {
        name for text in said for name in text.removeprefix("Because you listen to ").split(" and ")
    }
    assert named <= {"Artist 4", "Artist 8", "Artist 12"}


def test_what_was_before_counts_less_the_older_the_list_is(factors: Factors) -> None:
    row = Row(np.array([1, 3, 5], dtype=np.int32), np.full(3, 2, dtype=np.float32))
    today = taken_up([("click", 4, 0), ("click", 8, 0)])

    lists = [fold(factors, row, today, k=ARTISTS, faded=faded) for faded in (1.0, 0.001)]

    even = [
        np.mean([artist % 2 == 0 for artist in folded.artists[:10]]) for folded in lists if folded
    ]
    assert even[0] < even[1] == 1


@pytest.mark.parametrize(
    ("said", "strengths", "refused"),
    [
        ([("play", 1, 9_000)], {}, set()),
        ([("play", 1, 15_000)], {1: 0.075}, set()),
        ([("play", 1, 900_000), ("play", 1, 100_000)], {1: 1.5}, set()),
        ([("play", 2, 105_000)], {2: 0.5}, set()),
        ([("click", 1, 0), ("click", 1, 0)], {1: 1.0}, set()),
        ([("follow", 1, 0), ("follow", 1, 0)], {1: 3.0}, set()),
        ([("follow", 1, 0), ("unfollow", 1, 0)], {}, {1}),
        ([("unfollow", 1, 0), ("follow", 1, 0)], {1: 3.0}, set()),
        ([("click", 1, 0), ("unfollow", 1, 0)], {1: 0.5}, set()),
    ],
)
def test_signals_have_the_strengths_of_the_matrix(
    said: list[Said], strengths: dict[int, float], refused: set[int]
) -> None:
    up = taken_up(said)

    assert (dict(up.strengths), set(up.refused)) == (pytest.approx(strengths), refused)


def test_of_follow_and_unfollow_the_latest_stands_in_whatever_order_they_arrive() -> None:
    late, early = signal(("follow", 1, 0), 2), signal(("unfollow", 1, 0), 1)

    found = [
        uptake(order, number_of=number_of, length_ms=length_ms)
        for order in ((late, early), (early, late))
    ]

    assert found[0] == found[1] == Uptake({1: 3.0}, frozenset())


def test_artists_of_no_catalogue_say_nothing() -> None:
    unknown = signal(("click", 1, 0))._replace(artist_id="nobody")

    assert not uptake([unknown], number_of=number_of, length_ms=length_ms).left_out


def test_an_artist_unfollowed_today_is_left_out_and_pulls_away(factors: Factors) -> None:
    row = Row(np.array([0, 2, 4], dtype=np.int32), np.full(3, 2, dtype=np.float32))

    folded = fold(factors, row, taken_up([("unfollow", 2, 0)]), k=ARTISTS)

    assert isinstance(folded, Folded)
    assert 2 not in folded.artists
    assert 2 not in folded.liked


def test_an_artist_that_the_model_does_not_know_is_never_listed(factors: Factors) -> None:
    young = replace(factors, unknown=np.array([6, 8]))

    folded = fold(young, NOTHING, taken_up([("click", 8, 0), ("click", 4, 0)]), k=ARTISTS)

    assert folded is not None
    assert not {4, 6, 8} & set(folded.artists)
    assert fold(young, NOTHING, taken_up([("click", 8, 0)]), k=ARTISTS) is None
