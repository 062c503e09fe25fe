"""Evidence of a stage as arrays: one row a user and day (docs/reference/contract.md, section 9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from firstchair.definitions import churn, metrics
from firstchair.definitions.segments import USER_SEGMENTS
from firstchair.errors import BadEvidenceError

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ARMS = ("champion", "challenger")
SEGMENTS = tuple(map(str, USER_SEGMENTS))
MEASURES = ("impressions", "clicks", "plays", "ms_played", "track_ms", "followed", "active")
LABELS = tuple(churn.LABELS)
BEFORE = tuple(metrics.BEFORE.values())
# Days before the stage that the columns of `BEFORE` count: part of what evidence is, not of a rule.
BEFORE_DAYS = 28
COLUMNS = ("day", "user_key", "arm", *SEGMENTS, *MEASURES, *LABELS, *BEFORE)


@dataclass(frozen=True, slots=True)
class Segment:
    """One way to part the users: names of the parts, and each user's part, int64 (n_users,)."""

    values: tuple[str, ...]
    codes: Codes


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is no evidence in rows that otherwise are: how many of them, of how many.

    what: in words, such as "users in both arms". share: the larger of both arms' shares, 0..1, or that
    of all where an arm cannot be told.
    """

    what: str
    count: int
    of: int
    share: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The users of a stage, and what they did on each of its days.

    dates: of day 0, 1, ..., those left out not among them. arm: int8 (n_users,), 0 champion, 1 challenger. segments:
    by name, fixed at the stage's start. before: by name (`BEFORE`), float64 (n_users,), of the 28 days before. user:
    int64 (n_rows,), ascending by day, the rows of day d at offsets[d] to offsets[d + 1]. rows: by name (`MEASURES`,
    `LABELS`), float64 (n_rows,); a label is NaN while it is open. left_out: what does not count, each
    kind with its count, 0 included.
    """

    dates: tuple[date, ...]
    arm: npt.NDArray[np.int8]
    segments: Mapping[str, Segment]
    before: Mapping[str, Values]
    offsets: Codes
    user: Codes
    rows: Mapping[str, Values]
    left_out: tuple[LeftOut, ...]

    @property
    def days(self) -> int:
        """Days from the first to the last one with a row, without those left out."""
        return len(self.dates)

    @property
    def users(self) -> int:
        """Users assigned to an arm."""
        return len(self.arm)

    def day(self, day: int, *, today: int) -> dict[str, Values]:
        """What each user did on a day: by name of `MEASURES`, float64 (n_users,); the same on every later day."""
        assert day <= today
        here = slice(self.offsets[day], self.offsets[day + 1])
        return {
            name: _sums(self.user[here], self.rows[name][here], self.users) for name in MEASURES
        }

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """Users with a label of that day, and the labels."""
        here = slice(self.offsets[day], self.offsets[day + 1])
        known = ~np.isnan(self.rows[name][here])
        return self.user[here][known], self.rows[name][here][known]


def _sums(user: Codes, values: Values, users: int) -> Values:
    return np.bincount(user, values, users).astype(np.float64, copy=False)


def refused(what: str, where: str) -> BadEvidenceError:
    """The error of rows that are no evidence."""
    return BadEvidenceError(
        what,
        where=where,
        data="Nothing was decided; the champion stays.",
        remedy="Write one row per user and day in the columns of the evidence table, and decide again.",
    )
