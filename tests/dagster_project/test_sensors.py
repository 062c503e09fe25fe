"""Sensors called directly: they read state, so repeated calls give the same result."""

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from dagster_project.definitions import defs
from dagster_project.resources import PlatformResource
from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from firstchair.platform import open_platform
from firstchair.platform.journal import OBSERVATIONS, TICK
from firstchair.publication.layout import POINTER
from tests.service import LAST_DAY, Lived

NOW = datetime(2026, 2, 1, 3, tzinfo=UTC)
AS_OF = LAST_DAY + timedelta(days=1)


def ask(
    name: str,
    cursor: str | None = None,
    now: datetime = NOW,
    instance: dg.DagsterInstance | None = None,
) -> Any:
    """One tick of a sensor of the code location."""
    sensor = defs().get_sensor_def(name)
    with dg.build_sensor_context(
        instance=instance or dg.DagsterInstance.ephemeral(),
        cursor=cursor,
        resources={"platform": PlatformResource(now=now.isoformat())},
        definitions=defs(),
    ) as context:
        return sensor.evaluate_tick(context)


def ask_daily(instance: dg.DagsterInstance | None = None, now: datetime = NOW) -> Any:
    """One tick of the daily schedule, whose context takes no instance but one that is kept."""
    with dg.build_schedule_context(
        instance=instance or dg.DagsterInstance.local_temp(),
        resources={"platform": PlatformResource(now=now.isoformat())},
        repository_def=defs().get_repository_def(),
    ) as context:
        return defs().get_schedule_def("daily").evaluate_tick(context)


