"""Runs: materialising assets in this process, asking for runs by state, and those that failed."""

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import dagster as dg
import psutil
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster_shared.error import SerializableErrorInfo

from firstchair.definitions.checks import Check, CheckState
from firstchair.errors import RunError
from firstchair.platform.observed import UnderWay

PROCESS_TAG = "firstchair/process"
WORK_TAG, STATE_TAG = "firstchair/work", "firstchair/state"
DAY_TAG = "dagster/partition"
FAILED = dg.DagsterRunStatus.FAILURE
# Statuses of a run that waits or works.
OPEN = [
    status
    for status in dg.DagsterRunStatus
    if status not in {dg.DagsterRunStatus.SUCCESS, FAILED, dg.DagsterRunStatus.CANCELED}
]
# Statuses of a run that has left the queue; a queued one may wait for as long as it takes.
BEFORE_START = {dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING}
LAUNCHED = [*BEFORE_START, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
# A run opens the platform, and so tells its process, well within this time after its launch.
START_MINUTES = 5
KILLED = "The process was killed."
LONGEST_WAIT_MINUTES = 60
FAILED_RUN_DAYS = 7
# Two readings of a process's start differ by less.
SAME_START_SECONDS = 2
# Of one piece of work, newest first; landing has one of its own every few minutes.
REMEMBERED_RUNS = 50
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
        days: First and last partition, both included; more than one only for assets with a
            single-run policy.
        resources: Config of resources by their key, where it is not their default.

    Raises:
        RunError: A step or a blocking check failed; what was written before it stands.
    """
    run_id = str(uuid.uuid4())
    tags = {PROCESS_TAG: process_tag()}
    one_day = days is not None and days[0] == days[1]
    if days is not None and not one_day:
        tags |= {
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[1].isoformat(),
        }

    def tell(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if (
            event is not None
            and event.step_key
            and event.event_type_value in {"STEP_START", "STEP_SUCCESS"}
        ):
            on_step(event.step_key, event.event_type_value == "STEP_SUCCESS")

    instance.add_event_listener(run_id, tell)
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in assets],
        partition_key=days[0].isoformat() if one_day and days is not None else None,
        run_id=run_id,
        tags=tags,
        run_config={
            "loggers": QUIET,
            "resources": {key: {"config": dict(c)} for key, c in (resources or {}).items()},
        },
        raise_on_error=False,
    )
    if not result.success:
        raise _failure(result, run_id)
    return run_id


def close_orphans(instance: dg.DagsterInstance, *, now: datetime, is_writing: bool) -> int:
    """Close runs that no process works on any more; they would hold back all runs after them.

    A run whose process on this machine is gone is closed at once. One that tells of no process,
    since it was killed before it opened the platform, is closed once its record has not changed for
    `START_MINUTES`; so is one of another machine, which a container that was started anew is too,
    while no other process writes, since a run holds the writers' lock or waits for who does. A run
    that a person cancelled becomes cancelled, any other one failed.

    Args:
        instance: Where the runs are recorded.
        now: The instant of asking.
        is_writing: Whether another process holds the writers' lock.

    Returns:
        How many were closed.
    """
    records = instance.get_run_records(filters=dg.RunsFilter(statuses=LAUNCHED))
    orphans = [record.dagster_run for record in records if _is_orphan(record, now, is_writing)]
    for run in orphans:
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, KILLED)
        else:
            instance.report_run_failed(run, f"{KILLED} The next run completes its work.")
    return len(orphans)


def _is_orphan(record: dg.RunRecord, now: datetime, is_writing: bool) -> bool:
    run = record.dagster_run
    # Before the run itself begins, a tag may be that of the run it was started again from.
    process = None if run.status in BEFORE_START else run.tags.get(PROCESS_TAG)
    is_here = process is not None and process.partition(":")[0] == socket.gethostname()
    if process is not None and is_here:
        return not _is_alive(process)
    if process is not None and is_writing:
        return False
    return now - record.update_timestamp >= timedelta(minutes=START_MINUTES)


def process_tag() -> str:
    """This process, by its machine, number and start: numbers are given out again."""
    began = psutil.Process().create_time()
    return f"{socket.gethostname()}:{os.getpid()}:{began:.0f}"


def _is_alive(process: str) -> bool:
    """Whether a process of this machine is there."""
    number, _, began = process.partition(":")[2].partition(":")
    try:
        found = psutil.Process(int(number)).create_time()
    except psutil.NoSuchProcess:
        return False
    return not began or abs(found - float(began)) <= SAME_START_SECONDS


@dataclass(frozen=True, slots=True)
class Wanted:
    """Work that state asks for.

    work: What is to be done, such as `rebuild-2026-01-05`; failures are counted by it. state: What
    asks for it; once a run has succeeded, the same state asks for nothing. job: Which does it. day:
    Its partition. tags: Of its run. only_again: It is done, unless its last run failed.
    """

    work: str
    job: str
    state: str = ""
    day: date | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    only_again: bool = False


def requests(
    instance: dg.DagsterInstance, wanted: Sequence[Wanted], *, now: datetime, idle: str
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for runs of what is wanted, or say why for none.

    A run that failed is asked for again under another key after a minute, then two, four, and so on
    up to an hour. One that is under way, has succeeded, or was cancelled by a person is not.

    Args:
        instance: Where the runs are recorded; those asked for here carry `WORK_TAG` and
            `STATE_TAG`.
        wanted: What is to be done; nothing of a job is asked for beside a run of it.
        now: The instant of asking.
        idle: What is said where nothing is wanted.
    """
    busy = {job for job in {one.job for one in wanted} if _is_under_way(instance, job)}
    found = [(one, *_attempt(instance, one, now, busy=one.job in busy)) for one in wanted]
    for one, key, _ in found:
        if key is not None:
            tags = {WORK_TAG: one.work, STATE_TAG: one.state, **one.tags}
            day = None if one.day is None else one.day.isoformat()
            if day is not None:
                # Without its tag, a day before all days that were known when this process began
                # is refused, and with it the whole tick (dagster 1.13.27, `RunRequest.
                # has_resolved_partition`). The run is a new process, whose calendar has the day.
                tags[DAY_TAG] = day
            yield dg.RunRequest(run_key=key, job_name=one.job, partition_key=day, tags=tags)
    if not any(key for _, key, _ in found):
        why = dict.fromkeys(f"{one.work}: {reason}" for one, _, reason in found)
        yield dg.SkipReason("; ".join(why) or idle)


def _attempt(
    instance: dg.DagsterInstance, wanted: Wanted, now: datetime, *, busy: bool
) -> tuple[str | None, str]:
    """Run key under which to ask now; without one, why not. busy: a run of its job is under way."""
    if busy:
        return None, f"a run of {wanted.job} is under way."
    of_it = dg.RunsFilter(tags={WORK_TAG: wanted.work})
    earlier = instance.get_run_records(filters=of_it, limit=REMEMBERED_RUNS)
    same = [
        one.dagster_run for one in earlier if one.dagster_run.tags.get(STATE_TAG) == wanted.state
    ]
    if same and same[0].status is not FAILED:
        return None, f"its run {same[0].run_id[:8]} has ended ({same[0].status.value.lower()})."
    failures = list(takewhile(lambda one: one.dagster_run.status is FAILED, earlier))
    if wanted.only_again and (not failures or _failed_run(instance, failures[0]) is None):
        return None, "it is done."
    if failures:
        wait = 60 * min(LONGEST_WAIT_MINUTES, 2 ** (len(failures) - 1))
        again = datetime.fromtimestamp(_ended(failures[0]) + wait, UTC)
        if now < again:
            return (
                None,
                f"its run has failed and is asked for again later, at {again:%H:%M:%S} UTC.",
            )
    key = "-".join(filter(None, (wanted.work, wanted.state)))
    # A key that was used is never taken again, and no more runs than these are counted.
    more = f"-{same[0].run_id[:8]}" if len(earlier) == REMEMBERED_RUNS and same else ""
    return (f"{key}-again-{len(same)}{more}" if same else key), ""


def _is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    return bool(instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=OPEN), limit=1))


