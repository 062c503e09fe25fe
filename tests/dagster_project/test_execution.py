"""Materialising in one process: what is told, what is recorded, how a failure reads."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.checks import LANDED_ADDS_UP
from dagster_project.execution import PROCESS_TAG, close_orphans, failed_checks, materialise
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

    materialise(definitions, instance, ["landed"], on_step=lambda name, done: told.append((name, done)))

    assert told == [("landed", False), ("landed", True)]


def test_a_range_of_days_is_one_run_that_records_every_day(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    days = (date(2026, 1, 1), date(2026, 1, 31))

    materialise(definitions, instance, ["accepted"], on_step=lambda *_: None, days=days)

    assert len(instance.get_materialized_partitions(dg.AssetKey("accepted"))) == 31
    assert instance.get_runs_count() == 1


def test_a_failed_step_is_named_with_its_cause(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    day = date(2026, 1, 1)

    with pytest.raises(RunError, match="broken failed: ValueError: the well is dry"):
        materialise(definitions, instance, ["broken"], on_step=lambda *_: None, days=(day, day))


def test_a_run_whose_process_is_gone_is_closed(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    gone = instance.create_run_for_job(
        job, tags={PROCESS_TAG: "999999999"}, status=dg.DagsterRunStatus.STARTED, asset_selection=None
    )

    assert close_orphans(instance) == 1
    assert instance.get_run_by_id(gone.run_id).status == dg.DagsterRunStatus.FAILURE


def test_a_check_is_failed_while_its_newest_outcome_is() -> None:
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset(name="landed_events", check_specs=[LANDED_ADDS_UP])
    def landed(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        passed = context.run.tags["adds_up"] == "yes"
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="landed_adds_up", passed=passed)])

    found = []
    for adds_up in ("yes", "no", "yes"):
        dg.materialize([landed], instance=instance, tags={"adds_up": adds_up}, raise_on_error=False)
        found.append(failed_checks(instance))

    assert found == [[], ["landed_events: landed_adds_up"], []]
