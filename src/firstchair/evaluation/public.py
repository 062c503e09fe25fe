"""Public splits: two files of a user and his items a line, as the data every model is fitted on."""

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from firstchair.errors import EvidenceError
from firstchair.models import LabelledHistory, TrainingData

# The split has no days; nothing that is read from it depends on this one.
NO_DAY = date(1970, 1, 1)
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class PublicSplit:
    """What is learnt from, with a held-out slice of it as labels, and what is to be found.

    positives: float32 CSR (n_users, n_artists), 1 where the test file has the pair; rows and columns are
    those of `train`. A user of the test file alone is a cold one.
    """

    train: TrainingData
    positives: sparse.csr_matrix


def read_public_split(train: Path, test: Path, *, seed: int) -> PublicSplit:
    """Both files as one split; a fifth of each user's items in `train` is held out as labels by `seed`.

    Each line: user id, then item ids, apart by spaces. The order of items carries no meaning.

    Raises:
        EvidenceError: A file holds no pair, or is not text.
    """
    given = [_read(path) for path in (train, test)]
    user_keys = np.unique(np.concatenate([users for users, _ in given]))
    artist_ids = np.unique(np.concatenate([items for _, items in given]))
    shape = (len(user_keys), len(artist_ids))
    known, wanted = (
        _ones(np.searchsorted(user_keys, users), np.searchsorted(artist_ids, items), shape) for users, items in given
    )
    return PublicSplit(with_held_out(as_training_data(user_keys, artist_ids, known), seed=seed), wanted)


def as_training_data(
    user_keys: npt.NDArray[np.str_], artist_ids: npt.NDArray[np.str_], confidence: sparse.csr_matrix
) -> TrainingData:
    """Pairs of which nothing more is known: no country, no age group, no genre, no day."""
    unknown = pd.DataFrame({"country": "unknown", "age_group": "unknown"}, index=pd.Index(user_keys, dtype=object))
    named = {"name": artist_ids.astype(object), "first_active_on": pd.NaT, "genres": [[]] * len(artist_ids)}
    digest = hashlib.sha256(confidence.indptr.tobytes() + confidence.indices.tobytes() + confidence.data.tobytes())
    return TrainingData(
        as_of=NO_DAY,
        user_keys=user_keys,
        artist_ids=artist_ids,
        confidence=confidence,
        users=unknown,
        artists=pd.DataFrame(named, index=pd.Index(artist_ids, dtype=object)),
        fingerprint=digest.hexdigest()[:32],
    )


def with_held_out(data: TrainingData, *, seed: int, share: float = HELD_OUT_SHARE) -> TrainingData:
    """The same data with `share` of each user's artists as labels, and the rest as the data before them."""
    kept, held = held_out(data.confidence, seed=seed, share=share)
    return replace(data, labelled=LabelledHistory(replace(data, confidence=kept), held))


def held_out(matrix: sparse.csr_matrix, *, seed: int, share: float) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Split each row: `share` of its positive entries (rounded, ties to even), drawn by `seed`, are held out.

    Returns:
        The matrix without them, and 1 where they stood; both float32 CSR.
    """
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    positive = np.flatnonzero(matrix.data > 0)
    drawn = positive[np.lexsort((rng.random(len(positive)), row[positive]))]
    count = np.bincount(row[positive], minlength=matrix.shape[0])
    place = np.arange(len(drawn)) - (np.cumsum(count) - count)[row[drawn]]
    out = np.zeros(matrix.nnz, dtype=bool)
    out[drawn[place < np.round(share * count)[row[drawn]]]] = True
    parts = [(matrix.data[~out], ~out), (np.ones(int(out.sum())), out)]
    kept, held = (
        sparse.csr_matrix((values.astype(np.float32), (row[mask], matrix.indices[mask])), shape=matrix.shape)
        for values, mask in parts
    )
    return kept, held


def _read(path: Path) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """User and item of each pair, in the order of the file."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, f"It cannot be read: {error}.") from error
    items = [item for line in lines for item in line[1:]]
    if not items:
        raise _unreadable(path, f"None of its {len(lines)} lines holds a user and an item.")
    users = np.repeat([line[0] for line in lines if line], [len(line) - 1 for line in lines if line])
    return users.astype(str), np.array(items, dtype=str)


def _unreadable(path: Path, what: str) -> EvidenceError:
    return EvidenceError(
        what,
        where=str(path),
        data="No model was fitted.",
        remedy="Write a line a user: his id, then the ids of his items, apart by spaces.",
    )


def _ones(row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], shape: tuple[int, int]) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix((np.ones(len(row), dtype=np.float32), (row, column)), shape=shape)
    matrix.data[:] = 1  # a pair given twice is one
    matrix.sort_indices()
    return matrix
