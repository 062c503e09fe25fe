"""What came of it: engagement and churn by segment, drift of the features."""

from datetime import timedelta

import dagster as dg

import monitoring
from dagster_project.assets.features import user_features
from dagster_project.assets.validation import silver_events
from dagster_project.metadata import described
from dagster_project.partitions import as_of_of, daily, days_of, one_run
from dagster_project.resources import PlatformResource

OWNERS = ["team:ml"]
ONE_DAY = timedelta(days=1)


@dg.asset(
    partitions_def=daily,
    backfill_policy=one_run,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"duckdb", "deltalake"},
    deps=[silver_events],
)
def engagement_daily(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Impressions, clicks, CTR and listen-through of the day by segment and model version."""
    p = platform.open()
    first, last = days_of(context)
    report = monitoring.build_engagement(p.lake, first=first, last=last, k_anonymity=p.settings.k_anonymity)
    return dg.MaterializeResult(metadata=described(report))


@dg.asset(
    partitions_def=daily,
    backfill_policy=one_run,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"duckdb", "deltalake"},
    deps=[silver_events],
)
def churn(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Users lost within 7 and 14 days, by segment and model version; immature labels are marked."""
    p = platform.open()
    first, last = days_of(context)
    report = monitoring.build_churn(
        p.lake,
        first_as_of=first + ONE_DAY,
        last_as_of=last + ONE_DAY,
        k_anonymity=p.settings.k_anonymity,
        late_tolerance_days=p.settings.late_tolerance_days,
        known_until=p.complete_days()[1] + ONE_DAY,
    )
    return dg.MaterializeResult(metadata=described(report))


@dg.asset(
    partitions_def=daily,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"evidently", "deltalake"},
    deps=[user_features],
)
def data_drift(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Evidently's data-drift report of the day's features against earlier ones."""
    p = platform.open()
    report = monitoring.build_drift(p.lake, as_of=as_of_of(context), report_folder=p.settings.home / "reports")
    return dg.MaterializeResult(metadata=described(report))
