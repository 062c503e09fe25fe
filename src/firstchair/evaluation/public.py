"""Public splits: two files of users and items, converted to training data."""

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from firstchair.evaluation.public_files import LISTS, read_pairs
from firstchair.models import LabelledHistory, TrainingData

# The split has no days; nothing depends on this one.
NO_DAY = date(1970, 1, 1)
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class PublicSplit:
    """Training data with a held-out slice as labels, and the positives of the test file.

    positives: float32 CSR (n_users, n_artists), 1 for each pair of the test file; rows and columns
    are those of `train`. Users of the test file alone are cold. formats: how both files were read.
    """

    train: TrainingData
    positives: sparse.csr_matrix
    formats: tuple[str, str] = (LISTS, LISTS)


def read_public_split(train: Path, test: Path, *, seed: int) -> PublicSplit:
    """Read both files (`read_pairs`) as one split; a fifth of each user's items are labels.

    `seed` draws the labels. The order of items has no meaning.

    Raises:
        EvidenceError: A file holds no pair, is not text, or its format cannot be recognised.
    """
    given = read_pairs(train, test)
    user_keys = np.unique(np.concatenate([pairs.users for pairs in given]))
    artist_ids = np.unique(np.concatenate([pairs.items for pairs in given]))
    shape = (len(user_keys), len(artist_ids))
    known, wanted = (
        _ones(
            np.searchsorted(user_keys, pairs.users),
            np.searchsorted(artist_ids, pairs.items),
            shape,
        )
        for pairs in given
    )
    data = with_held_out(as_training_data(user_keys, artist_ids, known), seed=seed)
    return PublicSplit(data, wanted, (given[0].format, given[1].format))


def as_training_data(
    user_keys: npt.NDArray[np.str_], artist_ids: npt.NDArray[np.str_], confidence: sparse.csr_matrix
) -> TrainingData:
    """Training data of pairs alone: without countries, age groups, genres and days."""
    unknown = pd.DataFrame(
        {"country": "unknown", "age_group": "unknown"}, index=pd.Index(user_keys, dtype=object)
    )
    named = {
        "name": artist_ids.astype(object),
        "first_active_on": pd.NaT,
        "genres": [[]] * len(artist_ids),
    }
    digest = hashlib.sha256(
        confidence.indptr.tobytes() + confidence.indices.tobytes() + confidence.data.tobytes()
    )
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
    """The same data with `share` of each user's artists held out as labels."""
    kept, held = held_out(data.confidence, seed=seed, share=share)
    return replace(data, labelled=LabelledHistory(replace(data, confidence=kept), held))


def held_out(
    matrix: sparse.csr_matrix, *, seed: int, share: float
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Hold out `share` of the positive entries of each row (rounded, ties to even), by `seed`.

    Returns:
        The matrix without them, and 1 at their positions; both float32 CSR.
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
        sparse.csr_matrix(
            (values.astype(np.float32), (row[mask], matrix.indices[mask])), shape=matrix.shape
        )
        for values, mask in parts
    )
    return kept, held


def _ones(
    row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix((np.ones(len(row), dtype=np.float32), (row, column)), shape=shape)
    matrix.data[:] = 1  # A repeated pair counts once.
    matrix.sort_indices()
    return matrix
