"""The plan of a stage: errors and detectable effect, computed from the days before it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from firstchair.definitions.bounds import bounded_parts
from firstchair.definitions.metrics import (
    BEFORE,
    CHURN_HORIZONS,
    EVERY_GUARDRAIL,
    Metric,
    each_ratio,
)
from firstchair.evaluation.repeated import planned_bound
from firstchair.evaluation.sequential import rho_for
from firstchair.promotion.experiment.evaluations import Days
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Values
from firstchair.promotion.experiment.ratios import pooled
from firstchair.promotion.rules import LiveRules

# Largest factor between a service's `even_impressions` and the usual one.
FARTHEST = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fixed before a stage begins.

    Attributes:
        rho: Parameter of the mixture in the test for harm, by metric.
        segment_rho: The same for clicks in each of `Cells.parts`, float64 (n_parts,).
        even_impressions: Number of impressions at which chance varies a user's click rate as much
            as users differ from each other.
        detectable: Relative effect on clicks that the stage that decides would detect by its last
            day with `power`.
    """

    rho: Mapping[Metric, float]
    segment_rho: Values
    even_impressions: float
    detectable: float


def plan(days: Days, sizes: Values, *, share: float, rules: LiveRules) -> Plan:
    """Plan a stage from the variation of the metrics in the days before it.

    se = CV sqrt(1 - R²) sqrt(1 / n_challenger + 1 / n_champion), CV that of the metric in those
    days.

    Args:
        days: Users and what is known of them from before the stage.
        sizes: Number of users of each part, float64 (n_parts,).
        share: Planned share of the challenger, 0..1.
        rules: Rules of the gate.
    """
    planned = {metric: planned_se(days.before, metric, share, rules) for metric in Metric}
    clicks = planned[Metric.CLICKS] * np.sqrt(days.users / np.maximum(sizes, 1))
    share = rules.decision_share
    last = planned_se(days.before, Metric.CLICKS, share, rules, rules.max_days)
    bound = planned_bound(rules.min_days, rules.max_days, rules.success_alpha)
    return Plan(
        rho={metric: rho_for(se, alpha=rules.alpha) for metric, se in planned.items()},
        segment_rho=np.array([rho_for(float(se), alpha=rules.alpha) for se in clicks]),
        even_impressions=_even_impressions(days.before, rules),
        detectable=float(bound + ndtri(rules.power)) * last,
    )


def planned_se(
    before: Mapping[str, Values],
    metric: Metric,
    share: float,
    rules: LiveRules,
    stage_days: int = BEFORE_DAYS,
) -> float:
    """Standard error of the relative effect on a metric after some days of a stage."""
    users = len(before["pre_impressions"])
    return _planned_cv(before, metric, rules, stage_days) * spread_of_arms(users, share)


def spread_of_arms(users: float, share: float) -> float:
    """Standard error of a difference of two arms' means, in standard deviations of a user."""
    arms = np.array([1 - share, share]) * users
    return float(np.sqrt((1 / arms).sum()))


def _planned_cv(
    before: Mapping[str, Values],
    metric: Metric,
    rules: LiveRules,
    stage_days: int,
) -> float:
    if metric in CHURN_HORIZONS:
        return float(np.sqrt((1 - rules.planned_churn) / rules.planned_churn))
    if metric is Metric.CLICKS:
        return _clicks_cv(before, rules, stage_days)
    if metric is Metric.CTR_POOLED:
        impressions = before["pre_impressions"]
        clicks, shown = bounded_parts(before["pre_clicks"], impressions, most=rules.user_weight)
        rate = pooled(clicks, shown)
        known = (clicks - rate * shown) / (rate * shown.mean()) if rate else np.array([])
        return _known_cv(float(np.std(known)) if len(known) else 0.0, rules)
    values = _before(metric, before)
    found = values[np.isfinite(values)]
    mean = float(found.mean()) if len(found) >= rules.harm_users else 0.0
    cv = float(found.std()) / mean if mean > 0 else 0.0
    return _known_cv(cv, rules) * float(np.sqrt(1 - rules.planned_r2))


def _before(metric: Metric, before: Mapping[str, Values]) -> Values:
    """Each user's value in the days before, float64; empty if it is not known of those days."""
    if metric is Metric.CLICKS_UNWEIGHTED:
        return each_ratio(before["pre_clicks"], before["pre_impressions"])
    guardrail = next(one for one in EVERY_GUARDRAIL if one.metric is metric)
    if not BEFORE.keys() >= set(guardrail.sums):
        return np.array([])
    sums = {name: before[BEFORE[name]] for name in guardrail.sums}
    return guardrail.value(sums, BEFORE_DAYS)


def _clicks_cv(before: Mapping[str, Values], rules: LiveRules, stage_days: int) -> float:
    """Coefficient of variation of clicks with users weighted by n / (n + k).

    Rates of users have variance s², and chance adds s² k / n to it. The variance of the weighted
    mean is s² / sum of the weights. n grows with the days of the stage.
    """
    shown = before["pre_impressions"] * stage_days / BEFORE_DAYS
    even = _even_impressions(before, rules)
    weight = float((shown / (shown + even)).mean()) if len(shown) else 0.0
    rate = pooled(before["pre_clicks"], before["pre_impressions"])
    if not weight or not 0 < rate < 1 or (shown > 0).sum() < rules.harm_users:
        return rules.planned_cv * float(np.sqrt(1 - rules.planned_r2))
    between = (1 - rate) / (rate * even)
    return float(np.sqrt(between / weight * (1 - rules.planned_r2)))


def _even_impressions(before: Mapping[str, Values], rules: LiveRules) -> float:
    """K = p (1 - p) / s², where s² is the variance between the click rates of users.

    s² is estimated by moments: the variance of the observed rates minus what chance adds to it.
    """
    usual = rules.usual_even_impressions
    seen = before["pre_impressions"] > 0
    shown = before["pre_impressions"][seen]
    if len(shown) < rules.harm_users:
        return usual
    rates = before["pre_clicks"][seen] / shown
    counts = shown / (shown + usual)
    mean = float((counts * rates).sum() / counts.sum())
    chance = mean * (1 - mean)
    total = float((counts * (rates - mean) ** 2).sum() / counts.sum())
    between = total - chance * float((counts / shown).sum() / counts.sum())
    if chance <= 0 or between <= 0:
        return usual
    return float(np.clip(chance / between, usual / FARTHEST, usual * FARTHEST))


def _known_cv(cv: float, rules: LiveRules) -> float:
    return cv if cv > rules.least_cv else rules.planned_cv
