"""A run in this process over the lived service: what blocks it, and what it can skip."""

import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from dagster_project.definitions import defs
from dagster_project.execution import materialise, run_checks, runs_under_way
from dagster_project.instance import open_instance
from dagster_project.resources import PlatformResource
from firstchair.commands.run import run
from firstchair.commands.status import status
from firstchair.databases import advisory_lock
from firstchair.errors import DataError, RunError, WriterBusyError
from firstchair.lake import tables as t
from firstchair.platform import open_platform
from firstchair.platform.activity import doing, waiting_candidates, waiting_sentence
from firstchair.platform.assets import AFTER, FEATURES, HISTORY, MODELS, MONITORING
from firstchair.platform.observed import observe
from firstchair.platform.platform import Platform
from firstchair.platform.triggers import decisions_due
from firstchair.platform.work import WRITER, at_work, writing
from firstchair.promotion import Decision, Ledger, Phase, Stage
from firstchair.publication.published import open_published
from tests.service import LAST_DAY, Lived

MORNING = datetime(2026, 1, 31, 6, tzinfo=UTC)
AS_OF = LAST_DAY + timedelta(days=1)
BUILT = (t.USER_FEATURES, t.INTERACTIONS, t.RECOMMENDATIONS)


@pytest.fixture
def platform(inside: Lived) -> Platform:
    return open_platform(now=MORNING)


def test_a_day_of_which_too_much_was_refused_blocks_every_run_and_not_the_first_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_MAX_QUARANTINE_RATE", "0")
    strict = replace(
        platform, settings=platform.settings.model_copy(update={"max_quarantine_rate": 0.0})
    )
    before = [platform.lake.version(table) for table in BUILT]
    instance = open_instance(platform.settings)

    with pytest.raises(DataError, match="records of 2026-01-30 were refused"):
        run(strict, without=HISTORY)
    for asset in FEATURES:
        with pytest.raises(RunError, match=f"{asset} failed.*were refused and not accepted since"):
            materialise(
                defs(), instance, [asset], on_step=lambda *_: None, days=(LAST_DAY, LAST_DAY)
            )

    assert [platform.lake.version(table) for table in BUILT] == before


@pytest.fixture
def busy(platform: Platform) -> Iterator[None]:
    """Another process holds the lock of all writers."""
    with advisory_lock(platform.databases.ledger, WRITER, wait=False) as held:
        assert held
        yield


@pytest.mark.usefixtures("busy")
def test_a_run_beside_another_writer_leaves(platform: Platform) -> None:
    with pytest.raises(WriterBusyError, match="one writer at a time"):
        run(platform)


def test_a_run_of_dagster_waits_for_another_writer_and_tells_what_it_is(platform: Platform) -> None:
    url, instance = platform.databases.ledger, dg.DagsterInstance.ephemeral()
    seen: list[str] = []

    @dg.asset
    def probe(platform: PlatformResource) -> None:
        found = at_work(url)
        seen.append("" if found is None else found.who)

    def of_dagster() -> None:
        dg.materialize([probe], instance=instance, resources={"platform": PlatformResource()})

    thread = threading.Thread(target=of_dagster)
    with advisory_lock(url, WRITER, wait=False):
        thread.start()
        while not waits_for_a_lock(url):
            assert thread.is_alive()
        beside = list(seen)
    thread.join(60)

    assert beside == []
    assert [who.partition(" of ")[2] for who in seen] == ["assets by hand"]
    assert at_work(url) is None


def waits_for_a_lock(url: sa.URL) -> bool:
    query = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as connection:
        return bool(connection.scalar(sa.text(query)))


def test_a_run_that_is_spared_everything_ends_well(platform: Platform) -> None:
    report = run(platform, without=(*HISTORY, *FEATURES, *MODELS, *AFTER))

    assert (report.last, report.model_days) == (LAST_DAY, (LAST_DAY,))


