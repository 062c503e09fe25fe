"""What is recommended: the lists of the day, for every user."""

import dagster as dg

from dagster_project.assets.models import FAMILY_MODELS, promotion_decision
from dagster_project.checks import EVERY_USER_SERVED, verdict
from dagster_project.metadata import described
from dagster_project.partitions import as_of_of, daily
from dagster_project.resources import PlatformResource
from firstchair import publication


@dg.asset(
    partitions_def=daily,
    group_name="recommendations",
    owners=["team:ml"],
    kinds={"deltalake"},
    deps=FAMILY_MODELS,
    check_specs=[EVERY_USER_SERVED],
)
def recommendations(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """Each user's list by each model that may serve: scores in -1..1, a reason for each artist."""
    p = platform.open()
    p.restore_aliases()
    report = publication.build_recommendations(
        p.lake,
        p.registry,
        as_of=as_of_of(context),
        list_length=p.settings.list_length,
        diversity=p.settings.diversity,
        contenders=p.settings.contending_families,
    )
    checks = [
        verdict(EVERY_USER_SERVED, report.users_without_list == 0, of=report.users, what="users")
    ]
    return dg.MaterializeResult(metadata=described(report), check_results=checks)


@dg.asset(
    partitions_def=daily,
    group_name="recommendations",
    owners=["team:ml"],
    kinds={"numpy"},
    deps=[recommendations, promotion_decision],
)
def published_lists(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """The lists that logins are answered from: mapped columns, swapped to in one step."""
    p = platform.open()
    p.restore_aliases()
    report = publication.publish_day(
        p.lake,
        p.registry,
        as_of=as_of_of(context),
        root=p.settings.published,
        list_length=p.settings.list_length,
        arms=p.arms(),
        diversity=p.settings.diversity,
        bucket=p.settings.published_url,
    )
    return dg.MaterializeResult(metadata=described(report, console=p.settings.page("lineage")))
