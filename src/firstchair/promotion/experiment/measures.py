"""Metrics of an evaluation: values of users, their predictions, differences of the arms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firstchair.definitions.bounds import bounded
from firstchair.definitions.metrics import CHURN_HORIZONS, Metric, each_ratio
from firstchair.evaluation.moments import (
    Comparison,
    Contrast,
    Key,
    Moments,
    Sides,
    Terms,
    compare,
    compare_ratios,
    moments,
    sides_of,
    terms,
    weighted,
)
from firstchair.promotion.experiment.evaluations import Day, Days, Evaluation, shown_over
from firstchair.promotion.experiment.evidence import ARMS, Segment, Values, groups_of
from firstchair.promotion.experiment.facts import Forecast
from firstchair.promotion.experiment.planning import Plan
from firstchair.promotion.rules import LiveRules


@dataclass(frozen=True, slots=True)
class Reading:
    """The effect on a metric.

    Attributes:
        control: Mean of the champion's users.
        treatment: Mean of the challenger's users, adjusted.
        d: Relative difference; NaN where it is unknown.
        se: Its standard error; NaN where it is unknown.
        n_control: Users of the champion with a value.
        n_treatment: Users of the challenger with a value.
        rho: Parameter of the mixture in the tests that hold at every evaluation.
    """

    control: float
    treatment: float
    d: float
    se: float
    n_control: int
    n_treatment: int
    rho: float

    @property
    def known(self) -> bool:
        """Whether the effect and its error could be computed."""
        return bool(np.isfinite(self.se) and np.isfinite(self.d))


class Cells:
    """Users grouped by arm and all of their segments, so that any segment is a sum of cells.

    Attributes:
        arms: The users of both arms.
        parts: Segment and value of each part; the first part is everybody.
        members: Which cells belong to each part, 0 or 1, float64 (n_parts, n_cells).
    """

    def __init__(self, days: Days) -> None:
        self.arms: Sides = sides_of(days.arm)
        arms = Segment(ARMS, days.arm.astype(np.int64))
        families = {name: found for name, found in days.segments.items() if len(found.values) > 1}
        first, self.of_user = groups_of([arms, *families.values()], days.users)
        self.count = len(first)
        self._sides = sides_of(days.arm[first])
        self.parts: list[tuple[str, str]] = [("all", "all")]
        members = [np.ones(self.count)]
        for name, found in families.items():
            for number, value in enumerate(found.values):
                self.parts.append((name, value))
                members.append((found.codes[first] == number).astype(np.float64))
        self.members = np.array(members)

    @property
    def sizes(self) -> Values:
        """Number of users of each part, float64 (n_parts,)."""
        return np.asarray(self.members @ np.bincount(self.of_user, minlength=self.count))

    def sums(self, each: Terms) -> Moments:
        """Sums of the users of each cell, given the terms of the users."""
        return moments(each, self.of_user, self.count)

    def compare(self, sums: Moments) -> Contrast:
        """Difference of the arms among all users and in each segment."""
        return self._compare(sums, self.members)

    def compare_rest(self, sums: Moments) -> Contrast:
        """Difference among the users outside each segment; the first, with no users, is NaN."""
        return self._compare(sums, 1 - self.members)

    def _compare(self, sums: Moments, members: Values) -> Contrast:
        table = np.array(sums)
        sides = [Moments(*(table[:, side] @ members[:, side].T)) for side in self._sides]
        return compare(*sides)


class Readings(NamedTuple):
    """What was measured at an evaluation.

    Attributes:
        metrics: Effect on each metric, of all users.
        clicks: Sums of the clicks by cell.
        segments: Effect on clicks in each of `Cells.parts`.
        compared: The comparison of all users by metric.
    """

    metrics: dict[Metric, Reading]
    clicks: Moments
    segments: Contrast
    compared: Comparison[Metric]


def read(
    evaluation: Evaluation,
    cells: Cells,
    forecast: Forecast,
    fixed: Plan,
    rules: LiveRules,
) -> Readings:
    """Measure every metric of an evaluation, adjusted by its prediction from the days before.

    - Clicks per 100 impressions of users with impressions, weighted by how exactly their rate is
      known, and once more without weights.
    - The guardrails (`firstchair.definitions.metrics`), optional ones where they are asked and the
      evidence has their sums.
    - Churn, of users with a final label.
    - The ratio of all clicks to all impressions, with a bounded weight of each user.
    """
    total, data_days = evaluation.totals, evaluation.data_days
    clicks = clicks_of(total, forecast, data_days=data_days)
    others = {
        **{
            one.metric: one.value(total, max(1, data_days))
            for one in rules.guardrails
            if total.keys() >= set(one.sums)
        },
        **{metric: evaluation.labels[str(metric)] for metric in CHURN_HORIZONS},
    }
    of_users = {
        Metric.CLICKS: weighted(clicks, weights_of(total, fixed)),
        Metric.CLICKS_UNWEIGHTED: clicks,
    } | {
        metric: terms(value, forecast.of(metric, value, data_days=data_days))
        for metric, value in others.items()
    }
    compared = Comparison(of_users, cells.arms)
    readings = readings_of(compared, fixed.rho)
    readings[Metric.CTR_POOLED] = as_reading(
        compare_ratios(total["clicks"], total["impressions"], cells.arms, most=rules.user_weight),
        fixed.rho[Metric.CTR_POOLED],
    )
    sums = cells.sums(of_users[Metric.CLICKS])
    return Readings(
        {metric: readings[metric] for metric in Metric if metric in readings},
        sums,
        cells.compare(sums),
        compared,
    )


def readings_of(compared: Comparison[Key], rho: Mapping[Key, float]) -> dict[Key, Reading]:
    """The effect on each metric of a comparison, given the parameter of its mixture."""
    return {
        metric: as_reading(compared.effects, rho[metric], place)
        for place, metric in enumerate(compared.terms)
    }


def clicks_per_100(shown: Day) -> Values:
    """Clicks per 100 impressions of each user, NaN without impressions."""
    return 100 * each_ratio(shown["clicks"], shown["impressions"])


def clicks_of(shown: Day, forecast: Forecast, *, data_days: int = 0) -> Terms:
    """Terms of the clicks per 100 impressions over some days, without weights.

    Args:
        shown: Impressions and clicks of each user in those days.
        forecast: Predictions of the stage.
        data_days: Days of the stage so far; 0 for part of them, which reuses an earlier fit.
    """
    y = clicks_per_100(shown)
    return terms(y, forecast.of(Metric.CLICKS, y, data_days=data_days))


def clicks_over(days: Sequence[Day], forecast: Forecast, fixed: Plan) -> Terms:
    """Terms of the clicks over some days of the stage."""
    shown = shown_over(days)
    return weighted(clicks_of(shown, forecast), weights_of(shown, fixed))


def weights_of(shown: Day, fixed: Plan) -> Values:
    """Share of a user's observed click rate that is not chance, 0..1; grows with impressions."""
    impressions = shown["impressions"]
    return np.asarray(impressions / (impressions + fixed.even_impressions))


