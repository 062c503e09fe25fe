"""Probation: the new champion against the holdback that stayed on the old one (GATE section 4)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from firstchair.evaluation.sequential import log_e
from firstchair.promotion.trial.conditions import Condition
from firstchair.promotion.trial.looks import Look
from firstchair.promotion.trial.measures import Reading
from firstchair.promotion.trial.rules import CHURN_HORIZONS, Metric, TrialRules

# (least users, share): how many stay on the old champion.
HOLDBACKS = ((100_000, 0.10), (50_000, 0.20), (0, 0.50))


def holdback_share(users: int) -> float:
    """Share of users who stay on the old champion in probation, by population.

    >>> [holdback_share(users) for users in (2_000, 50_000, 200_000)]
    [0.5, 0.2, 0.1]
    """
    return next(share for least, share in HOLDBACKS if users >= least)


@dataclass
class ProbationWatch:
    """Two channels, each with `probation_alpha`: slow on the effect since promotion, fast on the newest days."""

    rho: Mapping[Metric, float]
    rules: TrialRules

    def look(
        self, readings: Mapping[Metric, Reading], newest: Reading, look: Look, harm: Mapping[Metric, str]
    ) -> dict[str, str]:
        """Alarms of this look, code and words; empty where all is well or too little is known."""
        if look.data_days < self.rules.harm_days:
            return {}
        alarms: dict[str, str] = {}
        for condition in self.conditions(readings, newest):
            if not condition.passes:
                alarms[condition.code] = condition.detail
        guarded = {metric: words for metric, words in harm.items() if metric not in {Metric.CLICKS, *CHURN_HORIZONS}}
        return alarms | {f"{metric}_deteriorated": words for metric, words in guarded.items()} | self._churn(readings)

    def conditions(self, readings: Mapping[Metric, Reading], newest: Reading) -> tuple[Condition, ...]:
        """Both channels."""
        clicks, alpha = readings[Metric.CLICKS], self.rules.probation_alpha
        enough = min(clicks.n_control, clicks.n_treatment) >= self.rules.harm_users
        slow = log_e(-clicks.d, clicks.se, rho=clicks.rho) if clicks.known and enough else -math.inf
        fast = newest.d / newest.se if newest.known and enough else 0.0
        limit = float(ndtri(alpha / self.rules.looks))
        return (
            Condition(
                "slow_channel",
                "worse_since_promotion",
                slow < -math.log(alpha),
                f"Since promotion {clicks.d:+.1%}; evidence of harm e = {math.exp(min(slow, 30)):,.3g}, "
                f"limit {1 / alpha:g}.",
            ),
            Condition(
                "fast_channel",
                "worse_lately",
                fast >= limit,
                f"Over the last {self.rules.window_days} days {newest.d:+.1%}, z = {fast:.2f}, limit {limit:.2f}.",
            ),
        )

    def _churn(self, readings: Mapping[Metric, Reading]) -> dict[str, str]:
        """Final churn labels, Holm over the horizons: one look at each, so a fixed-sample test is enough."""
        known = [(metric, readings[metric]) for metric in CHURN_HORIZONS if readings[metric].known]
        worse = sorted(
            (float(ndtr(-r.d / r.se)), metric) for metric, r in known if r.n_treatment >= self.rules.harm_users
        )
        found: dict[str, str] = {}
        for place, (p, metric) in enumerate(worse):
            if p > self.rules.probation_alpha / self.rules.looks / (len(worse) - place):
                break
            found[f"{metric}_deteriorated"] = f"{metric} {readings[metric].d:+.1%}, p = {p:.2g}."
        return found