@pytest.fixture
def ticking(inside: Lived) -> Iterator[None]:
    """No tick of `alert_sensor` is left: later, others would be told that it has stopped."""
    yield
    engine = sa.create_engine(open_platform().databases.ledger, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(OBSERVATIONS.delete().where(OBSERVATIONS.c.of == TICK))


@pytest.fixture
def lake(inside: Lived) -> Lake:
    return inside.service.lake


@contextmanager
def without(lake: Lake, table: Table, day: date) -> Iterator[None]:
    """A partition taken away, and put back afterwards."""
    rows = lake.read(table, f"{table.partition_by} = date '{day}'")
    lake.delete(table, f"{table.partition_by} = '{day}'")
    try:
        yield
    finally:
        lake.replace_partition(table, rows, day)


@contextmanager
def features_of(lake: Lake, as_of: date) -> Iterator[None]:
    """Features and matrix of a further day, as a copy of the newest; taken away afterwards."""
    for table in (t.USER_FEATURES, t.INTERACTIONS):
        rows = lake.read(table, f"as_of = date '{AS_OF}'")
        days = pa.array([as_of] * rows.num_rows, pa.date32())
        copy = rows.set_column(rows.schema.get_field_index("as_of"), "as_of", days)
        lake.replace_partition(table, copy, as_of)
    try:
        yield
    finally:
        for table in (t.USER_FEATURES, t.INTERACTIONS):
            lake.delete(table, f"as_of = '{as_of}'")


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("name", ["landing_sensor", "retraining_sensor", "promotion_sensor"])
def test_after_a_whole_run_nothing_is_due_and_the_sensor_says_why(name: str) -> None:
    tick = ask(name)

    assert tick.run_requests == []
    assert tick.skip_message


def test_a_new_object_is_asked_to_be_ingested_once(inside: Lived) -> None:
    late = Path(inside.service.home) / "landing" / "events" / "late.json"
    late.write_text("{}")
    try:
        first, again = ask("landing_sensor").run_requests, ask("landing_sensor").run_requests
    finally:
        late.unlink()

    assert [request.job_name for request in first or []] == ["landing"]
    assert [request.run_key for request in first or []] == [
        request.run_key for request in again or []
    ]


def test_a_day_that_late_events_reached_is_asked_to_be_built_again(lake: Lake) -> None:
    with without(lake, t.EVENTS, date(2026, 1, 12)):
        requests = ask("landing_sensor").run_requests or []

    assert [(request.job_name, request.partition_key) for request in requests] == [
        ("rebuild", "2026-01-12")
    ]


def test_features_that_no_model_has_seen_want_models(lake: Lake) -> None:
    with features_of(lake, AS_OF + timedelta(days=1)):
        requests = ask("retraining_sensor").run_requests or []

    assert [(r.partition_key, r.tags["firstchair/cause"]) for r in requests] == [
        ("2026-01-31", "freshness")
    ]


@pytest.fixture
def unpublished(inside: Lived) -> Iterator[None]:
    """The pointer to what is served is gone, so that the lists of the last day are due."""
    pointer = Path(inside.service.home) / "published" / POINTER
    name = pointer.read_text()
    pointer.unlink()
    yield
    pointer.write_text(name)


def run_of(
    asked: dg.RunRequest, status: dg.DagsterRunStatus, job: str = "decision"
) -> dg.DagsterRun:
    return dg.DagsterRun(
        job_name=job,
        run_id=str(uuid.uuid4()),
        status=status,
        tags={**asked.tags, "dagster/run_key": asked.run_key or ""},
    )


@pytest.mark.usefixtures("unpublished")
def test_a_run_that_failed_is_asked_for_again_and_never_beside_one_that_works() -> None:
    instance, later = dg.DagsterInstance.ephemeral(), datetime.now(UTC) + timedelta(days=1)

    def asked() -> list[dg.RunRequest]:
        return list(ask("promotion_sensor", instance=instance, now=later).run_requests or [])

    first, unchanged = asked(), asked()
    working = run_of(first[0], dg.DagsterRunStatus.STARTED)
    instance.add_run(working)
    beside = asked()
    instance.report_run_failed(working, "killed")
    again = asked()
    too_soon = ask("promotion_sensor", instance=instance, now=datetime.now(UTC))
    instance.add_run(run_of(again[0], dg.DagsterRunStatus.SUCCESS))

    assert [request.partition_key for request in first] == [LAST_DAY.isoformat()]
    assert [request.run_key for request in unchanged] == [request.run_key for request in first]
    assert beside == []
    assert [request.partition_key for request in again] == [LAST_DAY.isoformat()]
    assert again[0].run_key != first[0].run_key
    assert too_soon.run_requests == []
    assert "again later" in str(too_soon.skip_message)
    # What ended well is not asked for a second time.
    assert asked() == []


@pytest.mark.usefixtures("ticking")
def test_an_alert_is_told_while_it_lasts_and_posted_once(
    inside: Lived, alerts_received: list[str]
) -> None:
    late = NOW + timedelta(days=10)

    first = ask("alert_sensor", now=late)
    ask("alert_sensor", now=late + timedelta(minutes=1))
    assert open_platform().journal.last_tick() == late + timedelta(minutes=1)

    assert "The newest complete day of events is 2026-01-30." in str(first.skip_message)
    assert alerts_received.count("stale_data") == 1


def test_after_the_first_start_of_a_home_nothing_heavy_begins_for_a_stated_while(
    inside: Lived,
) -> None:
    mark = Path(inside.service.home) / "first-start"
    mark.write_text(NOW.isoformat())
    try:
        with features_of(inside.service.lake, AS_OF + timedelta(days=3)), daily_due(inside):
            waits = [ask("retraining_sensor"), ask_daily()]
            later = NOW + timedelta(minutes=30)
            begins = [ask("retraining_sensor", now=later), ask_daily(now=later)]
    finally:
        mark.unlink()

    assert [tick.run_requests for tick in waits] == [[], []]
    assert all("before 03:30 UTC" in str(tick.skip_message) for tick in waits)
    assert [len(tick.run_requests or []) for tick in begins] == [1, 1]


@pytest.mark.usefixtures("ticking")
def test_a_run_that_failed_is_an_alert_whoever_started_it() -> None:
    instance = dg.DagsterInstance.ephemeral()
    run = dg.DagsterRun(
        job_name="landing", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED
    )
    instance.add_run(run)
    instance.report_run_failed(run, "The disk is full.")

    told = str(ask("alert_sensor", instance=instance).skip_message)
    ask("alert_sensor")  # by an instance without that run: it is over

    assert "The run of landing failed at " in told
    assert "The disk is full." in told


@pytest.mark.usefixtures("ticking")
def test_alerts_are_told_while_mlflow_is_away_and_that_it_is(
    alerts_received: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    run = dg.DagsterRun(
        job_name="landing", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED
    )
    instance.add_run(run)
    instance.report_run_failed(run, "The disk is full.")
    began = NOW + timedelta(minutes=5)
    with monkeypatch.context() as away, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        away.setenv("FIRSTCHAIR_MLFLOW_TRACKING_URI", address)
        away.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        ask("alert_sensor", instance=instance, now=began)
        opened, ticked = list(alerts_received), open_platform().journal.last_tick()
    ask("alert_sensor", now=began + timedelta(minutes=1))

    assert {"failed_run", "mlflow_away"} <= set(opened)
    assert ticked == began
    assert alerts_received[len(opened) :].count("mlflow_away") == 1  # its end


@pytest.fixture
def alerts_received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Codes that a real receiver at alert_webhook_url is sent."""
    codes: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            codes.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["code"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("FIRSTCHAIR_ALERT_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}")
        yield codes
        server.shutdown()


def test_each_morning_the_newest_complete_day_is_asked_for_until_it_is_built(lake: Lake) -> None:
    with without(lake, t.RECOMMENDATIONS, AS_OF):
        requests = ask_daily().run_requests or []
    built = ask_daily()

    assert [(request.run_key, request.partition_key) for request in requests] == [
        ("daily-2026-01-30", "2026-01-30")
    ]
    assert (built.run_requests, built.skip_message) == ([], "daily-2026-01-30: it is done.")


@pytest.mark.usefixtures("inside")
def test_a_day_that_may_not_be_built_on_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_MAX_QUARANTINE_RATE", "0")

    tick = ask_daily()

    assert tick.run_requests == []
    assert "Nothing is built on 2026-01-30" in str(tick.skip_message)


@contextmanager
def landing_due(inside: Lived) -> Iterator[None]:
    late = Path(inside.service.home) / "landing" / "events" / "late.json"
    late.write_text("{}")
    try:
        yield
    finally:
        late.unlink()


@contextmanager
def rebuild_due(inside: Lived) -> Iterator[None]:
    with without(inside.service.lake, t.EVENTS, date(2026, 1, 12)):
        yield


@contextmanager
def retraining_due(inside: Lived) -> Iterator[None]:
    with features_of(inside.service.lake, AS_OF + timedelta(days=2)):
        yield


@contextmanager
def daily_due(inside: Lived) -> Iterator[None]:
    with without(inside.service.lake, t.RECOMMENDATIONS, AS_OF):
        yield


@pytest.mark.parametrize(
    ("due", "asks", "job"),
    [
        (landing_due, "landing_sensor", "landing"),
        (rebuild_due, "landing_sensor", "rebuild"),
        (retraining_due, "retraining_sensor", "retraining"),
        (daily_due, "daily", "pipeline"),
    ],
)
def test_a_failed_run_is_asked_for_again_and_one_that_works_or_ended_well_is_not(
    inside: Lived, due: Any, asks: str, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_SETTLE_MINUTES", "0")
    instance = dg.DagsterInstance.local_temp()

    def asked(later_seconds: int = 0) -> list[dg.RunRequest]:
        now = datetime.now(UTC) + timedelta(seconds=later_seconds)
        tick = (
            ask_daily(instance, now) if asks == "daily" else ask(asks, instance=instance, now=now)
        )
        return list(tick.run_requests or [])

    with due(inside):
        first = asked()
        working = run_of(first[0], dg.DagsterRunStatus.STARTED, job)
        instance.add_run(working)
        beside = asked()
        instance.report_run_failed(working, "killed")
        too_soon, again = asked(), asked(61)
        instance.add_run(run_of(again[0], dg.DagsterRunStatus.FAILURE, job))
        after_one_minute, after_two = asked(61), asked(121)
        instance.add_run(run_of(after_two[0], dg.DagsterRunStatus.SUCCESS, job))
        ended_well = asked(7_200)

    requests = [*first, *again, *after_two]
    assert len({request.run_key for request in requests}) == len(requests) == 3
    assert len({request.partition_key for request in requests}) == 1
    assert [beside, too_soon, after_one_minute, ended_well] == [[], [], [], []]


def test_a_day_whose_run_failed_is_asked_for_again_though_it_has_lists_by_now(
    inside: Lived,
) -> None:
    instance = dg.DagsterInstance.local_temp()
    with daily_due(inside):
        first = ask_daily(instance).run_requests or []
    instance.add_run(run_of(first[0], dg.DagsterRunStatus.FAILURE, "pipeline"))

    again = ask_daily(instance, datetime.now(UTC) + timedelta(seconds=61)).run_requests or []

    assert [request.run_key for request in again] == ["daily-2026-01-30-again-1"]
