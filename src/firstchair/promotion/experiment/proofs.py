"""The proofs that a promotion needs: clicks are better, and no guardrail is worse by its margin."""

from collections.abc import Mapping

import numpy as np

from firstchair.definitions.metrics import GUARDRAILS, Metric
from firstchair.evaluation.moments import influence
from firstchair.evaluation.repeated import RepeatedTest
from firstchair.promotion.experiment.evaluations import Days, Evaluation
from firstchair.promotion.experiment.evidence import Values
from firstchair.promotion.experiment.measures import Adjusted
from firstchair.promotion.rules import LiveRules


def margins(rules: LiveRules) -> dict[Metric, float]:
    """By how much each guardrail may be worse, as a share."""
    return {one.metric: getattr(rules, one.margin) for one in GUARDRAILS}


class Proofs:
    """Repeated tests of the success metric and the guardrails.

    A promotion is decided from day `min_days` to `max_days` only, so each test spends its error on
    these evaluations. The guardrails need no correction for their number, because all of them have
    to hold (intersection-union; Schultzberg, Ankargren and Frånberg 2024, "Risk-aware product
    decisions in A/B tests with multiple metrics").
    """

    def __init__(self, days: Days, rules: LiveRules) -> None:
        self.days = days
        self.rules = rules
        self._tests = {Metric.CLICKS: RepeatedTest(rules.success_alpha)}
        self._tests |= {metric: RepeatedTest(rules.alpha) for metric in margins(rules)}

    def update(
        self, evaluation: Evaluation, values: Mapping[Metric, Adjusted]
    ) -> dict[Metric, float]:
        """The z-value that each metric has to reach now; empty if the evaluation cannot decide."""
        rules = self.rules
        early = evaluation.day < rules.min_days or evaluation.data_days < rules.success_days
        if early or evaluation.day > rules.max_days:
            return {}
        share = evaluation.day / rules.max_days
        return {Metric.CLICKS_UNWEIGHTED: rules.unweighted_z} | {
            metric: test.critical(influence_of(values[metric], self.days), share=share)
            for metric, test in self._tests.items()
        }


def fall_se(first: Adjusted, newest: Adjusted, days: Days) -> float:
    """Standard error of the change of an effect between two spans of days; NaN if unknown."""
    moved = influence_of(newest, days) - influence_of(first, days)
    found = float(np.sqrt((moved**2).sum()))
    return found if found > 0 else np.nan


def influence_of(values: Adjusted, days: Days) -> Values:
    """Influence of each user on the effect on a metric, float64 (n_users,)."""
    return influence(values.y, values.predicted, days.arm, values.weights)
