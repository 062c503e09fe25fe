"""Metrics of a look: a value a user, what the days before foretell of it, the contrast of the arms."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firstchair.definitions.bounds import bounded
from firstchair.definitions.metrics import CHURN_HORIZONS, GUARDRAILS, Metric, each_ratio
from firstchair.evaluation.moments import Contrast, Moments, compare, compare_ratios, moments
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.evidence import Values
from firstchair.promotion.trial.facts import Forecast
from firstchair.promotion.trial.looks import Day, Days, Look
from firstchair.promotion.trial.planning import Plan


@dataclass(frozen=True, slots=True)
class Reading:
    """An effect with its error and the precision that its tests mix with; d and se are NaN where it is unknown."""

    control: float
    treatment: float
    d: float
    se: float
    n_control: int
    n_treatment: int
    rho: float

    @property
    def known(self) -> bool:
        """Whether there is an effect to speak of."""
        return bool(np.isfinite(self.se) and np.isfinite(self.d))


class Adjusted(NamedTuple):
    """A metric's value of each user, NaN where there is none, and what the facts foretell of it.

    weights: what each user counts; None counts everybody once.
    """

    y: Values
    foretold: Values
    weights: Values | None = None


class Cells:
    """Users by arm and by every combination of their segments, so that any segment is a sum of cells.

    parts: (segment, value) of each group; the first is everybody.
    """

    def __init__(self, days: Days) -> None:
        combined = days.arm.astype(np.int64)
        families = {name: found for name, found in days.segments.items() if len(found.values) > 1}
        for found in families.values():
            combined = combined * len(found.values) + found.codes
        names, self.of_user = np.unique(combined, return_inverse=True)
        self.count = len(names)
        first = np.zeros(self.count, dtype=np.int64)
        first[self.of_user[::-1]] = np.arange(days.users)[::-1]
        self.arm = days.arm[first]
        self.parts: list[tuple[str, str]] = [("all", "all")]
        members = [np.ones(self.count)]
        for name, found in families.items():
            for number, value in enumerate(found.values):
                self.parts.append((name, value))
                members.append((found.codes[first] == number).astype(np.float64))
        self.members = np.array(members)

    @property
    def sizes(self) -> Values:
        """Users of each part, float64 (n_parts,)."""
        return np.asarray(self.members @ np.bincount(self.of_user, minlength=self.count))

    def compare(self, values: Adjusted) -> Contrast:
        """Contrast of the arms in everybody and in each segment."""
        return self._compare(values, self.members)

    def compare_rest(self, values: Adjusted) -> Contrast:
        """Contrast in everybody but each segment; the first, without anybody, is NaN."""
        return self._compare(values, 1 - self.members)

    def compare_all(self, values: Adjusted) -> Contrast:
        """Contrast of the arms in everybody alone."""
        return self._compare(values, self.members[:1])

    def _compare(self, values: Adjusted, members: Values) -> Contrast:
        found = moments(values.y, values.foretold, self.of_user, self.count, values.weights)
        sides = [
            Moments(*(members @ (sums * (self.arm == arm)) for sums in found)) for arm in (0, 1)
        ]
        return compare(*sides)


class Readings(NamedTuple):
    """Every metric of a look, and clicks in each segment in the order of `Cells.parts`.

    values: of the users, by metric.
    """

    metrics: dict[Metric, Reading]
    segments: Contrast
    values: dict[Metric, Adjusted]


def read(
    look: Look,
    days: Days,
    cells: Cells,
    forecast: Forecast,
    fixed: Plan,
    rules: LiveRules,
) -> Readings:
    """Read every metric of a look, adjusted by what the days before the stage foretell of it.

    Clicks in 100 impressions, of users who saw any, once with users weighted by how well their rate
    is known and once without weights; the share that was heard of the plays that users started; the
    share of the stage's days on which they were active, of everybody assigned; whether they were
    lost, of those of whom it is known; and the ratio of all clicks to all impressions.
    """
    total = look.totals
    clicks = adjusted_clicks(total, forecast, fixed, data_days=look.data_days)
    others = {
        **{one.metric: one.value(total, max(1, look.data_days)) for one in GUARDRAILS},
        **{metric: look.labels[str(metric)] for metric in CHURN_HORIZONS},
    }
    values = {Metric.CLICKS: clicks, Metric.CLICKS_UNWEIGHTED: clicks._replace(weights=None)}
    values |= {
        metric: Adjusted(y, forecast.of(metric, y, data_days=look.data_days))
        for metric, y in others.items()
    }
    segments = cells.compare(clicks)
    found = {metric: cells.compare_all(value) for metric, value in values.items()}
    found[Metric.CTR_POOLED] = compare_ratios(
        total["clicks"], total["impressions"], days.arm, most=rules.user_weight
    )
    readings = {metric: as_reading(found[metric], fixed.rho[metric]) for metric in Metric}
    return Readings(readings, segments, values)


def clicks_per_100(shown: Day) -> Values:
    """Clicks in 100 impressions, of users who saw any."""
    return 100 * each_ratio(shown["clicks"], shown["impressions"])


def adjusted_clicks(
    shown: Day,
    forecast: Forecast,
    fixed: Plan,
    *,
    data_days: int = 0,
) -> Adjusted:
    """Clicks in 100 impressions over some days, users weighted by how well their rate is known.

    Args:
        shown: What each user saw and clicked in those days.
        forecast: Of a stage.
        fixed: The plan of the stage.
        data_days: Days of the stage so far; 0 for a part of them, of which no fit of its own is made.
    """
    y = clicks_per_100(shown)
    foretold = forecast.of(Metric.CLICKS, y, data_days=data_days)
    return Adjusted(y, foretold, weights_of(shown, fixed))


def weights_of(shown: Day, fixed: Plan) -> Values:
    """How much of a user's click rate is theirs and not chance, 0..1, by their impressions."""
    impressions = shown["impressions"]
    return np.asarray(impressions / (impressions + fixed.even_impressions))


def window(values: Adjusted, cells: Cells, fixed: Plan) -> Reading:
    """A reading of the clicks of some days alone."""
    return as_reading(cells.compare_all(values), fixed.rho[Metric.CLICKS])


def as_reading(contrast: Contrast, rho: float) -> Reading:
    """The first group of a contrast."""
    return Reading(
        control=float(contrast.control[0]),
        treatment=float(contrast.treatment[0]),
        d=float(contrast.d[0]),
        se=float(contrast.se[0]),
        n_control=int(contrast.n_control[0]),
        n_treatment=int(contrast.n_treatment[0]),
        rho=rho,
    )


@dataclass(frozen=True, slots=True)
class Outlier:
    """A user who weighs less in the ratio of sums than their impressions; arm 0 champion, 1 challenger."""

    arm: int
    impressions: float
    clicks: float
    counted: float


def outliers(look: Look, days: Days, rules: LiveRules) -> list[Outlier]:
    """Users whose weight in the ratio of sums is bounded, those with most impressions first."""
    shown, clicks = look.totals["impressions"], look.totals["clicks"]
    counted = bounded(shown, most=rules.user_weight)
    found = np.flatnonzero(counted < shown)
    return [
        Outlier(int(days.arm[user]), float(shown[user]), float(clicks[user]), float(counted[user]))
        for user in found[np.argsort(-shown[found], kind="stable")]
    ]


def exposed(look: Look, days: Days) -> tuple[int, int]:
    """Users of champion and challenger who have been shown anything."""
    seen = np.bincount(days.arm[look.totals["impressions"] > 0], minlength=2)
    return int(seen[0]), int(seen[1])
