"""From scores to lists: the best artists that are not yet taken, in a stable order."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from scipy import sparse

from firstchair.models.protocol import Lists, Rows, TrainingData

Floats = npt.NDArray[np.float32]

# Scores in memory at once, as floats: 80 MB.
SCORES_AT_ONCE = 20_000_000
# Scores that are first compared by their maximum.
BLOCK = 64
# So many times k candidates are sorted at most; a row with more has many equal scores.
CROWD = 40


def best(scores: Floats, taken: sparse.csr_matrix, k: int, *, scratch: bool = False) -> Lists:
    """The `k` best columns of each row, those in `taken` left out.

    Args:
        scores: float32 (n, artists); -inf marks what cannot be listed.
        taken: CSR (n, artists); a stored entry is an artist the user already has.
        k: Length of the lists; shorter ones are filled with -1.
        scratch: The scores are not needed any more: those in `taken` are overwritten, which saves
            a copy of them all.

    Returns:
        Lists with the raw scores, descending; equal scores in column order.
    """
    allowed = np.array(scores, dtype=np.float32, copy=None if scratch else True, order="C")
    seen = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
    allowed[seen, taken.indices] = -np.inf
    row, column = np.nonzero(_worth_sorting(allowed, min(k, allowed.shape[1])))
    values = allowed[row, column]
    order = np.lexsort((-values, row))  # stable, so equal scores keep the order of columns
    row, column, values = row[order], column[order], values[order]
    slot = np.arange(len(row)) - np.searchsorted(row, np.arange(len(allowed)))[row]
    kept = (slot < k) & np.isfinite(values)
    artists = np.full((len(allowed), k), -1, dtype=np.int32)
    listed = np.zeros((len(allowed), k), dtype=np.float32)
    artists[row[kept], slot[kept]], listed[row[kept], slot[kept]] = column[kept], values[kept]
    return Lists(artists, listed)


def _worth_sorting(scores: Floats, k: int) -> npt.NDArray[np.bool_]:
    """A superset of the `k` best of each row, little larger than k even with many equal scores."""
    rows, width = scores.shape
    blocks = width // BLOCK
    if blocks < 2 * k:
        return _exactly(scores, k)
    # The k-th largest of the blocks' maxima is no larger than the k-th best score: one cheap pass
    # instead of a sort.
    maxima = as_strided(scores, (rows, blocks, BLOCK), (scores.strides[0], 4 * BLOCK, 4)).max(
        axis=2
    )
    chosen = scores >= np.partition(maxima, blocks - k, axis=1)[:, blocks - k, None]
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > CROWD * k)
    if len(crowded):
        chosen[crowded] = _exactly(scores[crowded], k)
    return chosen


def _exactly(scores: Floats, k: int) -> npt.NDArray[np.bool_]:
    """The `k` best of each row; the first columns among equal scores at the border."""
    width = scores.shape[1]
    border = np.partition(scores, width - k, axis=1)[:, width - k, None]
    chosen = scores >= border
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(tied):
        above, level = scores[tied] > border[tied], scores[tied] == border[tied]
        places = k - above.sum(axis=1, keepdims=True)
        chosen[tied] = above | (level & (np.cumsum(level, axis=1, dtype=np.int32) <= places))
    return chosen


def in_chunks(rows: Rows, width: int, recommend: Callable[[Rows], Lists]) -> Lists:
    """`recommend` over `rows` in chunks of at most `SCORES_AT_ONCE` scores, `width` per row."""
    parts = [recommend(chunk) for chunk in chunks(rows, width)]
    if not parts:
        return recommend(rows)
    return Lists(
        np.concatenate([p.artists for p in parts]), np.concatenate([p.scores for p in parts])
    )


def chunks(rows: Rows, width: int) -> Iterator[Rows]:
    """`rows` in chunks of at most `SCORES_AT_ONCE` scores."""
    step = max(1, SCORES_AT_ONCE // max(1, width))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def current_ids(
    artist_ids: npt.NDArray[np.str_],
    redirects: Mapping[str, str],
) -> npt.NDArray[np.str_]:
    """A model's artists, in its order, with their current ids.

    A merged artist gets the id of the one it was merged into, unless the model knows that one
    already: so a renamed artist keeps what was learnt. If several were merged into one, the first
    gets its id, and the others keep ids that the catalogue no longer has.
    """
    if not redirects:
        return artist_ids
    merged = np.flatnonzero(np.isin(artist_ids, list(redirects)))
    found, known = artist_ids.astype(object), set(artist_ids.tolist())
    for place in merged:
        target = redirects[str(artist_ids[place])]
        if target not in known:
            found[place] = target
            known.add(target)
    return found.astype(str)


def columns_for(data: TrainingData, artist_ids: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """Column of `data` of each of a model's artists; -1 for one that is gone."""
    if np.array_equal(data.artist_ids, artist_ids):
        return np.arange(len(artist_ids), dtype=np.int64)
    artist_ids = current_ids(artist_ids, data.redirects)
    place = np.searchsorted(data.artist_ids, artist_ids)
    place = np.minimum(place, max(0, len(data.artist_ids) - 1))
    return np.where(data.artist_ids[place] == artist_ids, place, -1).astype(np.int64)


