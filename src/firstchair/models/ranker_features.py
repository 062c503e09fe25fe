"""What the ranker sees of a user and a candidate artist; one list of names, in one order."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from firstchair.models.als import ALS
from firstchair.models.content import Content
from firstchair.models.protocol import TrainingData
from firstchair.models.selection import Floats, Rows, best
from firstchair.models.trending import Trending

CANDIDATES_EACH = 100
SOURCES = ("als", "content", "trending")
USER = ("clicks_per_100", "listen_through", "logins_28d", "days_since_last_login", "tenure_days")
ARTIST = ("plays_7d", "plays_28d", "listeners", "followers", "impressions", "clicks")
NAMES = (
    *(f"{source}_score" for source in SOURCES),
    *(f"{source}_rank" for source in SOURCES),
    *(f"user_{name}" for name in USER),
    "user_artists",
    *(f"artist_{name}" for name in ARTIST),
    "artist_momentum",
    "artist_ctr",
    "artist_years_active",
)
# Features whose contributions are told to a listener as one reason.
GROUPS = {"als": ("als_score", "als_rank"), "content": ("content_score", "content_rank")}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidates of some users, in order of users.

    user: int64 (n,), position in the rows asked for; column: int32 (n,), the artist in the data;
    features: float32 (n, len(NAMES)), NaN where unknown.
    """

    user: npt.NDArray[np.int64]
    column: npt.NDArray[np.int32]
    features: Floats


@dataclass(frozen=True, slots=True)
class Sources:
    """The models that propose candidates, fitted on the data the pairs are drawn from."""

    als: ALS
    content: Content
    trending: Trending

    @classmethod
    def fit(cls, data: TrainingData, *, seed: int) -> "Sources":
        """All three on the same data."""
        return cls(ALS().fit(data, seed=seed), Content().fit(data, seed=seed), Trending().fit(data, seed=seed))

    def pairs(self, data: TrainingData, rows: Rows, *, each: int = CANDIDATES_EACH) -> Pairs:
        """The union of each source's best `each` artists that a user has not taken, with their features."""
        taken = data.taken()[rows]
        scored = [source.scores(data, rows) for source in (self.als, self.content, self.trending)]
        ranks = [np.full(scores.shape, np.nan, dtype=np.float32) for scores in scored]
        for scores, rank in zip(scored, ranks, strict=True):
            lists = best(scores, taken, each)
            row, slot = np.nonzero(lists.artists >= 0)
            rank[row, lists.artists[row, slot]] = slot + 1
        proposed = np.any([np.isfinite(rank) for rank in ranks], axis=0)
        user, column = np.nonzero(proposed)
        features = np.column_stack(
            [
                *(np.where(np.isfinite(s[user, column]), s[user, column], np.nan) for s in scored),
                *(rank[user, column] for rank in ranks),
                _of_users(data)[rows[user]],
                _of_artists(data)[column],
            ]
        )
        return Pairs(user.astype(np.int64), column.astype(np.int32), features.astype(np.float32))


def _of_users(data: TrainingData) -> Floats:
    known = [pd.to_numeric(data.users[name], errors="coerce").to_numpy(float) for name in USER if name in data.users]
    taken = np.diff(data.taken().indptr).astype(float)
    columns = known if len(known) == len(USER) else [np.full(len(taken), np.nan)] * len(USER)
    return np.column_stack([*columns, taken]).astype(np.float32)


def _of_artists(data: TrainingData) -> Floats:
    counts = {name: _numbers(data, name) for name in ARTIST}
    momentum = (counts["plays_7d"] + 1) / (counts["plays_28d"] / 4 + 1)
    ctr = (counts["clicks"] + 1) / (counts["impressions"] + 20)
    started = pd.to_datetime(data.artists["first_active_on"], errors="coerce")
    years = (pd.Timestamp(data.as_of) - started).dt.days.to_numpy(float) / 365.25
    return np.column_stack([*(np.log1p(values) for values in counts.values()), momentum, ctr, years]).astype(np.float32)


def _numbers(data: TrainingData, name: str) -> npt.NDArray[np.float64]:
    if name not in data.artists:
        return np.full(len(data.artist_ids), np.nan)
    return pd.to_numeric(data.artists[name], errors="coerce").to_numpy(float)
