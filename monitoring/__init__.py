"""Engagement, churn and drift: what is measured, day by day; never what is done about it."""

from monitoring.churn import ChurnReport, build_churn
from monitoring.drift import DriftReport, build_drift
from monitoring.engagement import EngagementReport, build_engagement, engagement_summary

__all__ = [
    "ChurnReport",
    "DriftReport",
    "EngagementReport",
    "build_churn",
    "build_drift",
    "build_engagement",
    "engagement_summary",
]
