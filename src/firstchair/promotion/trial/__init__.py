"""The gate on live evidence: per user, day and arm in, a decision with its whole record out."""

from firstchair.definitions.metrics import Metric
from firstchair.promotion.trial.decision import Check, MetricFinding, SegmentFinding, TrialDecision
from firstchair.promotion.trial.evidence import COLUMNS, Evidence
from firstchair.promotion.trial.files import read_evidence
from firstchair.promotion.trial.looks import Days
from firstchair.promotion.trial.table import as_evidence
from firstchair.promotion.trial.trial import CANARY, PROBATION, STAGES, Trial, decide, decide_daily

__all__ = [
    "CANARY",
    "COLUMNS",
    "PROBATION",
    "STAGES",
    "Check",
    "Days",
    "Evidence",
    "Metric",
    "MetricFinding",
    "SegmentFinding",
    "Trial",
    "TrialDecision",
    "as_evidence",
    "decide",
    "decide_daily",
    "read_evidence",
]
