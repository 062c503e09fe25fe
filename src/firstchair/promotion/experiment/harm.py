"""Harm: the tests that stop a challenger at any evaluation (docs/gate.md, "Live evidence")."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from firstchair.definitions.metrics import CHURN_HORIZONS, GUARDRAILS, HARMED, Metric
from firstchair.evaluation.sequential import log_e
from firstchair.promotion.experiment.measures import Reading
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules

# Those beside clicks and churn, which spend one alpha together.
GUARDED = (*(one.metric for one in GUARDRAILS), Metric.CTR_POOLED)


@dataclass
class HarmWatch:
    """Tests every metric for harm at each evaluation; a metric proven worse stays so.

    fired: the metrics proven worse, each with a sentence of the evaluation that proved it.
    """

    rules: LiveRules
    fired: dict[Metric, str] = field(default_factory=dict)

    def update(
        self, readings: Mapping[Metric, Reading], *, data_days: int, day: int
    ) -> dict[Metric, str]:
        """Test every metric, from `harm_days` days of data and `harm_users` users per arm on."""
        if data_days < self.rules.harm_days:
            return self.fired
        for metric in HARMED:
            reading = readings[metric]
            found = self.log_e(metric, reading)
            if metric not in self.fired and found is not None and found >= self.threshold(metric):
                self.fired[metric] = (
                    f"{metric} {reading.d:+.1%} (standard error {reading.se:.1%}) on day {day}: "
                    f"evidence of harm e = {math.exp(min(found, 30)):,.0f}, "
                    f"limit {math.exp(self.threshold(metric)):,.0f}."
                )
        return self.fired

    def threshold(self, metric: Metric) -> float:
        """Logarithm of the e-value that proves harm.

        Clicks have `alpha`. The guardrails and the pooled CTR share one `harm_alpha` in equal parts
        (Bonferroni), and the horizons of churn share another.
        """
        for family in (GUARDED, tuple(CHURN_HORIZONS)):
            if metric in family:
                return math.log(len(family) / self.rules.harm_alpha)
        return math.log(1 / self.rules.alpha)

    def log_e(self, metric: Metric, reading: Reading) -> float | None:
        """Logarithm of the e-value for harm; None with too few users or without an effect."""
        if not reading.known or min(reading.n_control, reading.n_treatment) < self.rules.harm_users:
            return None
        towards_harm = reading.d if metric in CHURN_HORIZONS else -reading.d
        return log_e(towards_harm, reading.se, rho=reading.rho)


def deteriorated(metric: Metric) -> Reason:
    """The reason code of harm to a metric."""
    return Reason(f"{metric}_deteriorated")
