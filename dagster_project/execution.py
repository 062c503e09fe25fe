"""Materialising assets in this process, with each step told as it begins and ends."""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import dagster as dg
import psutil

from firstchair.errors import RunError

PROCESS_TAG = "firstchair/process"
ASKED_TAG = "firstchair/asked"
# A run that failed is asked for again after a minute, then two, four, and so on up to an hour.
LONGEST_WAIT_MINUTES = 60
DOMAIN_ERRORS = "firstchair.errors."
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}

OnStep = Callable[[str, bool], None]


def materialise(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    *,
    on_step: OnStep,
    days: tuple[date, date] | None = None,
    resources: Mapping[str, Mapping[str, object]] | None = None,
) -> str:
    """Materialise `assets` in one run and give back its id.

    Args:
        definitions: Where the assets are.
        instance: Where the run is recorded.
        assets: Names of assets; their order comes from the graph.
        on_step: Called with an asset's name when it begins (False) and when it is done (True).
        days: First and last partition, both included; more than one only for assets with a single-run policy.
        resources: Config of resources by their key, where it is not their default.

    Raises:
        RunError: A step or a blocking check failed; what was written before it stands.
    """
    run_id = str(uuid.uuid4())
    tags = {PROCESS_TAG: str(os.getpid())}
    one_day = days is not None and days[0] == days[1]
    if days is not None and not one_day:
        tags |= {
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[1].isoformat(),
        }

    def tell(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and event.step_key and event.event_type_value in {"STEP_START", "STEP_SUCCESS"}:
            on_step(event.step_key, event.event_type_value == "STEP_SUCCESS")

    instance.add_event_listener(run_id, tell)
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in assets],
        partition_key=days[0].isoformat() if one_day and days is not None else None,
        run_id=run_id,
        tags=tags,
        run_config={"loggers": QUIET, "resources": {key: {"config": dict(c)} for key, c in (resources or {}).items()}},
        raise_on_error=False,
    )
    if not result.success:
        raise _failure(result, run_id)
    return run_id


def close_orphans(instance: dg.DagsterInstance) -> int:
    """Runs whose process was killed are marked failed, so that the UI does not show them as at work."""
    started = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    orphans = [run for run in started if PROCESS_TAG in run.tags and not psutil.pid_exists(int(run.tags[PROCESS_TAG]))]
    for run in orphans:
        instance.report_run_failed(run, "The process was killed; the next run completes its work.")
    return len(orphans)


def is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job waits or works."""
    ended = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    statuses = [status for status in dg.DagsterRunStatus if status not in ended]
    return bool(instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=statuses), limit=1))


def attempt(instance: dg.DagsterInstance, asked: str, *, now: datetime) -> str | None:
    """Run key under which `asked` is to be run now, another after each of its runs that failed.

    None while the newest failure is too fresh. Those runs carry `asked` in the tag `ASKED_TAG`; one that a person
    cancelled is not asked for again.
    """
    of_it = dg.RunsFilter(tags={ASKED_TAG: asked}, statuses=[dg.DagsterRunStatus.FAILURE])
    failed = instance.get_run_records(filters=of_it)
    if not failed:
        return asked
    newest = max(record.end_time or record.update_timestamp.timestamp() for record in failed)
    wait = 60 * min(LONGEST_WAIT_MINUTES, 2 ** (len(failed) - 1))
    return f"{asked}-again-{len(failed)}" if now.timestamp() >= newest + wait else None


def failed_checks(instance: dg.DagsterInstance) -> list[str]:
    """Blocking asset checks whose newest outcome is a failure, as `asset: check`, ascending."""
    from dagster_project import checks

    specs = [spec for spec in vars(checks).values() if isinstance(spec, dg.AssetCheckSpec) and spec.blocking]
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([spec.key for spec in specs])
    failed = [key for key, record in newest.items() if record.status.value == "FAILED"]
    return sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in failed)


def _failure(result: dg.ExecuteInProcessResult, run_id: str) -> RunError:
    failed = [event for event in result.all_events if event.is_step_failure]
    steps = [str(event.step_key) for event in failed]
    error = failed[0].step_failure_data.error if failed else None
    # Below Dagster's own is what the domain said; below that, what made it say so.
    said = error.cause if error is not None and error.cause is not None else error
    cause = said.message.strip().removeprefix(DOMAIN_ERRORS) if said is not None else "no step failed, but the run did"
    return RunError(
        f"{', '.join(steps) or 'The run'} failed: {cause}",
        where=f"Dagster run {run_id}",
        data="Every table is whole: what was written before stands, the failed step left nothing.",
        remedy="Mend the cause and run `firstchair run` again; it goes on from there.",
    )
