"""Hits of lists and their NDCG, by which weights and settings are chosen."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

Values = npt.NDArray[np.float64]


def hits_of(artists: npt.NDArray[np.int32], positives: sparse.csr_matrix) -> npt.NDArray[np.bool_]:
    """Whether each item of each list is a positive: bool like `artists`.

    Args:
        artists: int32 (n_users, k), columns in rank order, -1 for an empty place.
        positives: CSR (n_users, n_artists), a stored entry is relevant.
    """
    width = positives.shape[1]
    row = np.repeat(np.arange(positives.shape[0], dtype=np.int64), np.diff(positives.indptr))
    relevant = np.sort(row * width + positives.indices)
    listed = np.arange(len(artists), dtype=np.int64)[:, None] * width + artists
    return np.asarray(np.isin(listed, relevant) & (artists >= 0))


def ndcg(hits: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int32], k: int) -> Values:
    """Normalised discounted cumulative gain with binary relevance (Järvelin and Kekäläinen 2002).

    Gain 1 / log2(rank + 1); the ideal list has min(k, wanted) hits first. 0 without
    positives.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[np.inf], np.cumsum(discount)])[np.minimum(wanted, k)]
    return np.asarray((hits[:, :k] * discount[: hits.shape[1]]).sum(axis=1) / ideal)
