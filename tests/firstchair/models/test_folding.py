"""A user's solve: the weight of each cell, and that negative feedback never lifts a score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from firstchair import models
from firstchair.models import Family, Recommender, TrainingData
from firstchair.models.als import ALS
from firstchair.models.folding import cell_weights, normal_equations
from tests.firstchair.models.toys import (
    ARTISTS,
    AS_OF,
    USERS,
    checkerboard,
    training_data,
    withheld,
)

FACTORS = 6
# Confidences of an artist never shown, shown 3, 5, 8 and 20 times and never taken, and unfollowed.
NEVER_TAKEN = (0.0, 0.048, 0.122, 0.194, 0.287, 0.3)


def product(
    vectors: np.ndarray,
    liked: np.ndarray,
    refused: int,
    confidence: float,
    alpha: float,
    ridge: float,
) -> float:
    """u.v of the refused artist, by the solve that lists and fold-ins share; 0 is never shown."""
    gram = vectors.T @ vectors + ridge * np.eye(FACTORS)
    own = np.array([*range(len(liked)), refused])
    weights = cell_weights(np.array([*liked, -confidence]), alpha)
    left, right = normal_equations(gram, weights, vectors[own])
    return float(vectors[refused] @ np.linalg.solve(left, right))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.1, 60),
    ridge=st.floats(0.1, 60),
    confidences=st.lists(st.floats(0, 1), min_size=2, max_size=6),
)
def test_the_surer_the_negative_feedback_the_closer_to_zero_is_the_product(
    seed: int, alpha: float, ridge: float, confidences: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    vectors, liked = rng.normal(size=(12, FACTORS)), rng.uniform(1, 5, size=4)

    found = [product(vectors, liked, 9, c, alpha, ridge) for c in sorted([0.0, *confidences])]

    assert len({np.sign(value) for value in found}) == 1
    assert (np.diff(np.abs(found)) <= 1e-9).all()


def test_a_score_never_rises_with_negative_feedback() -> None:
    data = mixed_tastes()
    model = models.fit(Family.ALS, data, seed=1)

    for user, artist in best_untaken(model, data):
        shown = [never_taken(data, artist, c, user) for c in NEVER_TAKEN]
        found = [model.score(cells, np.array([user]))[0, artist] for cells in shown]
        assert (np.diff(found) <= 0).all()
        assert found[-1] < found[0]


def test_no_artist_climbs_a_blended_list_by_negative_feedback() -> None:
    # Scores of a blend are standardised for each user, so a score alone says little; its rank does.
    data = mixed_tastes()
    model = models.fit(Family.BLEND, data, seed=1)

    for user, artist in best_untaken(model, data):
        shown = [never_taken(data, artist, c, user) for c in NEVER_TAKEN]
        scores = [model.score(cells, np.array([user]))[0] for cells in shown]
        ranks = [int((values > values[artist]).sum()) for values in scores]
        assert ranks == sorted(ranks)


def mixed_tastes() -> TrainingData:
    """Users who like about half of the artists of two groups out of five."""
    rng = np.random.default_rng(4)
    group = np.arange(ARTISTS) % 5
    own = np.stack([np.isin(group, rng.choice(5, 2, replace=False)) for _ in range(USERS)])
    liked = own & (rng.random((USERS, ARTISTS)) < 0.5)
    return training_data(liked * rng.uniform(1.5, 4, liked.shape), AS_OF)


def best_untaken(model: Recommender, data: TrainingData) -> list[tuple[int, int]]:
    """Every third user with the first artist of their list."""
    users = np.arange(0, USERS, 3)
    first = model.recommend(data, users, 1).artists[:, 0]
    return list(zip(users.tolist(), first.tolist(), strict=True))


def test_a_fit_with_surer_negative_feedback_gives_a_lower_score() -> None:
    data = checkerboard(labelled=False)
    target = int(withheld(np.array([0]))[0])

    found = []
    for confidence in NEVER_TAKEN:
        shown = never_taken(data, target, confidence)
        found.append(models.fit(Family.ALS, shown, seed=1).score(shown, np.array([0]))[0, target])

    assert (np.diff(found) < 0).all()


def never_taken(data: TrainingData, artist: int, confidence: float, user: int = 0) -> TrainingData:
    """The same data with an artist that a user was shown and never took; 0 is never shown."""
    cells = data.confidence.toarray()
    cells[user, artist] = -confidence
    return replace(data, confidence=sparse.csr_matrix(cells))


def test_users_are_solved_with_the_documented_weights() -> None:
    # implicit 0.7.3 takes a negative number as preference 0; its absolute value replaces the
    # weight 1 of an absent cell: implicit/cpu/als.py, `user_linear_equation` (`confidence *= -1`,
    # then `A += (confidence - 1) * np.outer(factor, factor)`); its compiled solver does the same.
    rng = np.random.default_rng(3)
    model = ALS(factors=FACTORS, alpha=5.0, regularization=2.0)
    model.artist_factors = rng.normal(size=(ARTISTS, FACTORS)).astype(np.float32)
    confidence = np.where(rng.random(ARTISTS) < 0.3, rng.uniform(1, 5, ARTISTS), 0)
    refused = (rng.random(ARTISTS) < 0.3) & (confidence == 0)
    confidence[refused] = -rng.uniform(0.01, 0.3, refused.sum())

    found = model.user_factors(sparse.csr_matrix(confidence[None].astype(np.float32)))[0]

    vectors = model.artist_factors.astype(np.float64)
    weight = np.ones(ARTISTS)
    weight[confidence > 0] = 5.0 * confidence[confidence > 0]
    weight[confidence < 0] = 1 + 5.0 * -confidence[confidence < 0]
    left = vectors.T @ (weight[:, None] * vectors) + 2.0 * np.eye(FACTORS)
    right = vectors.T @ (weight * (confidence > 0))
    assert found == pytest.approx(np.linalg.solve(left, right), rel=1e-3, abs=1e-4)


def test_what_the_artists_of_a_user_add_is_their_score_beside_negative_feedback() -> None:
    cells = checkerboard(labelled=False).confidence.toarray()
    target = int(withheld(np.array([0]))[0])
    cells[0, [target, 1]] = -0.2
    data = training_data(cells, checkerboard().as_of)
    model = models.fit(Family.ALS, data, seed=1)
    assert isinstance(model, ALS)
    listed = np.array([target, 1, 3])

    row = data.confidence[0]
    liked, added = model.added(row.indices.astype(np.int64), row.data, listed)

    user = model.user_factors(data.confidence[:1])[0]
    assert set(liked) == set(np.flatnonzero(cells[0] > 0))
    products = model.artist_factors[listed] @ user
    assert added.sum(axis=0) == pytest.approx(products, rel=1e-3, abs=1e-4)
