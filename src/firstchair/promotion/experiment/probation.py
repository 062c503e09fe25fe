"""Probation: the new champion against the users who keep the previous one (docs/gate.md)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scipy.special import ndtr, ndtri

from firstchair.definitions.metrics import CHURN_HORIZONS, Metric
from firstchair.evaluation.sequential import log_e
from firstchair.promotion.experiment.conditions import Condition
from firstchair.promotion.experiment.evaluations import Evaluation
from firstchair.promotion.experiment.harm import GUARDED, deteriorated
from firstchair.promotion.experiment.measures import Reading
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules


@dataclass
class ProbationWatch:
    """Tests the new champion by two channels, each with an error of `probation_alpha`.

    The slow channel tests the effect since promotion, the fast one that of the newest days. An
    alarm stays: who asks later, because a day was missed, hears of it too.

    fired: the alarms so far, each with its day of the stage and a sentence.
    """

    rho: Mapping[Metric, float]
    rules: LiveRules
    fired: dict[Reason, tuple[int, str]] = field(default_factory=dict)

    def update(
        self,
        readings: Mapping[Metric, Reading],
        newest: Reading,
        evaluation: Evaluation,
        harm: Mapping[Metric, str],
    ) -> dict[Reason, str]:
        """Alarms up to this evaluation: a sentence by reason code; empty without an alarm."""
        day = evaluation.day
        if evaluation.data_days >= self.rules.harm_days:
            for code, text in self._alarms(readings, newest, harm).items():
                self.fired.setdefault(code, (day, text))
        return {
            code: text if since == day else f"On day {since}: {text}"
            for code, (since, text) in self.fired.items()
        }

    def _alarms(
        self, readings: Mapping[Metric, Reading], newest: Reading, harm: Mapping[Metric, str]
    ) -> dict[Reason, str]:
        alarms: dict[Reason, str] = {}
        for condition in self.conditions(readings, newest):
            if not condition.passes:
                alarms[condition.code] = condition.detail
        alarms |= {deteriorated(metric): text for metric, text in harm.items() if metric in GUARDED}
        return alarms | self._churn(readings)

    def is_new(self, evaluation: Evaluation) -> bool:
        """Whether an alarm began at this evaluation."""
        return any(since == evaluation.day for since, _ in self.fired.values())

    def enough(self, reading: Reading) -> bool:
        """Whether both arms have the users from which a harm is read."""
        return min(reading.n_control, reading.n_treatment) >= self.rules.harm_users

    def conditions(
        self, readings: Mapping[Metric, Reading], newest: Reading
    ) -> tuple[Condition, ...]:
        """The conditions of both channels."""
        clicks, alpha = readings[Metric.CLICKS], self.rules.probation_alpha
        read = clicks.known and self.enough(clicks)
        slow = log_e(-clicks.d, clicks.se, rho=clicks.rho) if read else -math.inf
        lately = newest.known and self.enough(newest)
        fast = newest.d / newest.se if lately else 0.0
        limit = float(ndtri(alpha / self.rules.looks))
        return (
            Condition(
                "slow_channel",
                Reason.WORSE_SINCE_PROMOTION,
                slow < -math.log(alpha),
                f"Since promotion {clicks.d:+.1%}; "
                f"evidence of harm e = {math.exp(min(slow, 30)):,.3g}, limit {1 / alpha:g}."
                if read
                else self._untested(clicks),
            ),
            Condition(
                "fast_channel",
                Reason.WORSE_LATELY,
                fast >= limit,
                f"Over the last {self.rules.window_days} days {newest.d:+.1%}, "
                f"z = {fast:.2f}, limit {limit:.2f}."
                if lately
                else self._untested(newest),
            ),
        )

    def _untested(self, reading: Reading) -> str:
        if self.enough(reading):
            return "Not tested: nothing varies, so the error of the effect is not known."
        return f"Not tested: fewer than {self.rules.harm_users:,} users of an arm saw a list."

    def _churn(self, readings: Mapping[Metric, Reading]) -> dict[Reason, str]:
        """Tests on the final churn labels, corrected by Holm over the horizons."""
        known = [(metric, readings[metric]) for metric in CHURN_HORIZONS if readings[metric].known]
        worse = sorted((float(ndtr(-r.d / r.se)), metric) for metric, r in known if self.enough(r))
        found: dict[Reason, str] = {}
        for place, (p, metric) in enumerate(worse):
            if p > self.rules.probation_alpha / self.rules.looks / (len(worse) - place):
                break
            found[deteriorated(metric)] = f"{metric} {readings[metric].d:+.1%}, p = {p:.2g}."
        return found
