"""Ranking metrics against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from firstchair.evaluation import ranking_metrics
from firstchair.evaluation.exposure import exposure, places_by_artist
from firstchair.evaluation.ranking import metrics_at

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
def test_metrics_stay_within_bounds_and_recall_ignores_order(
    order: list[int], wanted: set[int]
) -> None:
    lists = np.array([order], dtype=np.int32)
    relevant = positives(sorted(wanted))

    found, reversed_ = ranking_metrics(lists, relevant), ranking_metrics(lists[:, ::-1], relevant)

    for value in (found.recall_at_20, found.ndcg_at_10, found.ndcg_at_20, found.hit_at_20):
        assert 0 <= value[0] <= 1 + 1e-12
    assert found.recall_at_20[0] == reversed_.recall_at_20[0]


def test_average_precision_and_reciprocal_rank_of_hits_at_two_and_four() -> None:
    found = ranking_metrics(ranked(9, 5, 10, 7), positives([5, 7, 8]))

    # precision 1/2 at the second place and 2/4 at the fourth, over three wanted
    assert found.map_at_20[0] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert found.mrr_at_20[0] == pytest.approx(1 / 2)


def test_a_list_that_begins_with_all_that_is_wanted_is_perfect_by_every_metric() -> None:
    found = metrics_at(ranked(5, 7), positives([5, 7]), 10)

    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {"recall": 1, "ndcg": 1, "hit_rate": 1, "map": 1, "mrr": 1}
    )


def test_nothing_found_is_nought_by_every_metric() -> None:
    found = metrics_at(ranked(1, 2), positives([5]), 20)

    assert all(values[0] == 0 for values in found.values())


def test_exposure_of_two_lists_over_four_artists() -> None:
    lists = np.array([[0, 1, -1], [0, 2, -1]], dtype=np.int32)

    found = exposure(places_by_artist(lists, 4), np.array([8, 4, 1, 2]), users=8)

    assert found.coverage == pytest.approx(3 / 4)
    # -log2 of 8/8, 4/8, 8/8, 1/8
    assert found.novelty == pytest.approx((0 + 1 + 0 + 3) / 4)
    # counts 2, 1, 1, 0: the mean absolute difference 0.75 over twice the mean 1
    assert found.gini == pytest.approx(0.375)
