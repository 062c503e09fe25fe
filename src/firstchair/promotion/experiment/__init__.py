"""Decisions on live evidence: one row per user and day goes in, a decision comes out."""

from firstchair.definitions.metrics import Metric
from firstchair.promotion.experiment.decision import (
    Check,
    ExperimentDecision,
    MetricFinding,
    SegmentFinding,
)
from firstchair.promotion.experiment.evaluations import Days
from firstchair.promotion.experiment.evidence import COLUMNS, Evidence
from firstchair.promotion.experiment.experiment import (
    CANARY,
    PROBATION,
    STAGES,
    Experiment,
    decide,
    decide_daily,
)
from firstchair.promotion.experiment.files import read_evidence
from firstchair.promotion.experiment.table import as_evidence

__all__ = [
    "CANARY",
    "COLUMNS",
    "PROBATION",
    "STAGES",
    "Check",
    "Days",
    "Evidence",
    "Experiment",
    "ExperimentDecision",
    "Metric",
    "MetricFinding",
    "SegmentFinding",
    "as_evidence",
    "decide",
    "decide_daily",
    "read_evidence",
]
