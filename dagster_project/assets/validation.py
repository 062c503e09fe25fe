"""What is accepted: events that meet the suite and refer to what is known."""

import dagster as dg

from dagster_project.assets.ingestion import catalogue, landed_events, users
from dagster_project.checks import NO_GAPS, SILVER_ADDS_UP, verdict
from dagster_project.metadata import described
from dagster_project.partitions import daily, days_of, one_run
from dagster_project.resources import PlatformResource
from firstchair import events


@dg.asset(
    partitions_def=daily,
    backfill_policy=one_run,
    group_name="validation",
    owners=["team:data"],
    kinds={"greatexpectations", "deltalake"},
    deps=[landed_events, users, catalogue],
    check_specs=[SILVER_ADDS_UP, NO_GAPS],
)
def silver_events(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """Accepted events of the day; those that fail expectations/events.json are quarantined."""
    report = events.build_events(platform.open().lake, *days_of(context))
    checks = [
        verdict(SILVER_ADDS_UP, report.balanced, of=report.landed, what="events landed"),
        verdict(
            NO_GAPS,
            not any(report.gaps.values()),
            of=len(report.gaps),
            what="sources",
            warn=True,
            gaps=report.gaps,
        ),
    ]
    return dg.MaterializeResult(metadata=described(report), check_results=checks)
