"""When things run by the clock, and the jobs that clocks and sensors start."""

import dagster as dg

from dagster_project.partitions import daily
from dagster_project.resources import PlatformResource

# What waits for evidence and not for the clock: who sits in the chair, and whose lists are served.
DECIDED = dg.AssetSelection.assets("promotion_decision", "published_lists")

landing = dg.define_asset_job(
    "landing",
    selection=dg.AssetSelection.groups("ingestion"),
    description="New objects, accounts and catalogue; needs no day.",
)
rebuild = dg.define_asset_job(
    "rebuild",
    selection=dg.AssetSelection.assets(
        "silver_events", "engagement_daily", "engagement_baselines", "churn", "data_quality", "evidence"
    ),
    partitions_def=daily,
    description="A day again, after late events reached it.",
)
retraining = dg.define_asset_job(
    "retraining",
    selection=dg.AssetSelection.groups("models", "recommendations") - DECIDED,
    partitions_def=daily,
    description="All families anew on the newest features.",
)
decision = dg.define_asset_job(
    "decision",
    selection=DECIDED,
    partitions_def=daily,
    description="The gate's verdict on the day's candidates, and the lists that follow; for the promotion sensor.",
)
pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - DECIDED,
    partitions_def=daily,
    description="Everything of one day but the decision and what is served after it.",
)


@dg.schedule(name="daily", cron_schedule="30 2 * * *", job=pipeline, default_status=dg.DefaultScheduleStatus.RUNNING)
def daily_schedule(platform: PlatformResource) -> dg.RunRequest:
    """Each morning, the newest complete day; a day without events is not made up."""
    day = platform.open().complete_days()[1].isoformat()
    return dg.RunRequest(run_key=f"daily-{day}", partition_key=day)


JOBS = [landing, rebuild, retraining, decision, pipeline]
