"""Metrics of a look: a value a user, its covariate from before the stage, the contrast of the arms."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstchair.definitions.bounds import bounded, bounded_parts
from firstchair.evaluation.moments import Contrast, Moments, compare, compare_ratios, moments
from firstchair.evaluation.sequential import detectable, rho_for
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.evidence import BEFORE_DAYS, Values
from firstchair.promotion.trial.looks import Day, Days, Look
from firstchair.promotion.trial.rules import CHURN_HORIZONS, Metric


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

    def compare(self, y: Values, x: Values) -> Contrast:
        """Contrast of the arms in everybody and in each segment."""
        found = moments(y, x, self.of_user, self.count)
        sides = [Moments(*(self.members @ (values * (self.arm == arm)) for values in found)) for arm in (0, 1)]
        return compare(*sides)

    def compare_rest(self, y: Values, x: Values) -> Contrast:
        """Contrast of the arms in everybody but each segment; the first, without anybody, is NaN."""
        found = moments(y, x, self.of_user, self.count)
        sides = [Moments(*((1 - self.members) @ (values * (self.arm == arm)) for values in found)) for arm in (0, 1)]
        return compare(*sides)

    def compare_all(self, y: Values, x: Values) -> Contrast:
        """Contrast of the arms in everybody alone."""
        found = moments(y, x, self.of_user, self.count)
        return compare(*(Moments(*(values[self.arm == arm].sum(keepdims=True) for values in found)) for arm in (0, 1)))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fixed before the stage: rho of each metric; that of clicks in each segment, in the order of its parts.

    detectable: relative effect on clicks that a stage which decides would find by its last day with
    `power`.
    """

    rho: Mapping[Metric, float]
    segment_rho: Values
    detectable: float


def plan(days: Days, cells: Cells, *, share: float, rules: LiveRules) -> Plan:
    """Plan the precisions of a stage from the errors that the days before it foretell.

    se = CV sqrt(1 - R²) sqrt(1 / n_challenger + 1 / n_champion), CV that of the metric in those
    days. They foretell the error of as many days of a stage: a longer stage will know a little more
    than planned, and the plan of a shorter one is widened to its length.
    """
    planned = {metric: _planned_se(days, metric, share, rules) for metric in Metric}
    sizes = cells.members @ np.bincount(cells.of_user, minlength=cells.count)
    clicks = planned[Metric.CLICKS] * np.sqrt(days.users / np.maximum(sizes, 1))
    return Plan(
        rho={metric: rho_for(se, alpha=rules.alpha) for metric, se in planned.items()},
        segment_rho=np.array([rho_for(float(se), alpha=rules.alpha) for se in clicks]),
        detectable=_detectable(
            _planned_se(days, Metric.CLICKS, rules.decision_share, rules),
            rules,
        ),
    )


def _planned_se(days: Days, metric: Metric, share: float, rules: LiveRules) -> float:
    arms = np.array([1 - share, share]) * days.users
    return _planned_cv(days, metric, rules) * float(np.sqrt((1 / arms).sum()))


def _detectable(planned_se: float, rules: LiveRules) -> float:
    """Of a stage of `max_days` whose rho is planned with that error."""
    se = planned_se * float(np.sqrt(max(1.0, BEFORE_DAYS / rules.max_days)))
    return detectable(
        se,
        rho=rho_for(planned_se, alpha=rules.alpha),
        alpha=rules.alpha,
        power=rules.power,
    )


