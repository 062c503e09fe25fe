"""Whether the CTR of all users has fallen: the last days against those before them, days as the unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy import stats

from firstchair.definitions.attribution import SLATE_DAYS
from firstchair.features.segments import ALL
from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring.rules import EngagementRules

# Fewer days on the side before say nothing of how days differ.
LEAST_BEFORE = 7


@dataclass(frozen=True, slots=True)
class Regression:
    """Change of the CTR at one as_of: recent ÷ before - 1, and the one-sided p-value that it has not fallen."""

    relative_change: float
    p_value: float
    fallen: bool


def engagement_regression(lake: Lake, *, as_of: date, days: int, rules: EngagementRules) -> dict[date, Regression]:
    """The change at each of the `days` as_of up to `as_of`; left out where there are too few days.

    Welch's t-test on the logarithms of the daily CTR: what moves a whole day (a holiday, an outage) moves all its
    users, so days and not users are what varies. Fallen where p is under `alpha` and the drop is of some size.
    The last `SLATE_DAYS` days before an as_of are left out: on that morning what they showed may
    still be clicked, and a day that is not over is no fall.

    Raises:
        LakeError: gold/engagement_daily cannot be read.
    """
    first = as_of - timedelta(days=days + SLATE_DAYS + rules.recent_days + rules.before_days)
    where = (
        f"event_date >= date '{first}' and event_date < date '{as_of}' and ctr > 0 "
        f"and segment = '{ALL}' and model_version = '{ALL}'"
    )
    rows = lake.read(t.ENGAGEMENT_DAILY, where).to_pylist()
    ctr = {row["event_date"]: float(row["ctr"]) for row in rows}
    found = {day: _change(ctr, day, rules) for day in (as_of - timedelta(days=n) for n in range(days - 1, -1, -1))}
    return {day: change for day, change in found.items() if change is not None}


def _change(ctr: Mapping[date, float], as_of: date, rules: EngagementRules) -> Regression | None:
    until = as_of - timedelta(days=SLATE_DAYS)
    recent = [ctr[day] for n in range(1, rules.recent_days + 1) if (day := until - timedelta(days=n)) in ctr]
    until -= timedelta(days=rules.recent_days)
    before = [ctr[day] for n in range(1, rules.before_days + 1) if (day := until - timedelta(days=n)) in ctr]
    if len(recent) < rules.recent_days or len(before) < LEAST_BEFORE:
        return None
    test = stats.ttest_ind(np.log(recent), np.log(before), equal_var=False, alternative="less")
    change = float(np.exp(np.mean(np.log(recent)) - np.mean(np.log(before))) - 1)
    p_value = float(test.pvalue)
    return Regression(change, p_value, p_value < rules.alpha and change <= -rules.min_relative_drop)
