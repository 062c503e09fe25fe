"""Features of a user and a candidate artist: one list of names, in one order."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from firstchair.models.protocol import Rows, TrainingData
from firstchair.models.selection import Floats, cells, chunks, own_columns
from firstchair.models.sources import CANDIDATES_EACH, SOURCES, Proposed, Sources
from firstchair.models.trending import CELLS, Trending

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
    "artist_novelty",
    "artist_momentum",
    "artist_ctr",
    "artist_years_active",
    "lift_in_country",
    "lift_in_age_group",
    "refused",
    "slate_position",
)
# Monotone constraints: more of these never ranks an artist lower (1) or higher (-1).
MONOTONE = {
    "als_z": 1,
    "item_item_z": 1,
    "content_z": 1,
    "lift_in_country": 1,
    "lift_in_age_group": 1,
    "refused": -1,
}
# Features that form one reason together; features that are equal for all items of a user give no
# reason.
GROUPS = {
    "als": ("als_score", "als_z", "als_rank"),
    "item_item": (
        "item_item_score",
        "item_item_z",
        "item_item_rank",
        "niche_score",
        "niche_z",
        "niche_rank",
    ),
    "content": ("content_score", "content_z", "content_rank"),
    "country": ("lift_in_country",),
    "age group": ("lift_in_age_group",),
    "trending": (
        "trending_score",
        "trending_z",
        "trending_rank",
        *(n for n in NAMES if n.startswith("artist_")),
    ),
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


@dataclass(frozen=True, slots=True)
class DayFeatures:
    """Features of users and of artists of one day's data that do not depend on the pair.

    users: float32 (n_users, len(USER) + 1), the number of a user's artists last. artists: float32
    (n_artists, len(ARTIST) + 4). lifts: of each of `CELLS` the users' cells, int64 (n_users,), and
    log2 of each cell's share of each artist over the whole's, float32 (n_cells + 1, n_artists), the
    last row 0 and for users of no cell. cells: names of the cells of each, in the order of the
    rows.
    """

    users: Floats
    artists: Floats
    lifts: list[tuple[Rows, Floats]]
    cells: list[list[str]]


def day_features(sources: Sources, data: TrainingData) -> DayFeatures:
    """Compute the features of all users and artists of `data`, in its order."""
    liked, trending = data.liked(), sources["trending"].counted(data)
    named = [sorted(value for cell, value in trending.cells if cell == name) for name in CELLS]
    lifts = _lifts(trending, data, named)
    return DayFeatures(_of_users(data, liked), _of_artists(data, liked), lifts, named)


def pair_features(
    proposed: Proposed, rows: Rows, day: DayFeatures, confidence: sparse.csr_matrix
) -> Floats:
    """Features of candidates, at no position of a slate: float32 (n, len(NAMES)).

    Args:
        proposed: The candidates.
        rows: Rows of `day` and `confidence`; users of candidates are positions in it.
        day: Features of the data.
        confidence: CSR (n_users, n_artists), as in `TrainingData`.
    """
    row, column = rows[proposed.user], proposed.column
    columns = [
        proposed.scores,
        proposed.z,
        proposed.ranks,
        np.isfinite(proposed.ranks).sum(axis=1),
        day.users[row],
        day.artists[column],
        *(lift[cell[row], column] for cell, lift in day.lifts),
        np.maximum(0, -cells(confidence, row, column)),
        np.full(len(row), np.nan),
    ]
    return np.column_stack(columns).astype(np.float32)


class PairTable:
    """Candidates and their features; those of users and artists are computed once."""

    def __init__(self, sources: Sources, data: TrainingData) -> None:
        self.sources, self.data = sources, data
        self.day = day_features(sources, data)

    def of(self, rows: Rows, *, each: int = CANDIDATES_EACH) -> Pairs:
        """The candidates that the sources propose for each of `rows`, with their features."""
        proposed = self.sources.propose(self.data, rows, self.data.taken(rows), each=each)
        features = pair_features(proposed, rows, self.day, self.data.confidence)
        return Pairs(proposed.user, proposed.column, features)

    def given(self, row: Rows, column: Rows, position: Rows) -> Floats:
        """Features of given pairs at a position of a slate: float32 (n, len(NAMES))."""
        width = len(self.data.artist_ids)
        features = np.full((len(row), len(NAMES)), np.nan, dtype=np.float32)
        for part in chunks(np.unique(row), len(SOURCES) * width):
            asked = np.flatnonzero(np.isin(row, part))
            pairs = np.searchsorted(part, row[asked]), column[asked]
            proposed = self.sources.propose(self.data, part, self.data.taken(part), only=pairs)
            place = np.searchsorted(
                proposed.user * width + proposed.column, pairs[0] * width + pairs[1]
            )
            described = pair_features(proposed, part, self.day, self.data.confidence)
            features[asked] = described[place]
        features[:, NAMES.index("slate_position")] = position
        return features


def _lifts(
    trending: Trending, data: TrainingData, named: list[list[str]]
) -> list[tuple[Rows, Floats]]:
    """Lifts of the named cells, as in `DayFeatures.lifts`."""
    own = own_columns(data, trending.artist_ids)[:-1]
    found = []
    for name, values in zip(CELLS, named, strict=True):
        shares = [np.log2(trending.cells[name, value] / trending.whole) for value in values]
        table = np.stack([*shares, np.zeros_like(trending.whole)])[:, own]
        table[:, own < 0] = 0
        place = {value: number for number, value in enumerate(values)}
        cell = [place.get(value, len(values)) for value in data.users[name].astype(str)]
        found.append((np.array(cell, dtype=np.int64), table.astype(np.float32)))
    return found


def _of_users(data: TrainingData, liked: sparse.csr_matrix) -> Floats:
    known = [
        pd.to_numeric(data.users[name], errors="coerce").to_numpy(float)
        for name in USER
        if name in data.users
    ]
    artists = np.diff(liked.indptr).astype(float)
    columns = known if len(known) == len(USER) else [np.full(len(artists), np.nan)] * len(USER)
    return np.column_stack([*columns, artists]).astype(np.float32)


def _of_artists(data: TrainingData, liked: sparse.csr_matrix) -> Floats:
    counts = {name: _numbers(data, name) for name in ARTIST}
    takers = np.bincount(liked.indices, minlength=len(data.artist_ids))
    momentum = (counts["plays_7d"] + 1) / (counts["plays_28d"] / 4 + 1)
    ctr = (counts["clicks"] + 1) / (counts["impressions"] + 20)
    started = pd.to_datetime(data.artists["first_active_on"], errors="coerce")
    years = (pd.Timestamp(data.as_of) - started).dt.days.to_numpy(float) / 365.25
    novelty = -np.log2(np.maximum(takers, 1) / max(1, liked.shape[0]))
    return np.column_stack(
        [*(np.log1p(values) for values in counts.values()), novelty, momentum, ctr, years]
    ).astype(np.float32)


def _numbers(data: TrainingData, name: str) -> npt.NDArray[np.float64]:
    """A count of each artist; NaN where it is not known, or is none (as -1 for unknown)."""
    if name not in data.artists:
        return np.full(len(data.artist_ids), np.nan)
    counts = pd.to_numeric(data.artists[name], errors="coerce").to_numpy(float)
    return np.where(counts >= 0, counts, np.nan)
