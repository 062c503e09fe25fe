"""The steps of a run, told to who keeps lineage, where the settings name an address."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.execution import job_title
from firstchair.platform import Platform
from firstchair.platform.lineage import Lineage, State, Step

STATES = {
    dg.DagsterEventType.STEP_START: State.START,
    dg.DagsterEventType.STEP_SUCCESS: State.COMPLETE,
    dg.DagsterEventType.STEP_FAILURE: State.FAIL,
}


def tell_of(instance: dg.DagsterInstance | None, run: dg.DagsterRun, platform: Platform) -> None:
    """Tell of each step of a run in this process as it begins and ends.

    Raises:
        SettingsError: An address is set, and the library that sends is not installed.
    """
    if instance is None or not platform.settings.openlineage_url:
        return
    lineage = Lineage(platform.settings, platform.databases.accounts)

    def told(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and event.step_key and event.event_type in STATES:
            lineage.tell(STATES[event.event_type], _step(run, entry, event))

    instance.add_event_listener(run.run_id, told)


def _step(run: dg.DagsterRun, entry: dg.EventLogEntry, event: dg.DagsterEvent) -> Step:
    error = event.step_failure_data.error if event.is_step_failure else None
    cause = error.cause if error is not None and error.cause is not None else error
    return Step(
        run_id=run.run_id,
        job=job_title(run),
        asset=str(event.step_key),
        day=_day(run),
        at=datetime.fromtimestamp(entry.timestamp, UTC),
        error=str(cause.cls_name) if cause is not None else "",
    )


def _day(run: dg.DagsterRun) -> str | None:
    first, last = (run.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    return f"{first}/{last}" if first else run.tags.get("dagster/partition")
