"""Measures of engagement, churn, drift, overfitting and data quality; they trigger nothing."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from monitoring.baselines import BaselinesReport, build_baselines
    from monitoring.churn import ChurnReport, build_churn
    from monitoring.drift import Champion, DriftReport, build_drift
    from monitoring.engagement import EngagementReport, build_engagement, engagement_summary
    from monitoring.failing_days import busiest_account, quality_of
    from monitoring.overfit import OverfitReport, build_overfit
    from monitoring.quality import (
        QualityReport,
        build_quality,
        quality_checks,
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

__getattr__ = deferred(
    __name__,
    __all__,
    (
        "rules",
        "regression",
        "failing_days",
        "quality",
        "engagement",
        "churn",
        "survival",
        "baselines",
        "tracking",
        "overfit",
        "drift",
    ),
)
