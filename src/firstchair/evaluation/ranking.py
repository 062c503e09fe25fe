"""Ranking metrics over the full catalogue, one value per user."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.models.hits import Values, hits_of, ndcg


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """Per-user metrics of lists, each float64 (n_users,), 0..1.

    hit: whether the list holds a positive; map: average precision; mrr: reciprocal rank of the
    first hit.
    """

    recall_at_20: Values
    ndcg_at_10: Values
    ndcg_at_20: Values
    hit_at_20: Values
    map_at_20: Values
    mrr_at_20: Values


def ranking_metrics(artists: npt.NDArray[np.int32], positives: sparse.csr_matrix) -> RankingMetrics:
    """Metrics of the lists of users who all have at least one positive.

    Args:
        artists: int32 (n_users, k), k >= 20, columns in rank order, -1 for an empty place.
        positives: CSR (n_users, n_artists), a stored entry is relevant; at least one in each row.
    """
    hits, wanted = hits_of(artists, positives), np.diff(positives.indptr)
    return RankingMetrics(
        recall_at_20=recall(hits, wanted, 20),
        ndcg_at_10=ndcg(hits, wanted, 10),
        ndcg_at_20=ndcg(hits, wanted, 20),
        hit_at_20=np.asarray(hits[:, :20].any(axis=1), dtype=np.float64),
        map_at_20=average_precision(hits, wanted, 20),
        mrr_at_20=reciprocal_rank(hits, 20),
    )


def metrics_at(
    artists: npt.NDArray[np.int32], positives: sparse.csr_matrix, k: int
) -> dict[str, Values]:
    """recall, ndcg, hit_rate, map and mrr at any `k`, by user; arguments as `ranking_metrics`."""
    hits, wanted = hits_of(artists[:, :k], positives), np.diff(positives.indptr)
    return {
        "recall": recall(hits, wanted, k),
        "ndcg": ndcg(hits, wanted, k),
        "hit_rate": np.asarray(hits.any(axis=1), dtype=np.float64),
        "map": average_precision(hits, wanted, k),
        "mrr": reciprocal_rank(hits, k),
    }


def recall(hits: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int32], k: int) -> Values:
    """Share of the positives among the first `k`; at most k / wanted if there are more than k."""
    return np.asarray(hits[:, :k].sum(axis=1) / wanted)


def average_precision(hits: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int32], k: int) -> Values:
    """Sum of the precision at each hit ÷ min(k, wanted); 1 if the list begins with all of them."""
    first = hits[:, :k]
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    return np.asarray((precision * first).sum(axis=1) / np.minimum(wanted, k))


def reciprocal_rank(hits: npt.NDArray[np.bool_], k: int) -> Values:
    """1 / rank of the first hit among the first `k`, 0 without one (Voorhees 1999)."""
    first = hits[:, :k]
    return np.where(first.any(axis=1), 1 / (np.argmax(first, axis=1) + 1), 0.0)
