"""Ranking metrics over the full catalogue, one value a user."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """Per-user values, each float64 (n_users,), of lists against what the users took up; all in 0..1."""

    recall_at_20: Values
    ndcg_at_10: Values
    ndcg_at_20: Values
    hit_at_20: Values


def ranking_metrics(artists: npt.NDArray[np.int32], positives: sparse.csr_matrix) -> RankingMetrics:
    """Metrics of the lists of users who all have at least one positive.

    Args:
        artists: int32 (n_users, k), k >= 20, columns in rank order, -1 for an empty place.
        positives: CSR (n_users, n_artists), a stored entry is relevant; at least one in each row.
    """
    hits = _hits(artists, positives)
    wanted = np.diff(positives.indptr)
    found = hits[:, :20].sum(axis=1)
    return RankingMetrics(
        recall_at_20=found / wanted,
        ndcg_at_10=ndcg(hits, wanted, 10),
        ndcg_at_20=ndcg(hits, wanted, 20),
        hit_at_20=(found > 0).astype(np.float64),
    )


def ndcg(hits: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int32], k: int) -> Values:
    """Normalised discounted cumulative gain with binary relevance (Järvelin and Kekäläinen 2002).

    Gain 1 / log2(rank + 1); the ideal list has min(k, wanted) hits first.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(wanted, k)]
    return np.asarray((hits[:, :k] * discount).sum(axis=1) / ideal)


def _hits(artists: npt.NDArray[np.int32], positives: sparse.csr_matrix) -> npt.NDArray[np.bool_]:
    """Whether each place of each list holds a positive."""
    width = positives.shape[1]
    row = np.repeat(np.arange(positives.shape[0], dtype=np.int64), np.diff(positives.indptr))
    relevant = np.sort(row * width + positives.indices)
    listed = np.arange(len(artists), dtype=np.int64)[:, None] * width + artists
    return np.asarray(np.isin(listed, relevant) & (artists >= 0))
