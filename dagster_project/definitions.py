"""What exists: assets, jobs, the schedule, the sensors and the one handle they share."""

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

ASSET_MODULES = [ingestion, validation, features, models, recommendations, monitoring]


@dg.definitions
def defs() -> dg.Definitions:
    """The one code location of firstchair."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        jobs=JOBS,
        schedules=[daily_schedule],
        sensors=[landing_sensor, retraining_sensor, promotion_sensor, alert_sensor],
        resources={"platform": PlatformResource()},
        # A run is one process, so that it holds the lock of all writers from its first step to its
        # last.
        executor=dg.in_process_executor,
    )
