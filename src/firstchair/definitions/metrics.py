"""Metrics of an experiment: what the gate measures of each user, and which of them are guardrails.

The gate's tests, its reason codes, the plan of a stage, the console and the ledger derive theirs
from this list. docs/extending.md shows how to add a guardrail.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from firstchair.definitions import churn

Values = npt.NDArray[np.float64]
# Sums of what users did over some days, float64 (n_users,), by column of gold/evidence.
Sums = Mapping[str, Values]


class Metric(StrEnum):
    """What is measured of each user."""

    CLICKS = "clicks_per_100"
    CLICKS_UNWEIGHTED = "clicks_unweighted"
    LISTEN_THROUGH = "listen_through"
    ACTIVE_DAYS = "active_days"
    CTR_POOLED = "ctr_pooled"
    CHURNED_7 = "churned_7"
    CHURNED_14 = "churned_14"
    EXPOSURE_TAIL = "exposure_tail"


# Measured where evidence has its column and its rule is set; it may hold a promotion, and stops no
# stage.
OPTIONAL = (Metric.EXPOSURE_TAIL,)
ALWAYS = tuple(metric for metric in Metric if metric not in OPTIONAL)
# Tested for harm: all but clicks without weights, which are the same clicks read less exactly.
HARMED = tuple(metric for metric in ALWAYS if metric is not Metric.CLICKS_UNWEIGHTED)
CHURN_HORIZONS = {Metric(label): days for label, days in churn.LABELS.items()}


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that a promotion has to prove is at most a margin worse, and that may stop a stage.

    Attributes:
        metric: Its name in decisions.
        title: What people call it.
        margin: Name of the rule (`LiveRules`) that holds the margin, a share of the champion's.
        sums: Columns of gold/evidence that `value` reads. Where `BEFORE` has them all, the error
            of a stage is planned from the days before it, else from `planned_cv`.
        value: Each user's value, float64 (n_users,), NaN where there is none, given their sums over
            some days and the number of these days (>= 1).
    """

    metric: Metric
    title: str
    margin: str
    sums: tuple[str, ...]
    value: Callable[[Sums, float], Values]


def each_ratio(top: Values, bottom: Values) -> Values:
    """Each user's ratio, float64 (n_users,); NaN where there is nothing to divide by."""
    return np.asarray(top / np.where(bottom > 0, bottom, np.nan))


GUARDRAILS = (
    Guardrail(
        Metric.LISTEN_THROUGH,
        "Listen-through",
        "listen_margin",
        ("ms_played", "track_ms"),
        lambda sums, _: each_ratio(sums["ms_played"], sums["track_ms"]),
    ),
    Guardrail(
        Metric.ACTIVE_DAYS,
        "Active days",
        "active_margin",
        ("active",),
        lambda sums, days: sums["active"] / days,
    ),
)
# On the artists' side: the share of what a user is shown that is of small artists. It is asked of a
# promotion where the rule is set and every row of the evidence has the column.
EXPOSURE = Guardrail(
    Metric.EXPOSURE_TAIL,
    "Exposure of small artists",
    "exposure_margin",
    ("tail_impressions", "impressions"),
    lambda sums, _: each_ratio(sums["tail_impressions"], sums["impressions"]),
)
EVERY_GUARDRAIL = (*GUARDRAILS, EXPOSURE)
# Sums of the 28 days before the assignment that are known of each user: column of a day -> of them.
BEFORE = {
    "impressions": "pre_impressions",
    "clicks": "pre_clicks",
    "active": "pre_active_days",
    "ms_played": "pre_ms_played",
    "track_ms": "pre_track_ms",
}
# The same of the newer half of those days.
LATE = {
    "active": "late_active_days",
    "ms_played": "late_ms_played",
    "track_ms": "late_track_ms",
}
