"""What is known of users and artists before a day began."""

import dagster as dg

from dagster_project.assets.validation import silver_events
from dagster_project.checks import FEATURES_NO_LEAK, FEATURES_VALID, MATRIX_NO_LEAK, verdict
from dagster_project.metadata import described
from dagster_project.partitions import as_of_of, daily
from dagster_project.resources import PlatformResource
from firstchair import features

OWNERS = ["team:ml"]
KINDS = {"ibis", "duckdb", "deltalake"}


@dg.asset(
    partitions_def=daily,
    group_name="features",
    owners=OWNERS,
    kinds=KINDS,
    deps=[silver_events],
    check_specs=[FEATURES_NO_LEAK, FEATURES_VALID],
)
def user_features(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """One row a user of everything known up to the end of the partition's day (UTC)."""
    p = platform.open()
    p.require_usable(as_of_of(context))
    report = features.build_user_features(p.lake, as_of=as_of_of(context))
    checks = [
        verdict(FEATURES_NO_LEAK, report.leaked_rows == 0, of=report.rows, what="rows"),
        verdict(FEATURES_VALID, report.validation.passed, of=report.rows, what="rows"),
    ]
    return dg.MaterializeResult(
        metadata=described(report),
        check_results=checks,
        data_version=dg.DataVersion(report.fingerprint),
    )


@dg.asset(
    partitions_def=daily,
    group_name="features",
    owners=OWNERS,
    kinds=KINDS,
    deps=[silver_events],
    check_specs=[MATRIX_NO_LEAK],
)
def interactions(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """The user-item matrix in long form: confidence and preference of each user and artist."""
    p = platform.open()
    p.require_usable(as_of_of(context))
    report = features.build_interactions(p.lake, as_of=as_of_of(context))
    checks = [verdict(MATRIX_NO_LEAK, report.leaked_rows == 0, of=report.rows, what="rows")]
    return dg.MaterializeResult(
        metadata=described(report),
        check_results=checks,
        data_version=dg.DataVersion(report.fingerprint),
    )
