"""What would change a decision, and how many more days of the same evidence it would take."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.repeated import planned_bound
from firstchair.promotion.experiment.evaluations import Evaluation
from firstchair.promotion.experiment.measures import Reading
from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules

REMEDIES = {
    Reason.SAMPLE_RATIO_MISMATCH: (
        "Nothing in this stage, which ends on its last day. Find out why users are missing, so "
        "that the next version's stage has them."
    ),
    Reason.SINGLE_ARM: "Serve both arms.",
    Reason.DATA_QUALITY: "Wait for the missing impressions, or deliver them.",
    Reason.EVIDENCE_LEFT_OUT: (
        "Find out what writes the rows that were left out, and write them anew."
    ),
    Reason.SEGMENT_SCREEN: "The segments named must stop looking worse; a person may examine them.",
    Reason.SEGMENT_BLIND: "A person has to accept that harm in the segments named cannot be seen.",
    Reason.NOVELTY: "The effect of the newest days must be above zero.",
    Reason.TOO_GOOD_TO_BE_TRUE: "A person has to look for a leak or a fault in the logs.",
    Reason.SIGNS_DISAGREE: "A person has to look at whom it helps: heavy and light users differ.",
    Reason.HORIZON_REACHED: "Nothing: the stage is over. A new version may compete.",
    Reason.TOO_FEW_USERS: "More users in each arm.",
    Reason.UNDERPOWERED: "More users, or a larger wanted_effect: this one would not be found.",
}


@dataclass
class Outlook:
    """Predicts from the information of each evaluation when there will be enough of it.

    gathered: day, and 1 / se² of the effect on clicks, of each evaluation.
    """

    rules: LiveRules
    gathered: list[tuple[int, float]] = field(default_factory=list)

    def update(self, evaluation: Evaluation, reading: Reading) -> None:
        """Record the information of an evaluation."""
        if reading.known:
            self.gathered.append((evaluation.day, 1 / reading.se**2))

    def lines(
        self,
        verb: Verb,
        codes: tuple[Reason, ...],
        readings: Mapping[Metric, Reading],
        stage: str,
        *,
        decides: bool,
    ) -> tuple[str, ...]:
        """What would change the decision, in sentences; empty if nothing would.

        Args:
            verb: The decision.
            codes: Its reason codes.
            readings: Effect on each metric.
            stage: canary or probation.
            decides: Whether the stage may prove a success, as no ramp step does.
        """
        if verb is Verb.REJECT or verb is Verb.ROLL_BACK:
            return (
                "Nothing changes this decision: the harm was proven. A new version may compete.",
            )
        if verb is Verb.PROMOTE or stage != "canary":
            return ()
        found = [REMEDIES[code] for code in codes if code in REMEDIES]
        if decides and self.gathered and Reason.HORIZON_REACHED not in codes:
            found.append(self._success(readings[Metric.CLICKS]))
        return tuple(found)

    def _success(self, clicks: Reading) -> str:
        day, information = self.gathered[-1]
        least = max(0, self.rules.min_days - day)
        if not clicks.known or clicks.d <= 0:
            return (
                "No number of days proves an effect that is not above zero; "
                "it would have to turn first."
            )
        rules = self.rules
        bound = planned_bound(rules.min_days, rules.max_days, rules.success_alpha)
        # z = d sqrt(information) has to reach the bound.
        more = max(least, self._days_until((bound / clicks.d) ** 2 - information))
        if more == 0:
            return "The success metric needs no further day."
        longest = self.rules.max_days
        if day + more > longest:
            effect = f"An effect that stays {clicks.d:+.1%}"
            return f"{effect} cannot be proven within the stage's {longest} days."
        return (
            f"If the effect stays {clicks.d:+.1%}, about {more:.0f} more day(s) prove it, within "
            f"the stage's {longest} days."
        )

    def _days_until(self, lacking: float) -> float:
        """Whole days until the lacking information has come; infinity if none comes any more.

        It is extrapolated from the newer half of the evaluations.
        """
        if lacking <= 0:
            return 0
        (first, start), (last, end) = self.gathered[len(self.gathered) // 2], self.gathered[-1]
        pace = (end - start) / (last - first) if last > first else end / last
        days = lacking / pace if pace > 0 else math.inf
        return math.ceil(days) if math.isfinite(days) else math.inf
