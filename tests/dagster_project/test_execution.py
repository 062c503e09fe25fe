"""Materialising in one process: what is told, what is recorded, how a failure reads."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.checks import LANDED_ADDS_UP, verdict
from dagster_project.execution import (
    PROCESS_TAG,
    Wanted,
    close_orphans,
    failed_checks,
    failed_runs,
    materialise,
    process_tag,
    requests,
    runs_under_way,
)
from firstchair.errors import RunError

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01")


@dg.asset
def landed() -> None:
    pass


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[landed])
def accepted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"days": len(context.partition_keys)})


@dg.asset(partitions_def=DAYS, deps=[accepted])
def broken() -> None:
    raise ValueError("the well is dry")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def definitions() -> dg.Definitions:
    return dg.Definitions(assets=[landed, accepted, broken])


def test_each_step_is_told_when_it_begins_and_when_it_is_done(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    told: list[tuple[str, bool]] = []

    materialise(
        definitions, instance, ["landed"], on_step=lambda name, done: told.append((name, done))
    )

    assert told == [("landed", False), ("landed", True)]


def test_a_range_of_days_is_one_run_that_records_every_day(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    days = (date(2026, 1, 1), date(2026, 1, 31))

    materialise(definitions, instance, ["accepted"], on_step=lambda *_: None, days=days)

    assert len(instance.get_materialized_partitions(dg.AssetKey("accepted"))) == 31
    assert instance.get_runs_count() == 1


def test_a_failed_step_is_named_with_its_cause(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    day = date(2026, 1, 1)

    with pytest.raises(RunError, match="broken failed: ValueError: the well is dry"):
        materialise(definitions, instance, ["broken"], on_step=lambda *_: None, days=(day, day))


def test_a_run_whose_process_is_gone_is_closed(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    here = process_tag().partition(":")[0]
    started = [
        instance.create_run_for_job(
            job,
            tags={PROCESS_TAG: process},
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=None,
        ).run_id
        for process in (f"{here}:999999999", process_tag(), "another-machine:999999999")
    ]

    assert close_orphans(instance, now=datetime.now(UTC), is_writing=False) == 1
    statuses = [instance.get_run_by_id(run_id).status for run_id in started]
    assert statuses == [
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.STARTED,
    ]


def test_a_run_of_a_container_that_is_gone_holds_nothing_back_once_nobody_writes(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    began = datetime.now(UTC)
    run_id = instance.create_run_for_job(
        job, tags={PROCESS_TAG: "3f2a9c81d0be:1:1764500000"}, status=dg.DagsterRunStatus.STARTED
    ).run_id

    def closed(minutes: int, *, is_writing: bool) -> int:
        return close_orphans(
            instance, now=began + timedelta(minutes=minutes), is_writing=is_writing
        )

    assert closed(4, is_writing=False) == closed(60 * 24, is_writing=True) == 0
    assert closed(6, is_writing=False) == 1
    assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    ("status", "closed_as"),
    [
        ("NOT_STARTED", "FAILURE"),
        ("STARTING", "FAILURE"),
        ("STARTED", "FAILURE"),
        ("CANCELING", "CANCELED"),
    ],
)
def test_a_run_killed_before_it_tells_its_process_holds_nothing_back_for_long(
    definitions: dg.Definitions, instance: dg.DagsterInstance, status: str, closed_as: str
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    run_id = instance.create_run_for_job(job, status=dg.DagsterRunStatus[status]).run_id
    # As of the run that this one was started again from.
    if status == "STARTING":
        instance.add_run_tags(run_id, {PROCESS_TAG: process_tag()})
    began = datetime.now(UTC)

    assert close_orphans(instance, now=began + timedelta(minutes=4), is_writing=True) == 0
    close_orphans(instance, now=began + timedelta(minutes=6), is_writing=True)

    assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus[closed_as]
    told = [run.run_id for run in failed_runs(instance, since=began - timedelta(days=1))]
    assert told == ([run_id] if closed_as == "FAILURE" else [])
    assert runs_under_way(instance) == ()


def test_a_check_is_failed_while_its_newest_outcome_is() -> None:
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset(name="landed_events", check_specs=[LANDED_ADDS_UP])
    def landed(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        passed = context.run.tags["adds_up"] == "yes"
        return dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(check_name="landed_adds_up", passed=passed)]
        )

    found = []
    for adds_up in ("yes", "no", "yes"):
        dg.materialize([landed], instance=instance, tags={"adds_up": adds_up}, raise_on_error=False)
        found.append(failed_checks(instance))

    assert found == [[], ["landed_events: landed_adds_up"], []]


def test_a_check_over_nothing_has_not_passed_and_is_no_failure() -> None:
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset(name="landed_events", check_specs=[LANDED_ADDS_UP])
    def landed() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            check_results=[verdict(LANDED_ADDS_UP, True, of=0, what="records read now")]
        )

    @dg.asset(deps=[landed])
    def below() -> None:
        pass

    result = dg.materialize([landed, below], instance=instance)

    (check,) = result.get_asset_check_evaluations()
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(check.description).startswith("not enough data (missing: records read now)")
    assert failed_checks(instance) == []


def test_a_day_before_all_that_were_known_is_asked_for_beside_what_needs_no_day(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    jobs = [
        dg.define_asset_job("landing", selection=["landed"]),
        dg.define_asset_job("rebuild", selection=["accepted"], partitions_def=DAYS),
    ]

    @dg.sensor(jobs=jobs)
    def landing_sensor(context: dg.SensorEvaluationContext) -> Iterator[object]:
        wanted = [
            Wanted("landing", "landing", state="2 objects"),
            Wanted("rebuild-2025-12-30", "rebuild", day=date(2025, 12, 30)),
        ]
        yield from requests(context.instance, wanted, now=datetime.now(UTC), idle="nothing")

    found = dg.Definitions(assets=definitions.assets, jobs=jobs, sensors=[landing_sensor])
    with dg.build_sensor_context(instance=instance, definitions=found) as context:
        tick = found.get_sensor_def("landing_sensor").evaluate_tick(context)

    asked = [(one.job_name, one.partition_key) for one in tick.run_requests or []]
    assert asked == [("landing", None), ("rebuild", "2025-12-30")]
    assert [one.tags.get("dagster/partition") for one in tick.run_requests or []] == [
        None,
        "2025-12-30",
    ]


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_failed_run_is_told_until_its_work_is_done_by_whatever_run(tmp_path: Path) -> None:
    dry = tmp_path / "dry"
    dry.touch()

    @dg.asset(partitions_def=DAYS)
    def well() -> None:
        if dry.exists():
            raise ValueError("the well is dry")

    @dg.asset(partitions_def=DAYS, deps=[well])
    def bucket() -> None:
        pass

    instance = dg.DagsterInstance.ephemeral()
    here = dg.Definitions(assets=[well, bucket])
    day, other = date(2026, 1, 1), date(2026, 1, 2)

    def build(names: list[str], on: date) -> list[tuple[str | None, tuple[str, ...], str]]:
        with contextlib.suppress(RunError):
            materialise(here, instance, names, on_step=lambda *_: None, days=(on, on))
        return [
            (run.partition, run.undone, run.cause) for run in failed_runs(instance, since=LONG_AGO)
        ]

    broken = build(["well", "bucket"], day)
    dry.unlink()
    other_day = build(["well", "bucket"], other)
    half = build(["well"], day)
    whole = build(["bucket"], day)

    assert (
        broken
        == other_day
        == [("2026-01-01", ("bucket", "well"), "well: ValueError: the well is dry")]
    )
    assert half == [("2026-01-01", ("bucket",), "well: ValueError: the well is dry")]
    assert whole == []


def test_a_run_whose_process_died_is_told(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, asset_selection=None)
    instance.report_run_failed(run, "The process was killed.")

    (told,) = failed_runs(instance, since=LONG_AGO)

    assert told.run_id == run.run_id
    assert "The process was killed." in told.sentence()