def test_status_names_what_is_at_work_and_which_runs_wait(platform: Platform) -> None:
    instance = open_instance(platform.settings)
    tags = {"firstchair/causes": "drift,volume", "dagster/partition": str(LAST_DAY)}
    working = dg.DagsterRun(
        job_name="retraining",
        run_id=str(uuid.uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        tags=tags,
    )
    instance.add_run(working)
    try:
        with writing(platform.databases.ledger, who="firstchair run", why="all days", wait=False):
            observe(platform, (), runs_under_way(instance))
            found, told = status(platform), doing(platform)
    finally:
        instance.report_run_canceled(working)
        observe(platform, run_checks(instance, now=platform.now), runs_under_way(instance))
    idle = status(platform)

    assert found.work is not None
    assert found.work.sentence().startswith("firstchair run (process ")
    assert found.work.sentence().endswith(": all days.")
    assert [run.sentence().partition(" since ")[0] for run in found.runs] == [
        "retraining for 2026-01-30 because of drift, volume: started"
    ]
    assert told == (found.work.sentence(),)
    assert (idle.work, idle.runs, doing(platform)) == (None, (), ())
    assert idle.seen_at == platform.now


def test_candidates_that_a_stage_with_traffic_keeps_waiting_are_told(
    platform: Platform, ledger: Ledger
) -> None:
    versions = {version.family: version for version in platform.registry.versions(as_of=AS_OF)}
    waiting, trending = versions["xgboost"], versions["trending"]
    content, als = versions["content"].version, versions["als"].version
    phase = Phase(Stage.CANARY, content, als, 0.5, "salt", AS_OF, AS_OF)
    before = replace(platform, ledger=ledger)
    for version in versions.values():
        ledger.note_registered(version)
    ledger.append(
        Decision(
            decision_id="canary",
            decided_at=MORNING,
            as_of=AS_OF,
            decision="hold",
            champion_before=phase.control,
            champion_after=phase.control,
            challenger=phase.treatment,
            stage_before="shadow",
            stage_after="canary",
            reason_codes=("shadow_passed",),
            reasons=("It is better on test days.",),
            evidence={"kind": "challenge", "phase": phase.record()},
            data_fingerprint="f" * 32,
            actor="run",
        )
    )
    found = waiting_candidates(before)

    assert waiting_candidates(platform) == ()
    assert waiting.version in {version.version for version in found}
    assert trending.version not in {version.version for version in found}
    told = waiting_sentence(found, ledger.last())
    assert f"until the canary of version {phase.treatment} is over" in told
    assert f"{waiting.version} (xgboost)" in told


@pytest.fixture
def restored(platform: Platform, tmp_path: Path) -> Iterator[sa.Engine]:
    """The account database of a service whose tables and lists are put back after the test."""
    folders = (Path(platform.settings.lake_url), platform.settings.published)
    for folder in folders:
        shutil.copytree(folder, tmp_path / folder.name)
    source = sa.create_engine(platform.databases.accounts, poolclass=sa.pool.NullPool)
    yield source
    with source.begin() as connection:
        connection.execute(sa.text("alter table artists drop column if exists redirect_to"))
    for folder in folders:
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / folder.name, folder)


def test_an_artist_merged_since_the_newest_lists_is_in_none_that_are_served_after_a_run(
    platform: Platform, restored: sa.Engine
) -> None:
    everything = (*HISTORY, *FEATURES, *MODELS, "evidence", "promotion_decision", "recommendations")
    served = open_published(platform.settings.published)
    gone, target = (served.artist_ids[n] for n in served.columns["champion"].artists[:2])
    with restored.begin() as connection:
        connection.execute(sa.text("alter table artists add column redirect_to text"))
        connection.execute(
            sa.text("update artists set redirect_to = :target where artist_id = :gone"),
            {"target": target, "gone": gone},
        )
    assert decisions_due(platform) == []

    run(platform, without=(*everything, *MONITORING))

    found = open_published(platform.settings.published)
    assert found.as_of == served.as_of
    assert gone not in found.artist_ids
    assert found.number_of(gone) == found.number_of(target)
    assert platform.lake.count(t.EVENTS, f"artist_id = '{gone}'") > 0
    listed = f"artist_id = '{gone}' and as_of = '{AS_OF}'"
    assert platform.lake.count(t.RECOMMENDATIONS, listed) == 0
    assert decisions_due(platform) == []
