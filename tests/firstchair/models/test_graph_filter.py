"""The graph filter beside its formula, computed in whole."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from firstchair.models import TrainingData
from firstchair.models.graph_filter import GraphFilter, smoothest
from tests.firstchair.models.toys import AS_OF, training_data

USERS, ARTISTS = 50, 30


def drawn(seed: int) -> TrainingData:
    rng = np.random.default_rng(seed)
    liked = rng.random((USERS, ARTISTS)) < rng.beta(1, 4, size=ARTISTS)
    liked[0] = False
    return training_data(liked.astype(np.float32) * 2, AS_OF)


def by_formula(liked: np.ndarray, model: GraphFilter) -> np.ndarray:
    """B Di^-damping (p(P) + ideal_weight V V') Di^damping, over each row's largest."""
    users, listeners = np.maximum(liked.sum(axis=1), 1), np.maximum(liked.sum(axis=0), 1)
    normal = liked / np.sqrt(np.outer(users, listeners))
    values, vectors = np.linalg.eigh(normal.T @ normal)
    nodes = np.cos((np.arange(model.order + 1) + 0.5) / (model.order + 1) * np.pi)
    passed = 0.5 - np.sign(nodes) * np.abs(nodes) ** model.flatness / 2
    polynomial = chebyshev.chebfit(nodes, passed, model.order)
    filtered = chebyshev.chebval(1 - 2 * values, polynomial) + model.ideal_weight
    whole = (vectors * filtered) @ vectors.T
    found = (liked * listeners**-model.damping) @ whole * listeners**model.damping
    return found / np.maximum(np.abs(found).max(axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("settings", [{}, {"order": 3, "flatness": 4.0, "damping": 0.0}])
def test_with_all_eigenvectors_artists_are_in_the_order_of_the_formula(
    settings: dict[str, float],
) -> None:
    data = drawn(1)
    model = GraphFilter(**settings).fit(data, seed=1)
    liked = data.liked().toarray()
    expected = np.where(liked > 0, -np.inf, by_formula(liked, model))

    lists = model.recommend(data, np.arange(1, USERS), 5)

    listed = np.take_along_axis(expected[1:], lists.artists.astype(int), axis=1)
    best = -np.sort(-expected[1:], axis=1)[:, :5]
    assert listed == pytest.approx(best, abs=1e-4)


def test_the_smoothest_eigenvectors_are_those_of_the_graph() -> None:
    liked = drawn(2).liked()
    graph = (liked.T @ liked).toarray()

    values, vectors = smoothest(liked / np.sqrt(graph.max() * ARTISTS), 4, seed=1)

    expected = np.linalg.eigvalsh(graph)[::-1][:4] / (graph.max() * ARTISTS)
    assert values == pytest.approx(expected, rel=1e-4)
    assert graph @ vectors == pytest.approx(vectors * values * graph.max() * ARTISTS, abs=1e-2)


def test_reasons_add_up_to_the_score() -> None:
    data = drawn(3)
    model = GraphFilter(rank=6).fit(data, seed=1)
    row, listed = data.confidence[5], np.arange(ARTISTS)

    _, added = model.added(row.indices.astype(np.int64), row.data, listed)

    total = added.sum(axis=0)
    assert total / np.abs(total).max() == pytest.approx(
        model.score(data, np.array([5]))[0], abs=1e-5
    )
