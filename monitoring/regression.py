"""Test whether the CTR of all users has fallen: recent days against the days before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from firstchair.definitions.segments import ALL
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring.rules import EngagementRules

Values = npt.NDArray[np.float64]
# Least days before: with fewer the variation between days is unknown.
LEAST_BEFORE = 7
# A day with impressions and no click counts as one with so many, since 0 has no logarithm.
NO_CLICK = 0.5


@dataclass(frozen=True, slots=True)
class Regression:
    """Change of the CTR at one as_of: recent ÷ before - 1, and whether it is a fall.

    recent, before: first and last day of each side, both included. recent_ctr, before_ctr:
    geometric means of the daily CTR, 0..1.
    """

    relative_change: float
    fallen: bool
    recent: tuple[date, date]
    before: tuple[date, date]
    recent_ctr: float
    before_ctr: float


def engagement_regression(
    lake: Lake, *, as_of: date, days: int, rules: EngagementRules
) -> dict[date, Regression]:
    """The change at each of the `days` as_of up to `as_of`; none for as_of with too few days.

    It is Welch's t-test on the logarithms of the daily CTR. Days are the unit, because a holiday or
    an outage changes all users of a day. The CTR has fallen if p is under `alpha` and the drop
    reaches a least size. A day without a click counts as one with half a click. The last
    `SLATE_DAYS` days before an as_of are left out, because their impressions may still be clicked.

    Raises:
        LakeError: gold/engagement_daily cannot be read.
    """
    first = as_of - timedelta(days=days + SLATE_DAYS + rules.recent_days + rules.before_days)
    where = (
        f"event_date >= date '{first}' and event_date < date '{as_of}' "
        f"and (ctr > 0 or impressions > 0) and segment = '{ALL}' and model_version = '{ALL}'"
    )
    rows = lake.read(t.ENGAGEMENT_DAILY, where).to_pylist()
    ctr = {row["event_date"]: row["ctr"] or NO_CLICK / row["impressions"] for row in rows}
    found = {
        day: _change(ctr, day, rules)
        for day in (as_of - timedelta(days=n) for n in range(days - 1, -1, -1))
    }
    return {day: change for day, change in found.items() if change is not None}


def _change(ctr: Mapping[date, float], as_of: date, rules: EngagementRules) -> Regression | None:
    until = as_of - timedelta(days=SLATE_DAYS)
    recent = _side(ctr, until, rules.recent_days)
    before = _side(ctr, until - timedelta(days=rules.recent_days), rules.before_days)
    if len(recent) < rules.recent_days or len(before) < LEAST_BEFORE:
        return None
    logs = [np.log(list(side.values())) for side in (recent, before)]
    means = [float(np.exp(np.mean(side))) for side in logs]
    change = means[0] / means[1] - 1
    return Regression(
        relative_change=change,
        fallen=change <= -rules.min_relative_drop and _is_significant(*logs, alpha=rules.alpha),
        recent=(min(recent), max(recent)),
        before=(min(before), max(before)),
        recent_ctr=means[0],
        before_ctr=means[1],
    )


def _is_significant(recent: Values, before: Values, *, alpha: float) -> bool:
    # Imported on call: most days have no drop to test, and it takes longer than all the rest.
    from scipy.stats import ttest_ind

    return bool(ttest_ind(recent, before, equal_var=False, alternative="less").pvalue < alpha)


def _side(ctr: Mapping[date, float], until: date, days: int) -> dict[date, float]:
    """The CTR of the days before `until`, without days without one."""
    wanted = (until - timedelta(days=number) for number in range(1, days + 1))
    return {day: ctr[day] for day in wanted if day in ctr}
