"""The proofs that a promotion needs: clicks are better, and no guardrail is worse by its margin."""

import numpy as np

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.moments import Comparison, Key
from firstchair.evaluation.repeated import RepeatedTest
from firstchair.promotion.experiment.evaluations import Evaluation
from firstchair.promotion.rules import LiveRules


def margins(rules: LiveRules) -> dict[Metric, float]:
    """By how much each guardrail may be worse, as a share."""
    return {one.metric: getattr(rules, one.margin) for one in rules.guardrails}


class Proofs:
    """Repeated tests of the success metric and the guardrails.

    A promotion is decided from day `min_days` to `max_days` only, so each test spends its error on
    these evaluations. The guardrails need no correction for their number, because all of them have
    to hold (intersection-union; Schultzberg, Ankargren and Frånberg 2024, "Risk-aware product
    decisions in A/B tests with multiple metrics").
    """

    def __init__(self, rules: LiveRules) -> None:
        self.rules = rules
        self._tests = {Metric.CLICKS: RepeatedTest(rules.success_alpha)}
        self._tests |= {metric: RepeatedTest(rules.alpha) for metric in margins(rules)}

    def update(self, evaluation: Evaluation, compared: Comparison[Metric]) -> dict[Metric, float]:
        """The z-value that each metric has to reach now; empty if the evaluation cannot decide."""
        rules = self.rules
        early = evaluation.day < rules.min_days or evaluation.data_days < rules.success_days
        if early or evaluation.day > rules.max_days:
            return {}
        share = evaluation.day / rules.max_days
        return {Metric.CLICKS_UNWEIGHTED: rules.unweighted_z} | {
            metric: test.critical(compared.influence(metric), share=share)
            for metric, test in self._tests.items()
            if metric in compared.terms
        }


def difference_se(compared: Comparison[Key], first: Key, second: Key) -> float:
    """Standard error of the difference of two effects on the same users; NaN if unknown."""
    moved = compared.influence(second) - compared.influence(first)
    found = float(np.sqrt(moved @ moved))
    return found if found > 0 else np.nan