def as_reading(contrast: Contrast, rho: float, place: int = 0) -> Reading:
    """One place of a contrast; the first of those of `Cells.compare` is all users."""
    return Reading(
        control=float(contrast.control[place]),
        treatment=float(contrast.treatment[place]),
        d=float(contrast.d[place]),
        se=float(contrast.se[place]),
        n_control=int(contrast.n_control[place]),
        n_treatment=int(contrast.n_treatment[place]),
        rho=rho,
    )


@dataclass(frozen=True, slots=True)
class Outlier:
    """A user whose weight in the ratio of sums is bounded; arm 0 champion, 1 challenger.

    counted: the impressions that count, fewer than `impressions`.
    """

    arm: int
    impressions: float
    clicks: float
    counted: float


def outliers(evaluation: Evaluation, days: Days, rules: LiveRules) -> list[Outlier]:
    """Users whose weight in the ratio of sums is bounded, those with most impressions first."""
    shown, clicks = evaluation.totals["impressions"], evaluation.totals["clicks"]
    counted = bounded(shown, most=rules.user_weight)
    found = np.flatnonzero(counted < shown)
    return [
        Outlier(int(days.arm[user]), float(shown[user]), float(clicks[user]), float(counted[user]))
        for user in found[np.argsort(-shown[found], kind="stable")]
    ]
