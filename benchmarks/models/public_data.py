"""Public data sets as training data, read from `../shared/data` outside the project."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from firstchair.evaluation.public import (
    PublicSplit,
    as_training_data,
    held_out,
    read_public_split,
    with_held_out,
)
from firstchair.models import TrainingData

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SEED = 20260101


def gowalla() -> PublicSplit:
    """The published split."""
    folder = _present("gowalla")
    return read_public_split(folder / "train.txt", folder / "test.txt", seed=SEED)


def hetrec() -> PublicSplit:
    """HetRec Last.fm, a fifth of each user's artists held out by seed; play counts are ignored."""
    whole = hetrec_whole()
    kept, wanted = held_out(whole.confidence, seed=SEED, share=0.2)
    return PublicSplit(
        with_held_out(as_training_data(whole.user_keys, whole.artist_ids, kept), seed=SEED), wanted
    )


def hetrec_whole() -> TrainingData:
    """All users and the artists that anybody plays, 1 where a user plays an artist."""
    rows = pd.read_csv(_present("hetrec2011-lastfm-2k") / "user_artists.dat", sep="\t").astype(str)
    user_keys, row = np.unique(rows["userID"].to_numpy(str), return_inverse=True)
    artist_ids, column = np.unique(rows["artistID"].to_numpy(str), return_inverse=True)
    matrix = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (row, column)), (len(user_keys), len(artist_ids))
    )
    matrix.sort_indices()
    return as_training_data(user_keys, artist_ids, matrix)


def hetrec_friends(user_keys: np.ndarray) -> sparse.csr_matrix:
    """1 where two users are friends: float32 CSR (n_users, n_users)."""
    rows = pd.read_csv(_present("hetrec2011-lastfm-2k") / "user_friends.dat", sep="\t").astype(str)
    ends = [pd.Index(user_keys).get_indexer(rows[name]) for name in ("userID", "friendID")]
    known = (ends[0] >= 0) & (ends[1] >= 0)
    ones = np.ones(int(known.sum()), np.float32)
    return sparse.csr_matrix(
        (ones, (ends[0][known], ends[1][known])), (len(user_keys), len(user_keys))
    )


def _present(name: str) -> Path:
    folder = DATA / name
    if not folder.exists():
        sys.exit(f"{name} is not at ../shared/data: nothing was measured.")
    return folder