def _planned_cv(days: Days, metric: Metric, rules: LiveRules) -> float:
    if metric in CHURN_HORIZONS:
        return float(np.sqrt((1 - rules.planned_churn) / rules.planned_churn))
    before = days.before
    impressions, tracks = before["pre_impressions"], before["pre_track_ms"]
    values = {
        Metric.CLICKS: _ratio(before["pre_clicks"], impressions),
        Metric.LISTEN_THROUGH: _ratio(before["pre_ms_played"], tracks),
        Metric.ACTIVE_DAYS: before["pre_active_days"] / BEFORE_DAYS,
    }
    if metric is Metric.CTR_POOLED:
        clicks = bounded_parts(before["pre_clicks"], impressions, most=rules.user_weight)
        shown = bounded(impressions, most=rules.user_weight)
        rate = pooled(clicks, shown)
        known = (clicks - rate * shown) / (rate * shown.mean()) if rate else np.array([])
        return _known_cv(float(np.std(known)) if len(known) else 0.0, rules)
    found = values[metric][np.isfinite(values[metric])]
    mean = float(found.mean()) if len(found) >= rules.harm_users else 0.0
    cv = float(found.std()) / mean if mean > 0 else 0.0
    return _known_cv(cv, rules) * float(np.sqrt(1 - rules.planned_r2))


def _known_cv(cv: float, rules: LiveRules) -> float:
    return cv if cv > rules.least_cv else rules.planned_cv


def _ratio(top: Values, bottom: Values) -> Values:
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


def pooled(top: Values, bottom: Values) -> float:
    """Ratio of the sums over users; 0 where there is nothing to divide by."""
    total = float(bottom.sum())
    return float(top.sum()) / total if total else 0.0


def clicks_per_100(shown: Day, days: Days, rules: LiveRules) -> tuple[Values, Values]:
    """Clicks in 100 impressions of users who saw any; the covariate is that of the days before.

    A user of whom little is known before the stage counts as an average one, by the priors of
    `rules`.
    """
    clicks = days.before["pre_clicks"] + rules.prior_clicks
    covariate = 100 * clicks / (days.before["pre_impressions"] + rules.prior_impressions)
    return 100 * _ratio(shown["clicks"], shown["impressions"]), covariate


def listen_through(look: Look, days: Days, rules: LiveRules) -> tuple[Values, Values]:
    """Share of the started plays that was heard, users who started any."""
    total, before, most = look.totals, days.before, rules.user_weight
    lengths = bounded_parts(total["track_ms"], total["plays"], most=most)
    usual = pooled(lengths, bounded(total["plays"], most=most)) or rules.usual_track_ms
    heard = rules.usual_listen_share
    if before["pre_track_ms"].any():
        listened = bounded_parts(before["pre_ms_played"], before["pre_track_ms"], most=most)
        heard = pooled(listened, bounded(before["pre_track_ms"], most=most))
    prior = rules.prior_plays * usual
    return (
        _ratio(total["ms_played"], total["track_ms"]),
        (before["pre_ms_played"] + prior * heard) / (before["pre_track_ms"] + prior),
    )


def active_days(look: Look, days: Days) -> tuple[Values, Values]:
    """Share of the stage's days on which the user was active, everybody assigned."""
    return look.totals["active"] / max(1, look.data_days), days.before["pre_active_days"] / BEFORE_DAYS


def read(
    look: Look,
    days: Days,
    cells: Cells,
    fixed: Plan,
    rules: LiveRules,
) -> tuple[dict[Metric, Reading], Contrast]:
    """Every metric of a look, and the contrast of clicks by segment in the order of `cells.parts`."""
    by_segment = cells.compare(*clicks_per_100(look.totals, days, rules))
    found = {
        Metric.CLICKS: by_segment,
        Metric.LISTEN_THROUGH: cells.compare_all(*listen_through(look, days, rules)),
        Metric.ACTIVE_DAYS: cells.compare_all(*active_days(look, days)),
        Metric.CTR_POOLED: compare_ratios(
            look.totals["clicks"], look.totals["impressions"], days.arm, most=rules.user_weight
        ),
    }
    covariate = days.before["pre_active_days"] / BEFORE_DAYS
    for metric in CHURN_HORIZONS:
        found[metric] = cells.compare_all(look.labels[str(metric)], covariate)
    return {metric: as_reading(contrast, fixed.rho[metric]) for metric, contrast in found.items()}, by_segment


def window(shown: Day, days: Days, cells: Cells, rho: float, rules: LiveRules) -> Reading:
    """Clicks in 100 impressions over some days alone."""
    return as_reading(cells.compare_all(*clicks_per_100(shown, days, rules)), rho)


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
