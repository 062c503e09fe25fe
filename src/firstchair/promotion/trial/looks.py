"""What is known at each daily look: running totals of every user, of the days whose data have arrived."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from firstchair.definitions.bounds import bounded
from firstchair.definitions.churn import mature_day
from firstchair.definitions.metrics import CHURN_HORIZONS
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.evidence import MEASURES, Codes, Segment, Values

Day = Mapping[str, Values]
WINDOW = ("impressions", "clicks")


class Days(Protocol):
    """Users and their days, as `Evidence` has them."""

    @property
    def arm(self) -> npt.NDArray[np.int8]:
        """0 champion, 1 challenger, by user."""

    @property
    def segments(self) -> Mapping[str, Segment]:
        """Parts of the users by name."""

    @property
    def before(self) -> Mapping[str, Values]:
        """Covariates by name."""

    @property
    def days(self) -> int:
        """Number of days."""

    @property
    def users(self) -> int:
        """Number of users."""

    def day(self, day: int, *, today: int) -> Day:
        """What each user did on a day, as far as it is known today."""

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """Users with a churn label of a day, and the labels."""


@dataclass(frozen=True, slots=True)
class Look:
    """One daily look at a stage.

    day: days of the stage so far. data_days: of those, the first ones whose data are whole. totals: by name of
    `MEASURES`, sums of each user over the data days. first, recent: clicks and impressions over the oldest and the
    newest `novelty_days` of them, newest over the newest `window_days`. labels: latest final churn label of each user
    by column, NaN where none is. gaps: what shows that newer days are not whole, empty where they are.
    """

    day: int
    data_days: int
    totals: Day
    first: Day
    recent: Day
    newest: Day
    labels: Mapping[str, Values]
    gaps: tuple[str, ...]


class Looks:
    """Iterates over the looks of a stage, one a day; the arrays of a look change with the next one."""

    def __init__(self, days: Days, rules: LiveRules) -> None:
        self.days = days
        self.rules = rules

    def __iter__(self) -> Iterator[Look]:
        rules, days = self.rules, self.days
        settled = {name: np.zeros(days.users) for name in MEASURES}
        labels = {str(name): np.full(days.users, np.nan) for name in CHURN_HORIZONS}
        kept: deque[Day] = deque(maxlen=max(rules.novelty_days, rules.window_days))
        oldest: list[Day] = []
        balance = _Balance(days.arm, days.before["pre_impressions"], rules)
        for today in range(days.days):
            if (arrived := today - rules.data_days) >= 0:
                kept.append(days.day(arrived, today=today))
                balance.settle(kept[-1])
                if len(oldest) < rules.novelty_days:
                    oldest.append(kept[-1])
                for name in settled:
                    settled[name] += kept[-1][name]
            newest = [days.day(day, today=today) for day in range(max(0, arrived + 1), today + 1)]
            gaps = balance.gaps(newest, today)
            whole = newest[: min(gaps, default=len(newest))]
            self._mature(labels, today)
            known = [*kept, *whole]
            yield Look(
                day=today + 1,
                data_days=today + 1 - len(newest) + len(whole),
                totals={
                    name: sum((day[name] for day in whole), total)
                    for name, total in settled.items()
                },
                first=_summed([*oldest, *whole][: rules.novelty_days], days.users),
                recent=_summed(known[-rules.novelty_days :], days.users),
                newest=_summed(known[-rules.window_days :], days.users),
                labels=labels,
                gaps=tuple(gaps.values()),
            )

    def _mature(self, labels: Mapping[str, Values], today: int) -> None:
        """Add the labels that mature today; a day left out of the stage delays that by one."""
        tolerance = self.rules.late_tolerance_days
        for name, horizon in CHURN_HORIZONS.items():
            labelled = mature_day(today, horizon, late_tolerance_days=tolerance)
            if labelled >= 0:
                users, values = self.days.labels(labelled, str(name))
                labels[str(name)][users] = values


def _summed(days: Sequence[Day], users: int) -> Day:
    return {name: sum((day[name] for day in days), np.zeros(users)) for name in WINDOW}


class _Balance:
    """Impressions a user of the two arms over the days before, which a day with lost data falls out of."""

    def __init__(self, arm: npt.NDArray[np.int8], before: Values, rules: LiveRules) -> None:
        self._arm = arm
        self._rules = rules
        self._counts = np.bincount(arm, minlength=2).astype(np.float64)
        self._settled = before

    def settle(self, day: Day) -> None:
        self._settled = self._settled + day["impressions"]

    def gaps(self, newest: Sequence[Day], today: int) -> dict[int, str]:
        """Of the newest days, those with lost data: place in `newest`, and what shows it."""
        before = self._log_ratio(self._settled)
        found: dict[int, str] = {}
        for place, day in enumerate(newest if before is not None else ()):
            number, now = today + 2 - len(newest) + place, self._log_ratio(day["impressions"])
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
                    f"On day {number} the challenger's impressions a user, as a multiple of the champion's, are "
                    f"{np.expm1(change):+.0%} against the days before."
                )
        return found

    def _log_ratio(self, impressions: Values) -> tuple[float, float] | None:
        """Logarithm of challenger's over champion's impressions a user, with its error; None where one saw nothing."""
        impressions = bounded(impressions, most=self._rules.user_weight)
        total = np.bincount(self._arm, impressions, 2)
        if not total.all():
            return None
        squares = np.bincount(self._arm, impressions**2, 2)
        relative = squares / total**2 - 1 / self._counts
        return float(np.log(total[1] / total[0])), float(np.sqrt(relative.sum()))
