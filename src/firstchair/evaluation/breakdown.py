"""A metric by segment and by length of history, each cell with an interval that resamples users."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from firstchair.definitions.segments import OTHER, USER_SEGMENTS
from firstchair.evaluation.intervals import mean_intervals
from firstchair.models import TrainingData
from firstchair.models.hits import Values
from firstchair.models.protocol import Rows

# A smaller cell is merged into `other`: its mean is uncertain and about few users.
LEAST_USERS = 20
# Inclusive upper ends of the bins of the number of artists a user had interacted with.
HISTORY = (0, 1, 3, 5, 10, 19)
HISTORY_NAMES = ("0", "1", "2-3", "4-5", "6-10", "11-19", "20+")


@dataclass(frozen=True, slots=True)
class Cell:
    """Mean of a metric over the users of a cell, with a two-sided 95 % interval; all in 0..1."""

    segment: str
    value: str
    users: int
    mean: float
    lower: float
    upper: float


def broken_down(values: Values, rows: Rows, data: TrainingData, *, seed: int) -> tuple[Cell, ...]:
    """Average a metric over all users, by segment, and by length of history at the cutoff.

    Each user has one value, so intervals that resample users need no further clustering.

    Args:
        values: One for each of `rows`, 0..1.
        rows: Row numbers of `data`.
        data: The training data.
        seed: Seed of the intervals.
    """
    lengths = np.diff(data.liked().indptr)[rows]
    named = {"all": np.full(len(rows), "all"), "history": history_names(lengths)}
    named |= {
        name: data.users[name].astype(str).to_numpy()[rows]
        for name in USER_SEGMENTS
        if name in data.users
    }
    names: list[tuple[str, str]] = []
    columns = []
    for segment, of_user in named.items():
        merged = _merged(segment, of_user)
        found, place = np.unique(merged, return_inverse=True)
        columns.append(place + len(names))
        names += [(segment, str(value)) for value in found]
    if not len(rows):
        return ()
    every = np.tile(np.arange(len(rows)), len(columns))
    members = sparse.csr_matrix(
        (np.ones(len(every)), (every, np.concatenate(columns))), shape=(len(rows), len(names))
    )
    lower, upper = mean_intervals(values, members, samples=500, alpha=0.05, seed=seed)
    users = members.sum(axis=0).A1.astype(int)
    means = (members.T @ values) / users
    return tuple(
        Cell(segment, value, int(users[n]), float(means[n]), float(lower[n]), float(upper[n]))
        for n, (segment, value) in enumerate(names)
    )


def history_names(lengths: npt.NDArray[np.integer]) -> npt.NDArray[np.str_]:
    """Name of the bin of each length.

    >>> history_names(np.array([0, 2, 20])).tolist()
    ['0', '2-3', '20+']
    """
    return np.array(HISTORY_NAMES)[np.searchsorted(np.array(HISTORY), lengths)]


def _merged(segment: str, of_user: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """The cell of each user; small ones of a segment are one."""
    if segment in ("all", "history"):
        return of_user
    counts = pd.Series(of_user).value_counts()
    return np.where(np.isin(of_user, counts[counts < LEAST_USERS].index), OTHER, of_user)
