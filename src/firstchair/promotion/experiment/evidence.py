"""Evidence of a stage as arrays: one row per user and day (docs/reference/contract.md, 9)."""

from collections.abc import Iterable, Mapping
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
# Measures that the metrics are computed from.
READ = tuple(
    dict.fromkeys(["impressions", "clicks", *(n for g in metrics.GUARDRAILS for n in g.sums)])
)
# A measure that evidence may lack, without which its guardrail is not asked.
OPTIONAL = ("tail_impressions",)
LABELS = tuple(churn.LABELS)
BEFORE = tuple(metrics.BEFORE.values())
# Days before the assignment that the columns of `BEFORE` count: part of what evidence is, no rule.
BEFORE_DAYS = 28
COLUMNS = ("day", "user_key", "arm", *SEGMENTS, *MEASURES, *LABELS, *BEFORE)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the users: its values, and the number of each user's value, int64 (n_users,)."""

    values: tuple[str, ...]
    codes: Codes


def groups_of(segments: Iterable[Segment], users: int) -> tuple[Codes, Codes]:
    """Group users by all of some segments.

    Returns:
        The first user of each group, int64 (n_groups,), and the group of each user, int64
        (n_users,). Groups are ordered by the values of the segments, the first segment foremost.
    """
    combined = np.zeros(users, dtype=np.int64)
    for segment in segments:
        combined = combined * len(segment.values) + segment.codes
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    return first, group


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows or users that do not count, by what is wrong with them.

    Attributes:
        what: What is wrong, such as "users in both arms".
        count: How many.
        of: Out of how many.
        share: The larger of the two arms' shares, 0..1; of all where they belong to no single arm.
    """

    what: str
    count: int
    of: int
    share: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The users of a stage, and what they did on each of its days.

    Attributes:
        dates: Dates of day 0, 1, ..., without the days that are left out.
        arm: int8 (n_users,), 0 champion, 1 challenger.
        segments: By name, as they were at the stage's start.
        before: Sums of the 28 days before the assignment by name (`BEFORE`), float64 (n_users,).
        offsets: Rows of day d are those from offsets[d] to offsets[d + 1].
        user: Number of each row's user, int64 (n_rows,).
        rows: By name (`MEASURES`, `LABELS`, and those of `OPTIONAL` that the evidence has), float64
            (n_rows,). A label is NaN until it is final.
        left_out: What does not count, by kind; kinds with a count of 0 included.
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
        """What each user did on a day, by name of `READ` and `OPTIONAL`, float64 (n_users,)."""
        assert day <= today
        here = slice(self.offsets[day], self.offsets[day + 1])
        names = (name for name in (*READ, *OPTIONAL) if name in self.rows)
        return {name: _sums(self.user[here], self.rows[name][here], self.users) for name in names}

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """Numbers of the users with a final label of a day, and the labels."""
        here = slice(self.offsets[day], self.offsets[day + 1])
        known = ~np.isnan(self.rows[name][here])
        return self.user[here][known], self.rows[name][here][known]


def _sums(user: Codes, values: Values, users: int) -> Values:
    return np.bincount(user, values, users).astype(np.float64, copy=False)


def refused(what: str, where: str) -> BadEvidenceError:
    """The error for rows that cannot be used as evidence."""
    return BadEvidenceError(
        what,
        where=where,
        data="Nothing was decided; the champion stays.",
        remedy=(
            "Write one row per user and day in the columns of the evidence table, and decide again."
        ),
    )