def _ended(record: dg.RunRecord) -> float:
    """Seconds since 1970 at which a run ended."""
    return record.end_time or record.update_timestamp.timestamp()


def runs_under_way(instance: dg.DagsterInstance) -> tuple[UnderWay, ...]:
    """Runs that wait or work, oldest first."""
    records = instance.get_run_records(filters=dg.RunsFilter(statuses=OPEN))
    return tuple(_under_way(record) for record in reversed(records))


def _under_way(record: dg.RunRecord) -> UnderWay:
    run = record.dagster_run
    since = record.start_time or record.create_timestamp.timestamp()
    why = run.tags.get("firstchair/causes", "").replace(",", ", ")
    partition, status = run.tags.get(DAY_TAG), run.status.value.lower()
    return UnderWay(
        run.run_id, _job(run), partition, status, datetime.fromtimestamp(since, UTC), why
    )


def _job(run: dg.DagsterRun) -> str:
    return "firstchair" if run.job_name.startswith("__") else run.job_name


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed and whose work nobody has done since.

    undone: assets that it did not materialise, ascending. cause: of the failure, in words.
    """

    run_id: str
    job: str
    partition: str | None
    ended_at: datetime
    undone: tuple[str, ...]
    cause: str

    def sentence(self) -> str:
        """All of it in words."""
        of_day = f" for {self.partition}" if self.partition else ""
        return (
            f"The run of {self.job}{of_day} failed at {self.ended_at:%Y-%m-%d %H:%M} UTC: "
            f"{self.cause}"
        )


def failed_runs(instance: dg.DagsterInstance, *, since: datetime) -> list[FailedRun]:
    """Runs that failed since then and whose work is not done, newest first, whoever started them.

    Of those that tried the same, the newest stands for all.
    The work of a run is done once each asset that it did not materialise has been, or, where it
    came to none, once a later run of the same job has succeeded.
    """
    recent = dg.RunsFilter(statuses=[FAILED], updated_after=since)
    newest: dict[tuple[object, ...], dg.RunRecord] = {}
    for record in instance.get_run_records(filters=recent, limit=REMEMBERED_RUNS):
        run = record.dagster_run
        same = (run.job_name, run.tags.get(DAY_TAG), run.asset_selection)
        newest.setdefault(same, record)
    found = (_failed_run(instance, record) for record in newest.values())
    return [failed for failed in found if failed is not None]


def _failed_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun | None:
    run, ended = record.dagster_run, _ended(record)
    undone = _undone(instance, run.run_id)
    open_now = [name for name, day in undone.items() if not _done_since(instance, name, day, ended)]
    if undone and not open_now:
        return None
    if not undone and _succeeded_since(instance, run.job_name, ended):
        return None
    job = _job(run)
    partition = run.tags.get(DAY_TAG)
    cause = _cause(instance, run.run_id)
    return FailedRun(
        run.run_id,
        job,
        partition,
        datetime.fromtimestamp(ended, UTC),
        tuple(sorted(open_now)),
        cause,
    )


def _undone(instance: dg.DagsterInstance, run_id: str) -> dict[str, str | None]:
    """Assets that a run had planned and did not materialise, each with its partition."""
    planned = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    made = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    wanted = {
        event.asset_key.to_user_string(): event.partition
        for entry in planned
        if (event := entry.dagster_event) is not None and event.asset_key is not None
    }
    for entry in made:
        if entry.dagster_event is not None and entry.dagster_event.asset_key is not None:
            wanted.pop(entry.dagster_event.asset_key.to_user_string(), None)
    return wanted


def _done_since(
    instance: dg.DagsterInstance, asset: str, partition: str | None, ended: float
) -> bool:
    partitions = None if partition is None else [partition]
    later = dg.AssetRecordsFilter(
        dg.AssetKey(asset), asset_partitions=partitions, after_timestamp=ended
    )
    return bool(instance.fetch_materializations(later, limit=1).records)


def _succeeded_since(instance: dg.DagsterInstance, job: str, ended: float) -> bool:
    after = datetime.fromtimestamp(ended, UTC)
    succeeded = dg.RunsFilter(
        job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=after
    )
    return bool(instance.get_runs(filters=succeeded, limit=1))


def _cause(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the first step that failed said, else what the run's end did."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    events = [
        e
        for entry in instance.all_logs(run_id, of_type=kinds)
        if (e := entry.dagster_event) is not None
    ]
    step = next((event for event in events if event.is_step_failure), None)
    if step is not None:
        return f"{step.step_key}: {_message(step.step_failure_data.error)}"
    return next((str(event.message) for event in events), "its process ended without a word.")


def failed_checks(instance: dg.DagsterInstance) -> list[str]:
    """Blocking asset checks whose newest outcome is a failure, as `asset: check`, ascending."""
    from dagster_project import checks

    specs = [
        spec
        for spec in vars(checks).values()
        if isinstance(spec, dg.AssetCheckSpec) and spec.blocking
    ]
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [spec.key for spec in specs]
    )
    failed = [
        key
        for key, record in newest.items()
        if record.status.value == "FAILED" and _is_error(record)
    ]
    return sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in failed)


def run_checks(instance: dg.DagsterInstance, *, now: datetime) -> tuple[Check, Check]:
    """Whether an asset check failed at its newest outcome, and whether a run failed for good."""
    checks = failed_checks(instance)
    failed = f"Failed at their last run: {', '.join(checks)}."
    text = failed if checks else "No check failed at its last run."
    of_checks = Check("failed_check", _state(not checks), text)
    runs = failed_runs(instance, since=now - timedelta(days=FAILED_RUN_DAYS))
    more = f" {len(runs) - 1:,} more failed before it." if len(runs) > 1 else ""
    text = f"{runs[0].sentence()}{more}" if runs else "The work of every run is done."
    return of_checks, Check("failed_run", _state(not runs), text)


def _state(passes: bool) -> CheckState:
    return CheckState.PASSES if passes else CheckState.FAILS


def _is_error(record: AssetCheckExecutionRecord) -> bool:
    """Whether a failure is one, and not the lack of data, which warns."""
    event = None if record.event is None else record.event.dagster_event
    return (
        event is None or event.asset_check_evaluation_data.severity is dg.AssetCheckSeverity.ERROR
    )


def _failure(result: dg.ExecuteInProcessResult, run_id: str) -> RunError:
    failed = [event for event in result.all_events if event.is_step_failure]
    steps = [str(event.step_key) for event in failed]
    cause = (
        _message(failed[0].step_failure_data.error) if failed else "no step failed, but the run did"
    )
    return RunError(
        f"{', '.join(steps) or 'The run'} failed: {cause}",
        where=f"Dagster run {run_id}",
        data="Every table is whole: what was written before stands, the failed step left nothing.",
        remedy="Mend the cause and run `firstchair run` again; it goes on from there.",
    )


def _message(error: SerializableErrorInfo | None) -> str:
    """The words of a step's failure: below Dagster's own is what the domain said."""
    said = error.cause if error is not None and error.cause is not None else error
    return (
        said.message.strip().removeprefix(DOMAIN_ERRORS) if said is not None else "it gave no cause"
    )


def job_title(run: dg.DagsterRun) -> str:
    """The job of a run as others are told it: runs of assets alone have none of their own."""
    return "firstchair" if run.job_name.startswith("__") else run.job_name
