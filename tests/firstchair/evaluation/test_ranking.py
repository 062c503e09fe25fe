"""Ranking metrics against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from firstchair.evaluation import ranking_metrics

WIDTH = 60


def positives(*rows: list[int]) -> sparse.csr_matrix:
    matrix = np.zeros((len(rows), WIDTH), dtype=np.float32)
    for number, row in enumerate(rows):
        matrix[number, row] = 1
    return sparse.csr_matrix(matrix)


def ranked(*first: int) -> np.ndarray:
    rest = [artist for artist in range(30, WIDTH) if artist not in first][: 20 - len(first)]
    return np.array([[*first, *rest]], dtype=np.int32)


def test_hits_at_ranks_one_and_three_of_three_wanted() -> None:
    found = ranking_metrics(ranked(5, 9, 7), positives([5, 7, 8]))

    assert found.recall_at_20[0] == pytest.approx(2 / 3)
    # (1 + 1 / log2(4)) / (1 + 1 / log2(3) + 1 / log2(4)) = 1.5 / 2.1309
    assert found.ndcg_at_10[0] == pytest.approx(0.70391, abs=1e-5)
    assert found.hit_at_20[0] == 1


def test_a_hit_at_rank_eleven_counts_at_twenty_and_not_at_ten() -> None:
    others = (10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
    found = ranking_metrics(ranked(*others, 5), positives([5]))

    assert found.ndcg_at_10[0] == 0
    assert found.ndcg_at_20[0] == pytest.approx(1 / np.log2(12))


def test_empty_places_of_a_short_list_hit_nothing() -> None:
    short = np.full((1, 20), -1, dtype=np.int32)

    found = ranking_metrics(short, positives([0, WIDTH - 1]))

    assert found.recall_at_20[0] == 0


def test_more_wanted_than_places_can_still_be_perfect_in_ndcg() -> None:
    wanted = list(range(30))
    found = ranking_metrics(np.arange(20, dtype=np.int32)[None], positives(wanted))

    assert found.ndcg_at_20[0] == pytest.approx(1)
    assert found.recall_at_20[0] == pytest.approx(20 / 30)


@given(st.lists(st.integers(0, WIDTH - 1), min_size=20, max_size=20, unique=True),
       st.sets(st.integers(0, WIDTH - 1), min_size=1))  # fmt: skip
def test_metrics_stay_within_bounds_and_recall_ignores_order(order: list[int], wanted: set[int]) -> None:
    lists = np.array([order], dtype=np.int32)
    relevant = positives(sorted(wanted))

    found, reversed_ = ranking_metrics(lists, relevant), ranking_metrics(lists[:, ::-1], relevant)

    for value in (found.recall_at_20, found.ndcg_at_10, found.ndcg_at_20, found.hit_at_20):
        assert 0 <= value[0] <= 1 + 1e-12
    assert found.recall_at_20[0] == reversed_.recall_at_20[0]
