"""What came of it: engagement and churn by segment, drift, overfitting, data quality."""

from datetime import timedelta

import dagster as dg

import monitoring
from dagster_project import roles
from dagster_project.assets.models import FAMILY_MODELS
from dagster_project.assets.recommendations import recommendations
from dagster_project.assets.validation import silver_events
from dagster_project.checks import DAY_USABLE, outcome
from dagster_project.metadata import described, report_page, run_page
from dagster_project.partitions import as_of_of, daily, days_of, one_run
from dagster_project.resources import PlatformResource
from firstchair.platform.upkeep import maintain

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
def engagement_daily(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """Impressions, clicks, CTR and listen-through of the day by segment and model version."""
    p = platform.open()
    first, last = days_of(context)
    report = monitoring.build_engagement(
        p.lake,
        first=first,
        last=last,
        k_anonymity=p.settings.k_anonymity,
        releases=roles.releases(p),
    )
    return dg.MaterializeResult(metadata=described(report, console=p.settings.page("engagement")))


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
        releases=roles.releases(p),
    )
    return dg.MaterializeResult(metadata=described(report, console=p.settings.page("engagement")))


@dg.asset(
    partitions_def=daily,
    backfill_policy=one_run,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"duckdb", "deltalake"},
    deps=[silver_events],
)
def engagement_baselines(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """Each version against the holdout's trending and random lists, and exploration slots."""
    p = platform.open()
    first, last = days_of(context)
    baselines = roles.baselines(p)
    report = monitoring.build_baselines(
        p.lake, first=first, last=last, baselines=baselines, k_anonymity=p.settings.k_anonymity
    )
    return dg.MaterializeResult(metadata=described(report, console=p.settings.page("engagement")))


@dg.asset(
    partitions_def=daily,
    backfill_policy=one_run,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"evidently", "deltalake"},
    deps=[silver_events],
    check_specs=[DAY_USABLE],
)
def data_quality(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """Of each day: the share refused by reason, holes, what came late, sources that are silent."""
    p = platform.open()
    first, last = days_of(context)
    report = monitoring.build_quality(
        p.lake, first=first, last=last, report_folder=p.settings.reports
    )
    checks = [
        outcome(
            DAY_USABLE, report.usable, warn=True, blocked_days=", ".join(map(str, report.blocked))
        )
    ]
    return dg.MaterializeResult(
        metadata=described(
            report,
            report=report_page(report.report, p.settings),
            console=p.settings.page("quality"),
        ),
        check_results=checks,
    )


@dg.asset(
    partitions_def=daily,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"duckdb", "deltalake"},
    deps=[silver_events],
)
def survival(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """How long users stay, by segment and by the version that first served them."""
    p = platform.open()
    patience = p.settings.late_tolerance_days
    report = monitoring.build_survival(
        p.lake,
        as_of=as_of_of(context),
        k_anonymity=p.settings.k_anonymity,
        late_tolerance_days=patience,
    )
    return dg.MaterializeResult(metadata=described(report, console=p.settings.page("engagement")))


@dg.asset(
    partitions_def=daily,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"evidently", "deltalake"},
    deps=FAMILY_MODELS,
)
def overfit(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Each family's gap between training and test, with its interval and its usual size."""
    p = platform.open()
    report = monitoring.build_overfit(
        p.lake, as_of=as_of_of(context), report_folder=p.settings.reports
    )
    return dg.MaterializeResult(
        metadata=described(
            report, report=report_page(report.report, p.settings), console=p.settings.page("drift")
        )
    )


@dg.asset(
    partitions_def=daily,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"evidently", "deltalake"},
    deps=[silver_events, recommendations],
)
def data_drift(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """The last days against the champion's training window, with Evidently's page."""
    p = platform.open()
    as_of = as_of_of(context)
    champion = roles.champion_before(p, as_of)
    report = monitoring.build_drift(
        p.lake,
        as_of=as_of,
        champion=champion,
        report_folder=p.settings.reports,
        k_anonymity=p.settings.k_anonymity,
    )
    return dg.MaterializeResult(
        metadata=described(
            report, report=report_page(report.report, p.settings), console=p.settings.page("drift")
        )
    )


@dg.asset(
    partitions_def=daily,
    group_name="monitoring",
    owners=OWNERS,
    kinds={"mlflow"},
    deps=[
        engagement_daily,
        engagement_baselines,
        churn,
        survival,
        data_quality,
        overfit,
        data_drift,
    ],
)
def monitoring_run(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """The day's figures and pages as one MLflow run."""
    p = platform.open()
    report = monitoring.track(
        p.lake,
        as_of=as_of_of(context),
        tracking_uri=p.registry.tracking_uri,
        artifact_root=p.registry.artifact_root,
        report_folder=p.settings.reports,
        links={
            "Dagster run": run_page(context, p.settings),
            "Console": p.settings.page("engagement"),
        },
    )
    return dg.MaterializeResult(metadata=described(report))


@dg.asset(
    group_name="monitoring",
    owners=OWNERS,
    kinds={"deltalake"},
    deps=[monitoring_run],
)
def lake_upkeep(platform: PlatformResource) -> dg.MaterializeResult:
    """Small files merged, what no version needs removed; sizes of the tables before and after."""
    report = maintain(platform.open())
    return dg.MaterializeResult(
        metadata=described(
            report,
            files_before=report.files_before,
            files_after=report.files_after,
            bytes_before=report.bytes_before,
            bytes_after=report.bytes_after,
        )
    )
