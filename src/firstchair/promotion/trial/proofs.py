"""What a promotion needs proven, tested at the looks that may decide one."""

from collections.abc import Mapping

import numpy as np

from firstchair.definitions.metrics import GUARDRAILS, Metric
from firstchair.evaluation.moments import influence
from firstchair.evaluation.repeated import RepeatedTest
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.evidence import Values
from firstchair.promotion.trial.looks import Days, Look
from firstchair.promotion.trial.measures import Adjusted


def margins(rules: LiveRules) -> dict[Metric, float]:
    """The guardrails, and by how much each may be worse."""
    return {one.metric: getattr(rules, one.margin) for one in GUARDRAILS}


class Proofs:
    """The success metric and the guardrails, each with its error over all looks that decide.

    A promotion is decided from `min_days` to `max_days` and at no other look, so that no error has to
    be kept for the days before. The guardrails need no correction for their number, since all of them
    have to hold (intersection-union; Schultzberg, Ankargren and Frånberg 2024, "Risk-aware product
    decisions in A/B tests with multiple metrics").
    """

    def __init__(self, days: Days, rules: LiveRules) -> None:
        self.days = days
        self.rules = rules
        self._tests = {Metric.CLICKS: RepeatedTest(rules.success_alpha)}
        self._tests |= {metric: RepeatedTest(rules.alpha) for metric in margins(rules)}

    def look(self, look: Look, values: Mapping[Metric, Adjusted]) -> dict[Metric, float]:
        """The z-value that each metric has to reach at this look; empty where it decides nothing."""
        rules = self.rules
        early = look.day < rules.min_days or look.data_days < rules.success_days
        if early or look.day > rules.max_days:
            return {}
        share = look.day / rules.max_days
        return {Metric.CLICKS_UNWEIGHTED: rules.unweighted_z} | {
            metric: test.critical(influence_of(values[metric], self.days), share=share)
            for metric, test in self._tests.items()
        }


def fall_se(first: Adjusted, newest: Adjusted, days: Days) -> float:
    """Standard error of the change of an effect from the first days to the newest; NaN if unknown."""
    moved = influence_of(newest, days) - influence_of(first, days)
    found = float(np.sqrt((moved**2).sum()))
    return found if found > 0 else np.nan


def influence_of(values: Adjusted, days: Days) -> Values:
    """How much each user moves the effect on a metric, float64 (n_users,)."""
    return influence(values.y, values.foretold, days.arm, values.weights)
