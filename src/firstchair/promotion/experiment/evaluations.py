"""The state of a stage at each daily evaluation: running totals of every user."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import is_not
from typing import Protocol

import numpy as np
import numpy.typing as npt

from firstchair.definitions.bounds import bounded
from firstchair.definitions.churn import mature_day
from firstchair.definitions.metrics import CHURN_HORIZONS
from firstchair.evaluation.moments import sides_of
from firstchair.promotion.experiment.evidence import OPTIONAL, READ, Codes, Segment, Values
from firstchair.promotion.rules import LiveRules

Day = Mapping[str, Values]
WINDOW = ("impressions", "clicks")


class Days(Protocol):
    """Users and their days, as `Evidence` has them."""

    @property
    def arm(self) -> npt.NDArray[np.int8]:
        """0 champion, 1 challenger, by user."""

    @property
    def segments(self) -> Mapping[str, Segment]:
        """Segments by name."""

    @property
    def before(self) -> Mapping[str, Values]:
        """Sums of the days before the stage, by name."""

    @property
    def days(self) -> int:
        """Number of days."""

    @property
    def users(self) -> int:
        """Number of users."""

    def day(self, day: int, *, today: int) -> Day:
        """What each user did on a day, as far as it is known today.

        By name of `READ`, and of `OPTIONAL` where the evidence has it on every day.
        """

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """Users with a churn label of a day, and the labels."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a stage at one daily evaluation.

    Attributes:
        day: Days of the stage so far.
        data_days: The first of those, up to the first whose data are incomplete.
        totals: Sums of each user over the data days, by name of `READ` and `OPTIONAL`.
        oldest: The oldest `novelty_days` data days.
        recent: The newest `novelty_days`.
        newest: The newest `window_days`.
        labels: Latest final churn label of each user by column, NaN where there is none.
        gaps: Why newer days are incomplete, in sentences; empty if they are complete.
    """

    day: int
    data_days: int
    totals: Day
    oldest: Sequence[Day]
    recent: Sequence[Day]
    newest: Sequence[Day]
    labels: Mapping[str, Values]
    gaps: tuple[str, ...]


class Evaluations:
    """The evaluations of a stage, one for each day; each overwrites the arrays of the last."""

    def __init__(self, days: Days, rules: LiveRules) -> None:
        self.days = days
        self.rules = rules

    def __iter__(self) -> Iterator[Evaluation]:
        rules, days = self.rules, self.days
        totals = _Totals(days.users, _names(days))
        labels = {str(name): np.full(days.users, np.nan) for name in CHURN_HORIZONS}
        kept: deque[Day] = deque(maxlen=max(rules.novelty_days, rules.window_days))
        oldest: list[Day] = []
        balance = _Balance(days.arm, days.before["pre_impressions"], rules)
        for today in range(days.days):
            if (arrived := today - rules.data_days) >= 0:
                kept.append(days.day(arrived, today=today))
                balance.settle(kept[-1])
                totals.settle(kept[-1])
                if len(oldest) < rules.novelty_days:
                    oldest.append(kept[-1])
            newest = [days.day(day, today=today) for day in range(max(0, arrived + 1), today + 1)]
            gaps = balance.gaps(newest, today)
            whole = newest[: min(gaps, default=len(newest))]
            self._mature(labels, today)
            known = [*kept, *whole]
            yield Evaluation(
                day=today + 1,
                data_days=today + 1 - len(newest) + len(whole),
                totals=totals.over(whole),
                oldest=[*oldest, *whole][: rules.novelty_days],
                recent=known[-rules.novelty_days :],
                newest=known[-rules.window_days :],
                labels=labels,
                gaps=tuple(gaps.values()),
            )

    def _mature(self, labels: Mapping[str, Values], today: int) -> None:
        """Add the labels that become final today; each day left out delays them by one."""
        tolerance = self.rules.late_tolerance_days
        for name, horizon in CHURN_HORIZONS.items():
            labelled = mature_day(today, horizon, late_tolerance_days=tolerance)
            if labelled >= 0:
                users, values = self.days.labels(labelled, str(name))
                labels[str(name)][users] = values


def shown_over(days: Sequence[Day]) -> Day:
    """Impressions and clicks of each user over some days, float64 (n_users,)."""
    found = {name: days[0][name].copy() for name in WINDOW}
    for day in days[1:]:
        for name in WINDOW:
            found[name] += day[name]
    return found


def _names(days: Days) -> tuple[str, ...]:
    """Names of what is summed: `READ`, and what of `OPTIONAL` the evidence has."""
    optional = OPTIONAL if days.days else ()
    return (*READ, *(name for name in optional if name in days.day(0, today=0)))


class _Totals:
    """Sums of each user over the days of a stage, added up again only if a day has changed."""

    def __init__(self, users: int, names: Sequence[str]) -> None:
        self._settled: Day = {name: np.zeros(users) for name in names}
        self._sums: Day = self._settled
        # The days in `_sums` that may still change.
        self._open: list[Day] = []

    def settle(self, day: Day) -> None:
        """Add a day that does not change any more."""
        self._settled = _added(self._settled, day)
        if self._open and self._open[0] is day:
            del self._open[0]
        else:
            self._sums, self._open = self._settled, []

    def over(self, newest: Sequence[Day]) -> Day:
        """The sums over all settled days and these."""
        if len(newest) < len(self._open) or any(map(is_not, self._open, newest)):
            self._sums, self._open = self._settled, []
        for day in newest[len(self._open) :]:
            self._sums = _added(self._sums, day)
        self._open = list(newest)
        return self._sums


def _added(sums: Day, day: Day) -> Day:
    return {name: total + day[name] for name, total in sums.items()}


class _Balance:
    """Finds days with lost data, by a change of the arms' ratio of impressions per user."""

    def __init__(self, arm: npt.NDArray[np.int8], before: Values, rules: LiveRules) -> None:
        self._arms = sides_of(arm)
        self._rules = rules
        self._counts = np.bincount(arm, minlength=2).astype(np.float64)
        self._settled = before
        self._newest: list[tuple[Values, tuple[float, float] | None]] = []

    def settle(self, day: Day) -> None:
        self._settled = self._settled + day["impressions"]

    def gaps(self, newest: Sequence[Day], today: int) -> dict[int, str]:
        """The newest days with lost data: index in `newest`, and a sentence with the figures."""
        before, ratios = self._log_ratio(self._settled), self._log_ratios(newest)
        found: dict[int, str] = {}
        for place, day in enumerate(newest if before is not None else ()):
            number, now = today + 2 - len(newest) + place, ratios[place]
            if before is None or now is None:
                if day["impressions"].any():
                    found[place] = f"On day {number} one arm has no impression at all."
                continue
            change, error = now[0] - before[0], float(np.hypot(now[1], before[1]))
            if (
                abs(np.expm1(change)) > self._rules.data_change
                and abs(change) > self._rules.data_z * error
            ):
                found[place] = (
                    f"On day {number} the challenger's impressions a user, as a multiple of "
                    "the champion's, are "
                    f"{np.expm1(change):+.0%} against the days before."
                )
        return found

    def _log_ratios(self, newest: Sequence[Day]) -> list[tuple[float, float] | None]:
        """`_log_ratio` of each day, computed once while the day stays as it is."""
        known = self._newest
        self._newest = [
            next((seen for seen in known if seen[0] is shown), None)
            or (shown, self._log_ratio(shown))
            for shown in (day["impressions"] for day in newest)
        ]
        return [ratio for _, ratio in self._newest]

    def _log_ratio(self, impressions: Values) -> tuple[float, float] | None:
        """Logarithm of the ratio of the arms' impressions per user, and its standard error.

        None where an arm has no impression.
        """
        impressions = bounded(impressions, most=self._rules.user_weight)
        # Each arm by itself: what one arm leaves of the whole is not exactly 0 for an empty one.
        sides = [impressions[side] for side in self._arms]
        total = np.array([side.sum() for side in sides])
        if not total.all():
            return None
        relative = np.array([side @ side for side in sides]) / total**2 - 1 / self._counts
        return float(np.log(total[1] / total[0])), float(np.sqrt(relative.sum()))
