"""A decision, in the fields of docs/reference/contract.md, section 9, and figures beside them."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason

CONTRACT_FIELDS = (
    "decision", "day", "stage", "days", "metrics", "segments", "checks",
    "minimum_detectable_effect", "reason_codes", "reasons",
)  # fmt: skip
SEGMENT_FIELDS = (
    "segment", "value", "metric", "relative_difference", "se", "p", "deteriorated",
    "minimum_detectable_effect",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricFinding:
    """One metric at an evaluation; None where a figure is not known.

    Attributes:
        name: Name of the metric.
        role: success, guardrail or deterioration.
        champion: Mean of the champion's users.
        challenger: Mean of the challenger's users.
        relative_difference: Effect relative to the champion, as are the four that follow.
        se: Standard error of the effect.
        lower: Lower bound; holds at all evaluations together with a probability of 1 - alpha.
        upper: Upper bound, likewise.
        log_e: Logarithm of the e-value for the claim of the role: above 0 (success), above
            -margin (guardrail), worse than 0 (deterioration).
        margin: Minus the margin of a guardrail, else 0.
        passes: Whether the metric meets what its role asks.
    """

    name: str
    role: str
    champion: float | None
    challenger: float | None
    relative_difference: float | None
    se: float | None
    lower: float | None
    upper: float | None
    log_e: float | None
    margin: float
    passes: bool


@dataclass(frozen=True, slots=True)
class SegmentFinding:
    """Effect on clicks in one segment.

    p: smallest always-valid p-value for harm so far. champion_users, challenger_users: users of the
    segment in each arm with impressions.
    """

    segment: str
    value: str
    metric: str
    relative_difference: float
    se: float
    p: float
    deteriorated: bool
    minimum_detectable_effect: float
    champion_users: int
    challenger_users: int


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: its name, whether it holds, and the figures."""

    name: str
    passes: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ExperimentDecision:
    """The decision of an evaluation, and its reasons.

    minimum_detectable_effect: of the success metric at this evaluation, relative; None while it is
    unknown. outlook: what would change the decision, and how many more days it would take.
    planned_detectable_effect: what the stage that decides would detect by its last day, planned
    before the stage. wanted_effect: the setting of that name.
    """

    decision: Verb
    day: date
    stage: str
    days: int
    metrics: tuple[MetricFinding, ...]
    segments: tuple[SegmentFinding, ...]
    checks: tuple[Check, ...]
    minimum_detectable_effect: float | None
    reason_codes: tuple[Reason, ...]
    reasons: tuple[str, ...]
    outlook: tuple[str, ...] = ()
    planned_detectable_effect: float | None = None
    wanted_effect: float | None = None

    def document(self) -> dict[str, Any]:
        """The decision with exactly the fields of the contract."""
        segments = tuple(
            {name: getattr(found, name) for name in SEGMENT_FIELDS} for found in self.segments
        )
        return {name: getattr(self, name) for name in CONTRACT_FIELDS} | {"segments": segments}
