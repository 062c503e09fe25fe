"""From scores to lists: the best of what is not yet taken, in an order that ties cannot shake."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.models.protocol import Lists, TrainingData

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Scores held at once, as floats: 80 MB.
SCORES_AT_ONCE = 20_000_000


def best(scores: Floats, taken: sparse.csr_matrix, k: int) -> Lists:
    """The `k` best columns of each row, those in `taken` left out.

    Args:
        scores: float32 (n, artists); -inf marks what cannot be listed.
        taken: CSR (n, artists); a stored entry is an artist the user already has.
        k: Length of the lists; shorter ones are filled with -1.

    Returns:
        Lists with the raw scores, descending; equal scores stand in column order.
    """
    allowed = np.array(scores, dtype=np.float32, copy=True)
    row = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
    allowed[row, taken.indices] = -np.inf
    k_here = min(k, allowed.shape[1])
    top = _top_columns(allowed, k_here)
    values = np.take_along_axis(allowed, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    artists = np.full((len(allowed), k), -1, dtype=np.int32)
    listed = np.zeros((len(allowed), k), dtype=np.float32)
    artists[:, :k_here] = np.take_along_axis(top, order, axis=1)
    listed[:, :k_here] = np.take_along_axis(values, order, axis=1)
    absent = ~np.isfinite(listed)
    artists[absent], listed[absent] = -1, 0
    return Lists(artists, listed)


def _top_columns(scores: Floats, k: int) -> npt.NDArray[np.int64]:
    """Columns of the `k` best of each row, ascending; of equal scores at the border the first columns."""
    border = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, level = scores > border, scores == border
    places = k - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= places))
    return np.nonzero(chosen)[1].reshape(len(scores), k)


def in_chunks(rows: Rows, width: int, recommend: Callable[[Rows], Lists]) -> Lists:
    """`recommend` over `rows`, as many at a time as `SCORES_AT_ONCE` allows for `width` scores a row."""
    parts = [recommend(chunk) for chunk in chunks(rows, width)]
    if not parts:
        return recommend(rows)
    return Lists(np.concatenate([p.artists for p in parts]), np.concatenate([p.scores for p in parts]))


def chunks(rows: Rows, width: int) -> Iterator[Rows]:
    """`rows` in stretches that keep `SCORES_AT_ONCE`."""
    step = max(1, SCORES_AT_ONCE // max(1, width))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def columns_for(data: TrainingData, artist_ids: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """Column of `data` of each of a model's artists; -1 for one that the catalogue no longer has."""
    if np.array_equal(data.artist_ids, artist_ids):
        return np.arange(len(artist_ids), dtype=np.int64)
    place = np.searchsorted(data.artist_ids, artist_ids)
    place = np.minimum(place, max(0, len(data.artist_ids) - 1))
    return np.where(data.artist_ids[place] == artist_ids, place, -1).astype(np.int64)


def spread(scores: Floats, columns: npt.NDArray[np.int64], width: int) -> Floats:
    """Scores of a model's artists in the columns of newer data; what the model does not know gets -inf."""
    if len(columns) == width and np.array_equal(columns, np.arange(width)):
        return scores
    wide = np.full((len(scores), width), -np.inf, dtype=np.float32)
    known = columns >= 0
    wide[:, columns[known]] = scores[:, known]
    return wide


def narrow(matrix: sparse.csr_matrix, columns: npt.NDArray[np.int64]) -> sparse.csr_matrix:
    """The columns of newer data that a model knows, in the model's order; an unknown one is empty."""
    if len(columns) == matrix.shape[1] and np.array_equal(columns, np.arange(matrix.shape[1])):
        return matrix
    known = np.flatnonzero(columns >= 0)
    pick = sparse.csr_matrix(
        (np.ones(len(known), dtype=np.float32), (columns[known], known)), shape=(matrix.shape[1], len(columns))
    )
    return sparse.csr_matrix(matrix @ pick)
