"""A simulated stage: users of both arms and their behaviour, during and before the stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from firstchair.definitions import churn
from firstchair.promotion.audition.behaviour import (
    ALL_DAYS,
    DAYS,
    Behaviour,
    Floats,
    World,
    offsets_of,
)
from firstchair.promotion.audition.effects import Effect
from firstchair.promotion.audition.worlds import STEADY
from firstchair.promotion.experiment.evidence import (
    BEFORE,
    BEFORE_DAYS,
    MEASURES,
    OPTIONAL,
    Codes,
    Segment,
    Values,
)

LATE_DAYS, LATE_MISSING = 2, 0.40
# Shares of users' impressions that are of small artists: 15 % in the mean, half as much apart.
TAIL_SHARE = (3.0, 17.0)
# Measures of each day before the stage; the columns of `BEFORE` are their sums.
HISTORY = tuple(name.removeprefix("pre_").removesuffix("_days") for name in BEFORE)
# Newest days whose arrays are cached: the gate reads a day again while it may still change.
KEPT_DAYS = 6


@dataclass(frozen=True)
class Panel:
    """Simulated users and days, in the form in which the gate reads evidence.

    Attributes:
        arm: int8 (n_users,), 0 champion, 1 challenger, ascending.
        segments: By name.
        before: By name of `BEFORE`, float64 (n_users,): the sums of `history`.
        earlier: Index in the arrays of `history` of each user and day before the stage on which
            they were active, int64 (n_earlier,).
        earlier_rows: As `rows`, of these, float32 (n_earlier,).
        offsets: The rows of day d of the stage are offsets[d] to offsets[d + 1].
        user: int64 (n_rows,), one row a user and day on which they were active.
        rows: By name of `MEASURES` and `OPTIONAL`, float32 (n_rows,); every click is a play, and
            nobody follows.
        late: Whether impressions of the challenger arrive late.
    """

    arm: npt.NDArray[np.int8]
    segments: Mapping[str, Segment]
    before: Mapping[str, Values]
    earlier: Codes
    earlier_rows: Mapping[str, Floats]
    offsets: Codes
    user: Codes
    rows: Mapping[str, Floats]
    late: bool
    _days: dict[int, dict[str, Values]] = field(default_factory=dict, init=False, repr=False)

    @property
    def days(self) -> int:
        """Number of days."""
        return DAYS

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.arm)

    @property
    def history(self) -> dict[str, Floats]:
        """Days before the stage by name of `HISTORY`, float32 (BEFORE_DAYS, n_users)."""
        found = {name: np.zeros((BEFORE_DAYS, self.users), dtype=np.float32) for name in HISTORY}
        for name, values in found.items():
            values.ravel()[self.earlier] = self.earlier_rows.get(name, 1)
        return found

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """Whether a user was active, bool (DAYS, n_users)."""
        found = np.zeros((DAYS, self.users), dtype=np.bool_)
        found[np.repeat(np.arange(DAYS), np.diff(self.offsets)), self.user] = True
        return found

    @cached_property
    def _active_before(self) -> npt.NDArray[np.int8]:
        """Number of days before each day on which a user was active, int8 (DAYS + 1, n_users)."""
        found = np.zeros((DAYS + 1, self.users), dtype=np.int8)
        np.cumsum(self.active, axis=0, dtype=np.int8, out=found[1:])
        return found

    def day(self, day: int, *, today: int) -> dict[str, Values]:
        """What each user did on a day, read-only; if delivery is late, what is known by `today`."""
        if day not in self._days:
            self._days.pop(day - KEPT_DAYS, None)
            self._days[day] = self._whole(day)
        found = self._days[day]
        if self._is_open(day, today):
            return found | {"impressions": self._arrived(found["impressions"], self.arm)}
        return found

    def clicks(self, day: int, *, today: int) -> tuple[Codes, Floats, Values]:
        """Users active on a day, their clicks, and their impressions that are known by then."""
        here = slice(self.offsets[day], self.offsets[day + 1])
        users, shown = self.user[here], self.rows["impressions"][here].astype(np.float64)
        if self._is_open(day, today):
            shown = self._arrived(shown, self.arm[users])
        return users, self.rows["clicks"][here], shown

    def _is_open(self, day: int, today: int) -> bool:
        return self.late and today - day < LATE_DAYS

    def _arrived(self, shown: Values, arm: npt.NDArray[np.int8]) -> Values:
        return np.where(arm == 1, np.floor(shown * (1 - LATE_MISSING)), shown)

    def _whole(self, day: int) -> dict[str, Values]:
        here = slice(self.offsets[day], self.offsets[day + 1])
        users = self.user[here]
        found = {"active": self.active[day].astype(np.float64), "followed": np.zeros(self.users)}
        for name, values in self.rows.items():
            sums = np.bincount(users, values[here], self.users)
            found[name] = sums.astype(np.float64, copy=False)
        found["plays"] = found["clicks"]
        for values in found.values():
            values.flags.writeable = False
        return {name: found[name] for name in (*MEASURES, *OPTIONAL) if name in found}

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """Churn labels of users active on a day, 0 or 1; empty while they are not final."""
        horizon = churn.LABELS[name]
        if day + horizon >= DAYS:
            return np.array([], dtype=np.int64), np.array([])
        users = self.user[self.offsets[day] : self.offsets[day + 1]]
        before, after = (
            self._active_before[until].take(users) for until in (day + 1, day + 1 + horizon)
        )
        return users, (after == before).astype(np.float64)


def simulate_panel(users: int, effect: Effect, *, seed: int, world: World = STEADY) -> Panel:
    """Simulate users of both arms over a stage of `DAYS` days and the 28 days before it.

    Args:
        users: Number of users, split evenly and at random between the arms.
        effect: What the challenger changes.
        seed: The same seed gives the same panel.
        world: Assumptions about users.
    """
    rng = np.random.default_rng(seed)
    arm = rng.permutation(users) % 2
    treated = arm == 1
    found = world.draw(rng, users)
    recorded = effect.recorded(rng, found, treated)
    found = found.only(effect.remaining(rng, found, treated) & recorded[found.user])
    measured = _measured(rng, found, effect, treated, world)
    if effect.exposure is not None:
        measured["tail_impressions"] = _of_small_artists(seed, found, effect.exposure, treated)
    day, user = found.day, found.user
    if effect.account:
        program = int(np.argmax(treated))
        day, user, measured = _with_program(day, user, measured, program, effect.account)
    # Those who reach the tables, numbered by arm.
    kept = np.flatnonzero(recorded)[np.argsort(arm[recorded], kind="stable")]
    number = np.empty(users, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    user, offsets = number[user], offsets_of(day)
    start = int(offsets[BEFORE_DAYS])
    earlier = {name: values[:start] for name, values in measured.items()}
    sums = [np.bincount(user[:start], earlier.get(name), len(kept)) for name in HISTORY]
    return Panel(
        arm=arm[kept].astype(np.int8),
        segments={n: Segment(s.values, s.codes[kept]) for n, s in found.segments.items()},
        before={name: values.astype(np.float64) for name, values in zip(BEFORE, sums, strict=True)},
        earlier=day[:start] * len(kept) + user[:start],
        earlier_rows=earlier,
        offsets=offsets[BEFORE_DAYS:] - start,
        user=user[start:],
        rows={name: values[start:] for name, values in measured.items()},
        late=effect.late,
    )


def _measured(
    rng: np.random.Generator,
    found: Behaviour,
    effect: Effect,
    treated: npt.NDArray[np.bool_],
    world: World,
) -> dict[str, Floats]:
    """The measures of each cell, float32 (n_cells,)."""
    clicks = rng.binomial(found.impressions, effect.chances(found, treated))
    played = np.flatnonzero(clicks)
    user, plays = found.user[played], clicks[played].astype(np.float32)
    depth = found.depth.astype(np.float32)[user]
    if effect.listen_through:
        in_stage = treated[user] & (found.day[played] >= BEFORE_DAYS)
        depth *= 1 + np.float32(effect.listen_through) * in_stage
    length = plays * found.track_ms.astype(np.float32)[user]
    track_ms, ms_played = np.zeros((2, len(clicks)), dtype=np.float32)
    track_ms[played] = length
    ms_played[played] = length * world.listened(rng, plays, depth)
    return {
        "impressions": found.impressions.astype(np.float32),
        "clicks": clicks.astype(np.float32),
        "ms_played": ms_played,
        "track_ms": track_ms,
    }


def _of_small_artists(
    seed: int, found: Behaviour, effect: float, treated: npt.NDArray[np.bool_]
) -> Floats:
    """Impressions of each cell that are of small artists, float32 (n_cells,).

    They have a random stream of their own, so that all else is as in panels without them.
    """
    rng = np.random.default_rng([seed, 1])
    share = rng.beta(*TAIL_SHARE, found.users)[found.user]
    share *= 1 + effect * (treated[found.user] & (found.day >= BEFORE_DAYS))
    return rng.binomial(found.impressions, share).astype(np.float32)


def _with_program(
    day: Codes, user: Codes, measured: dict[str, Floats], program: int, impressions: int
) -> tuple[Codes, Codes, dict[str, Floats]]:
    """Make a user fetch slates on each day of the stage without ever clicking."""
    others = (user != program) | (day < BEFORE_DAYS)
    day = np.concatenate([day[others], np.arange(BEFORE_DAYS, ALL_DAYS)])
    user = np.concatenate([user[others], np.full(DAYS, program)])
    order = np.argsort(day, kind="stable")
    fetched = {name: np.float32(0) for name in measured} | {"impressions": np.float32(impressions)}
    for name, values in measured.items():
        measured[name] = np.concatenate([values[others], np.full(DAYS, fetched[name])])[order]
    return day[order], user[order], measured
