"""Harm: the tests that stop a challenger at any look (docs/gate.md, "Live evidence")."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from firstchair.definitions.metrics import CHURN_HORIZONS, GUARDRAILS, HARMED, Metric
from firstchair.evaluation.sequential import log_e
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.measures import Reading

# Those beside clicks and churn, which spend one alpha together.
GUARDED = (*(one.metric for one in GUARDRAILS), Metric.CTR_POOLED)


@dataclass
class HarmWatch:
    """Metrics that were proven worse, each with the words of the look at which it was; kept from look to look."""

    rules: LiveRules
    fired: dict[Metric, str] = field(default_factory=dict)

    def look(
        self, readings: Mapping[Metric, Reading], *, data_days: int, day: int
    ) -> dict[Metric, str]:
        """Test every metric; nothing is read before `harm_days` of whole data or under `harm_users` an arm."""
        if data_days < self.rules.harm_days:
            return self.fired
        for metric in HARMED:
            reading = readings[metric]
            found = self.log_e(metric, reading)
            if metric not in self.fired and found is not None and found >= self.threshold(metric):
                self.fired[metric] = (
                    f"{metric} {reading.d:+.1%} (standard error {reading.se:.1%}) on day {day}: evidence of harm "
                    f"e = {math.exp(min(found, 30)):,.0f}, limit {math.exp(self.threshold(metric)):,.0f}."
                )
        return self.fired

    def threshold(self, metric: Metric) -> float:
        """Logarithm of the e-value that proves harm.

        Clicks have `alpha`; the guarded metrics share one `harm_alpha` in equal parts (Bonferroni),
        and the horizons of churn another.
        """
        for family in (GUARDED, tuple(CHURN_HORIZONS)):
            if metric in family:
                return math.log(len(family) / self.rules.harm_alpha)
        return math.log(1 / self.rules.alpha)

    def log_e(self, metric: Metric, reading: Reading) -> float | None:
        """Evidence that the challenger is worse; None where too little is known."""
        if not reading.known or min(reading.n_control, reading.n_treatment) < self.rules.harm_users:
            return None
        towards_harm = reading.d if metric in CHURN_HORIZONS else -reading.d
        return log_e(towards_harm, reading.se, rho=reading.rho)


def deteriorated(metric: Metric) -> Reason:
    """The reason code of harm to a metric."""
    return Reason(f"{metric}_deteriorated")
