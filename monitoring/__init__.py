"""Measures of engagement, churn, drift, overfitting and data quality; they trigger nothing."""

from monitoring.baselines import BaselinesReport, build_baselines
from monitoring.churn import ChurnReport, build_churn
from monitoring.drift import Champion, DriftReport, build_drift
from monitoring.engagement import EngagementReport, build_engagement, engagement_summary
from monitoring.overfit import OverfitReport, build_overfit
from monitoring.quality import (
    QualityReport,
    build_quality,
    busiest_account,
    quality_checks,
    quality_of,
)
from monitoring.regression import Regression, engagement_regression
from monitoring.rules import Rules, Trigger, load_rules
from monitoring.survival import SurvivalReport, build_survival
from monitoring.tracking import TrackedDay, track

__all__ = [
    "BaselinesReport",
    "Champion",
    "ChurnReport",
    "DriftReport",
    "EngagementReport",
    "OverfitReport",
    "QualityReport",
    "Regression",
    "Rules",
    "SurvivalReport",
    "TrackedDay",
    "Trigger",
    "build_baselines",
    "build_churn",
    "build_drift",
    "build_engagement",
    "build_overfit",
    "build_quality",
    "build_survival",
    "busiest_account",
    "engagement_regression",
    "engagement_summary",
    "load_rules",
    "quality_checks",
    "quality_of",
    "track",
]
