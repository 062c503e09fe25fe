"""When things run by the clock, and the jobs that clocks and sensors start."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.execution import Wanted, requests
from dagster_project.partitions import daily
from dagster_project.resources import PlatformResource
from firstchair.platform import triggers
from firstchair.platform.assets import HISTORY
from firstchair.platform.start import settled_at

Requests = Iterator[dg.RunRequest | dg.SkipReason]

# Assets that wait for evidence and not for the clock: the decision, and the lists that follow.
DECIDED = dg.AssetSelection.assets("promotion_decision", "published_lists")

landing = dg.define_asset_job(
    "landing",
    selection=dg.AssetSelection.groups("ingestion"),
    description="New objects, accounts and catalogue; needs no day.",
)
rebuild = dg.define_asset_job(
    "rebuild",
    selection=dg.AssetSelection.assets(*HISTORY),
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
    description="The gate's verdict on the day's candidates, and the lists that follow; for the "
    "promotion sensor.",
)
pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - DECIDED,
    partitions_def=daily,
    description="Everything of one day but the decision and what is served after it.",
)


@dg.schedule(
    name="daily",
    cron_schedule="30 2-23 * * *",
    job=pipeline,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def daily_schedule(context: dg.ScheduleEvaluationContext, platform: PlatformResource) -> Requests:
    """From 02:30 UTC on, the newest complete day until it is built: each hour looks whether it is.

    A schedule's run keys hold for one tick (dagster 1.13.27, `_scheduler/scheduler.py`,
    `_get_existing_run_for_request`), so what was asked for before is read from the runs themselves.
    """
    p = platform.open()
    due, until = triggers.day_due(p), settled_at(p)
    why = due.why
    if until is not None:
        why = f"The home has just been started: no day is built before {until:%H:%M} UTC."
    work = Wanted(f"daily-{due.day}", pipeline.name, day=due.day, only_again=due.built)
    wanted = [] if why else [work]
    yield from requests(context.instance, wanted, now=p.now, idle=why)


JOBS = [landing, rebuild, retraining, decision, pipeline]
