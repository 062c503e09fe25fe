"""How the ranker learns: slates, later days, and what a feature may not do."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from firstchair.models import LabelledHistory, Lists, Slates, TrainingData
from firstchair.models.ranker import Ranker
from firstchair.models.ranker_features import MONOTONE, NAMES, PairTable
from firstchair.models.ranker_training import (
    OBJECTIVES,
    TREES_UNWATCHED,
    WATCHED_SHARE,
    Variant,
    trained,
    within_bounds,
)
from firstchair.models.sources import Sources
from tests.firstchair.models.toys import ARTISTS, USERS, checkerboard


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return checkerboard()


@pytest.fixture(scope="module")
def sources(data: TrainingData) -> Sources:
    return Sources().fit(data, seed=1)


def slates(data: TrainingData, *, count: int = 200) -> Slates:
    """Five artists a slate, drawn at random, taken where the parity is the user's own."""
    rng = np.random.default_rng(3)
    row, column = (
        np.repeat(rng.integers(USERS, size=count), 5),
        rng.integers(ARTISTS, size=5 * count),
    )
    position = np.tile(np.arange(1, 6), count)
    taken = row % 2 == column % 2
    return Slates(
        np.repeat(np.arange(count), 5), row, column, position, np.full(5 * count, 0.025), taken
    )


def labelled(data: TrainingData) -> LabelledHistory:
    assert data.labelled is not None
    return data.labelled


def a_third(positives: sparse.csr_matrix) -> sparse.csr_matrix:
    later = positives.copy()
    later.data = (np.arange(later.nnz) % 3 == 0).astype(np.float32)
    later.eliminate_zeros()
    return later


def test_candidates_are_those_not_taken_each_once(sources: Sources, data: TrainingData) -> None:
    pairs = PairTable(sources, data).of(np.arange(USERS))

    taken = data.taken().toarray() > 0
    assert not taken[pairs.user, pairs.column].any()
    assert len(np.unique(pairs.user * ARTISTS + pairs.column)) == len(pairs.user)


def test_a_given_pair_has_the_features_of_the_same_candidate_but_for_its_position(
    sources: Sources, data: TrainingData
) -> None:
    table = PairTable(sources, data)
    pairs = table.of(np.arange(USERS))

    given = table.given(pairs.user[::7], pairs.column[::7], np.full(len(pairs.user[::7]), 3))

    position = NAMES.index("slate_position")
    assert (given[:, position] == 3).all()
    assert np.array_equal(
        np.delete(given, position, 1), np.delete(pairs.features[::7], position, 1), equal_nan=True
    )


def test_an_artist_loved_in_ones_country_has_a_lift_there(
    sources: Sources, data: TrainingData
) -> None:
    table = PairTable(sources, data)

    in_chile = table.given(np.array([0, 0]), np.array([2, 3]), np.array([1, 1]))[
        :, NAMES.index("lift_in_country")
    ]

    assert in_chile[0] > 0 > in_chile[1]


def test_a_lift_is_of_the_day_that_is_asked_about_not_of_the_fit(
    sources: Sources, data: TrainingData
) -> None:
    recent = np.zeros((USERS, ARTISTS), dtype=np.float32)
    recent[::2, 3] = 1  # Chile
    later = replace(data, as_of=data.as_of + timedelta(days=5), recent=sparse.csr_matrix(recent))
    pair, lift = (np.array([0]), np.array([3]), np.array([1])), NAMES.index("lift_in_country")

    assert (
        PairTable(sources, data).given(*pair)[0, lift]
        < 0
        < PairTable(sources, later).given(*pair)[0, lift]
    )


@pytest.mark.parametrize("seed", [2, 4])
def test_slates_are_learnt_even_where_the_watched_labels_contradict_them(
    sources: Sources, data: TrainingData, seed: int
) -> None:
    logged = slates(data, count=400)
    against = replace(logged, taken=~logged.taken)
    shown = PairTable(sources, labelled(data).data).given(
        against.row, against.column, against.position
    )

    def gap(history: LabelledHistory) -> float:
        """How much higher taken items of the slates are ranked than refused ones."""
        variant, booster, _ = trained(sources, history, seed=seed, objectives=OBJECTIVES)
        assert variant is not None
        assert booster.num_boosted_rounds() == variant.trees
        assert variant.with_slates == (history.slates is not None)
        margin = booster.inplace_predict(shown, predict_type="margin")
        return float(margin[against.taken].mean() - margin[~against.taken].mean())

    assert gap(labelled(data)) < 0 < gap(replace(labelled(data), slates=against))


