"""A decision (docs/reference/contract.md, section 9), and what a person wants to know beside it."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from firstchair.promotion.gate import Verb
from firstchair.promotion.reasons import Reason

CONTRACT_FIELDS = (
    "decision", "day", "stage", "days", "metrics", "segments", "checks", "minimum_detectable_effect", "reason_codes",
    "reasons",
)  # fmt: skip
SEGMENT_FIELDS = (
    "segment", "value", "metric", "relative_difference", "se", "p", "deteriorated", "minimum_detectable_effect",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricFinding:
    """One metric of a look; lower and upper each bound the effect at all looks together with 1 - alpha.

    relative_difference, se, lower, upper, margin: relative to the champion. log_e: for the claim of the metric's
    role: above 0 (success), above -margin (guardrail), worse than 0 (deterioration). None where it is not known.
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
    """Clicks in one segment; p: smallest always-valid p so far that it is worse.

    champion_users, challenger_users: users of the segment in each arm who were shown anything.
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
    """One condition: what was asked, whether it holds, and the figures."""

    name: str
    passes: bool
    detail: str


@dataclass(frozen=True, slots=True)
class TrialDecision:
    """What to do at a look, and why.

    minimum_detectable_effect: of the success metric at this look, relative; None while it is unknown.
    outlook: what would change the verdict, and how many more days it would need.
    planned_detectable_effect: what the stage that decides would find by its last day, planned before the stage.
    wanted_effect: the effect that the owner wants found; None where they wrote nothing.
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