def own_columns(data: TrainingData, artist_ids: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """A model's number of each artist of `data`, -1 if unknown; with one more -1 at the end."""
    own = np.full(len(data.artist_ids) + 1, -1, dtype=np.int64)
    columns = columns_for(data, artist_ids)
    own[columns[columns >= 0]] = np.flatnonzero(columns >= 0)
    return own


def spread(scores: Floats, columns: npt.NDArray[np.int64], width: int) -> Floats:
    """Scores of a model's artists in the columns of newer data; -inf for unknown artists."""
    if len(columns) == width and np.array_equal(columns, np.arange(width)):
        return scores
    wide = np.full((len(scores), width), -np.inf, dtype=np.float32)
    known = columns >= 0
    wide[:, columns[known]] = scores[:, known]
    return wide


def narrow(matrix: sparse.csr_matrix, columns: npt.NDArray[np.int64]) -> sparse.csr_matrix:
    """The columns of newer data in a model's order; a column that is gone is empty."""
    if len(columns) == matrix.shape[1] and np.array_equal(columns, np.arange(matrix.shape[1])):
        return matrix
    known = np.flatnonzero(columns >= 0)
    pick = sparse.csr_matrix(
        (np.ones(len(known), dtype=np.float32), (columns[known], known)),
        shape=(matrix.shape[1], len(columns)),
    )
    return sparse.csr_matrix(matrix @ pick)


def power_of(counts: npt.NDArray[np.int64], exponent: float) -> Floats:
    """Counts ** exponent; a count of 0 as 1, for it multiplies nothing: float32 (n,)."""
    return np.asarray(np.maximum(counts, 1.0) ** exponent, dtype=np.float32)


def cells(matrix: sparse.csr_matrix, row: Rows, column: Rows) -> Floats:
    """Values of given cells, 0 if nothing is stored: float32 (len(row),)."""
    # scipy (1.17) gives a sparse matrix instead of an array where no cell is asked for.
    found = matrix[row, column] if len(row) else np.zeros(0)
    return np.asarray(found, dtype=np.float32).ravel()


def block(matrix: sparse.csr_matrix, rows: Rows, columns: Rows) -> Floats:
    """The cells of some rows in some columns: float32 (len(rows), len(columns)).

    For one user's artists: SciPy takes longer to make matrices of the rows and of the columns than
    this takes to read them.

    Args:
        matrix: float32 CSR without duplicates.
        rows: Numbers of rows.
        columns: Numbers of columns, each at most once.
    """
    place = np.full(matrix.shape[1], -1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    first = matrix.indptr[rows].astype(np.int64)
    counts = matrix.indptr[rows + 1] - first
    row = np.repeat(np.arange(len(rows)), counts)
    stored = np.arange(len(row)) + (first - (np.cumsum(counts) - counts))[row]
    column = place[matrix.indices[stored]]
    wanted = column >= 0
    found = np.zeros((len(rows), len(columns)), dtype=np.float32)
    found[row[wanted], column[wanted]] = matrix.data[stored[wanted]]
    return found