def test_an_account_that_was_shown_a_million_things_teaches_as_much_as_the_bound_allows() -> None:
    users, account = 600, 7
    owner = np.concatenate([np.arange(users), np.full(30_000, account)])
    row = np.repeat(np.random.default_rng(1).permutation(owner), 2)
    count = len(owner)
    position, chance = np.tile([1, 2], count), np.full(2 * count, 0.5)
    number = np.repeat(np.arange(count), 2)
    logged = Slates(number, row, row % ARTISTS, position, chance, row % 2 == 0)
    drawn, counts = np.random.default_rng(2).permutation(count), np.bincount(number)

    kept = within_bounds(drawn, counts, logged)

    shown = np.bincount(row.reshape(-1, 2)[kept, 0], minlength=users) * 2
    assert (np.delete(shown, account) == 2).all()
    # c = 50 (599 * 2 + c) / 600, in whole slates.
    assert shown[account] == 2 * int(50 * 599 * 2 / 550 / 2)
    assert kept.tolist() == [slate for slate in drawn.tolist() if slate in set(kept.tolist())]


def test_slates_of_users_who_were_shown_alike_are_all_learnt(data: TrainingData) -> None:
    logged = slates(data)
    drawn = np.arange(200)

    assert within_bounds(drawn, np.bincount(logged.slate), logged) is drawn


def test_labels_of_the_last_days_decide_when_to_stop(sources: Sources, data: TrainingData) -> None:
    whole = labelled(data)
    later = a_third(whole.positives)

    variant, _, curve = trained(sources, replace(whole, later=later), seed=1, objectives=OBJECTIVES)

    assert variant is not None
    assert variant.trees >= 1
    assert (max(curve), curve.index(max(curve)) + 1) == (variant.watched_ndcg, variant.trees)


def test_slates_of_the_users_who_judge_do_not_tell_when_to_stop(
    sources: Sources, data: TrainingData
) -> None:
    logged = slates(data, count=400)
    # As `trained` draws them, after users and slates.
    rng = np.random.default_rng(1)
    rows = np.sort(rng.permutation(np.flatnonzero(np.diff(labelled(data).positives.indptr) > 0)))
    rng.permutation(400)
    judge = np.isin(logged.row, rows[rng.random(len(rows)) < WATCHED_SHARE])

    def chosen(turned: npt.NDArray[np.bool_]) -> Variant | None:
        history = replace(labelled(data), slates=replace(logged, taken=logged.taken ^ turned))
        return trained(sources, history, seed=1, objectives=OBJECTIVES[:1])[0]

    assert 0 < judge.sum() < len(judge) / 2
    assert chosen(judge) == chosen(judge & ~judge) != chosen(~judge)


@pytest.mark.parametrize("dated", [True, False])
def test_how_to_learn_is_not_chosen_by_what_slates_led_to(
    sources: Sources, data: TrainingData, dated: bool
) -> None:
    history = replace(labelled(data), later=a_third(labelled(data).positives) if dated else None)

    unled, *_ = trained(sources, history, seed=1, objectives=OBJECTIVES)
    led, booster, _ = trained(
        sources, replace(history, prompted=history.positives), seed=1, objectives=OBJECTIVES
    )

    assert unled is not None
    assert led is not None
    assert unled.watched_ndcg > 0
    assert (led.watched_ndcg, led.trees) == (0, TREES_UNWATCHED)
    assert booster.num_boosted_rounds() == TREES_UNWATCHED  # they are learnt from all the same


def test_nothing_taken_up_teaches_nothing(sources: Sources, data: TrainingData) -> None:
    nothing = replace(
        labelled(data), positives=sparse.csr_matrix(np.zeros((USERS, ARTISTS), dtype=np.float32))
    )

    assert trained(sources, nothing, seed=1, objectives=OBJECTIVES) == (None, None, ())


def test_more_refusal_never_ranks_an_artist_higher(data: TrainingData) -> None:
    model = Ranker().fit(data, seed=1)
    features = np.repeat(PairTable(model.sources, data).of(np.arange(5)).features[:50], 5, axis=0)

    features[:, NAMES.index("refused")] = np.tile(np.linspace(0, 0.3, 5), 50)
    margins = model.booster.inplace_predict(features, predict_type="margin").reshape(50, 5)

    assert MONOTONE["refused"] == -1
    assert (np.diff(margins, axis=1) <= 1e-6).all()


def test_lists_that_went_through_other_hands_are_explained_alike(data: TrainingData) -> None:
    model = Ranker().fit(data, seed=1)
    rows = np.arange(USERS)
    lists = model.recommend(data, rows, 10)

    own = model.explain(data, rows, lists)
    others = model.explain(data, rows, Lists(lists.artists, lists.scores))

    assert (own.sentences == others.sentences).all()
    assert (own.parts == others.parts).all()
    np.testing.assert_allclose(own.amounts, others.amounts, atol=1e-6)
    assert (own.sentences[lists.artists >= 0] != "").all()
