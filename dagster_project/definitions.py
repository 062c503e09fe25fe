"""What exists: assets, jobs, the schedule, the sensors and the one handle they share."""

from datetime import timedelta

import dagster as dg

from dagster_project.assets import (
    features,
    ingestion,
    models,
    monitoring,
    recommendations,
    validation,
)
from dagster_project.resources import PlatformResource
from dagster_project.schedules import JOBS, daily_schedule
from dagster_project.sensors import (
    alert_sensor,
    landing_sensor,
    promotion_sensor,
    retraining_sensor,
)

# By six hours after a day has ended, everything of it should stand (`stale_lists` is told then).
# A decision waits for evidence, not for the clock.
FRESH = dg.FreshnessPolicy.cron(deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=6))
BY_EVIDENCE = dg.AssetSelection.assets("promotion_decision")

ASSET_MODULES = [ingestion, validation, features, models, recommendations, monitoring]


@dg.definitions
def defs() -> dg.Definitions:
    """The one code location of firstchair."""
    found = dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        jobs=JOBS,
        schedules=[daily_schedule],
        sensors=[landing_sensor, retraining_sensor, promotion_sensor, alert_sensor],
        resources={"platform": PlatformResource()},
        # A run is one process, so that it holds the lock of all writers from its first step to its
        # last.
        executor=dg.in_process_executor,
    )
    return found.map_resolved_asset_specs(
        func=lambda spec: dg.apply_freshness_policy(spec, FRESH),
        selection=dg.AssetSelection.all() - BY_EVIDENCE,
    )
