"""What the ranker sees of a user and a candidate artist; one list of names, in one order."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from firstchair.models.protocol import TrainingData
from firstchair.models.selection import Floats, Rows
from firstchair.models.sources import CANDIDATES_EACH, SOURCES, Sources

USER = ("clicks_per_100", "listen_through", "logins_28d", "days_since_last_login", "tenure_days")
ARTIST = ("plays_7d", "plays_28d", "listeners", "followers", "impressions", "clicks")
NAMES = (
    *(f"{source}_score" for source in SOURCES),
    *(f"{source}_z" for source in SOURCES),
    *(f"{source}_rank" for source in SOURCES),
    "proposed_by",
    *(f"user_{name}" for name in USER),
    "user_artists",
    *(f"artist_{name}" for name in ARTIST),
    "artist_takers",
    "artist_momentum",
    "artist_ctr",
    "artist_years_active",
)
# Features whose contributions are told to a listener as one reason; what holds for all of a user's items is none.
GROUPS = {
    "als": ("als_score", "als_z", "als_rank"),
    "item_item": ("item_item_score", "item_item_z", "item_item_rank", "niche_score", "niche_z", "niche_rank"),
    "content": ("content_score", "content_z", "content_rank"),
    "trending": ("trending_score", "trending_z", "trending_rank", *(n for n in NAMES if n.startswith("artist_"))),
}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidates of some users, in order of users.

    user: int64 (n,), position in the rows asked for; column: int64 (n,), the artist in the data;
    features: float32 (n, len(NAMES)), NaN where unknown.
    """

    user: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    features: Floats


class PairTable:
    """Candidates and features of the users of one day's data; what holds for users and artists is computed once."""

    def __init__(self, sources: Sources, data: TrainingData) -> None:
        self.sources, self.data = sources, data
        self.taken = data.taken()
        self.users, self.artists = _of_users(data, self.taken), _of_artists(data, self.taken)

    def of(self, rows: Rows, *, each: int = CANDIDATES_EACH) -> Pairs:
        """The candidates that the sources propose for each of `rows`, with their features."""
        proposed = self.sources.propose(self.data, rows, self.taken[rows], each=each)
        features = np.column_stack(
            [
                proposed.scores,
                proposed.z,
                proposed.ranks,
                np.isfinite(proposed.ranks).sum(axis=1),
                self.users[rows[proposed.user]],
                self.artists[proposed.column],
            ]
        )
        return Pairs(proposed.user, proposed.column, features.astype(np.float32))


def _of_users(data: TrainingData, taken: sparse.csr_matrix) -> Floats:
    known = [pd.to_numeric(data.users[name], errors="coerce").to_numpy(float) for name in USER if name in data.users]
    artists = np.diff(taken.indptr).astype(float)
    columns = known if len(known) == len(USER) else [np.full(len(artists), np.nan)] * len(USER)
    return np.column_stack([*columns, artists]).astype(np.float32)


def _of_artists(data: TrainingData, taken: sparse.csr_matrix) -> Floats:
    counts = {name: _numbers(data, name) for name in ARTIST}
    takers = np.bincount(taken.indices, minlength=len(data.artist_ids))
    momentum = (counts["plays_7d"] + 1) / (counts["plays_28d"] / 4 + 1)
    ctr = (counts["clicks"] + 1) / (counts["impressions"] + 20)
    started = pd.to_datetime(data.artists["first_active_on"], errors="coerce")
    years = (pd.Timestamp(data.as_of) - started).dt.days.to_numpy(float) / 365.25
    logs = (np.log1p(values) for values in (*counts.values(), takers))
    return np.column_stack([*logs, momentum, ctr, years]).astype(np.float32)


def _numbers(data: TrainingData, name: str) -> npt.NDArray[np.float64]:
    if name not in data.artists:
        return np.full(len(data.artist_ids), np.nan)
    return pd.to_numeric(data.artists[name], errors="coerce").to_numpy(float)
