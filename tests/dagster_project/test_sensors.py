"""What acts on its own, asked directly: it reads state, so it says the same however often it is asked."""

import json
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

from dagster_project.definitions import defs
from dagster_project.resources import PlatformResource
from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from firstchair.serving.layout import POINTER
from tests.service import LAST_DAY, Lived

NOW = datetime(2026, 2, 1, 3, tzinfo=UTC)
AS_OF = LAST_DAY + timedelta(days=1)


def ask(name: str, cursor: str | None = None, now: datetime = NOW, instance: dg.DagsterInstance | None = None) -> Any:
    """One tick of a sensor of the code location."""
    sensor = defs().get_sensor_def(name)
    context = dg.build_sensor_context(
        instance=instance or dg.DagsterInstance.ephemeral(),
        cursor=cursor,
        resources={"platform": PlatformResource(now=now.isoformat())},
        definitions=defs(),
    )
    return sensor.evaluate_tick(context)


@pytest.fixture
def lake(inside: Lived) -> Lake:
    return inside.service.lake


@contextmanager
def without(lake: Lake, table: Table, day: date) -> Iterator[None]:
    """A partition taken away, and put back afterwards."""
    rows = lake.read(table, f"{table.partition_by} = date '{day}'")
    lake.delete(table, f"{table.partition_by} = '{day}'")
    yield
    lake.replace_partition(table, rows, day)


@contextmanager
def features_of(lake: Lake, as_of: date) -> Iterator[None]:
    """Features and matrix of a further day, as a copy of the newest; taken away afterwards."""
    for table in (t.USER_FEATURES, t.INTERACTIONS):
        rows = lake.read(table, f"as_of = date '{AS_OF}'")
        days = pa.array([as_of] * rows.num_rows, pa.date32())
        copy = rows.set_column(rows.schema.get_field_index("as_of"), "as_of", days)
        lake.replace_partition(table, copy, as_of)
    yield
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
    assert [request.run_key for request in first or []] == [request.run_key for request in again or []]


def test_a_day_that_late_events_reached_is_asked_to_be_built_again(lake: Lake) -> None:
    with without(lake, t.EVENTS, date(2026, 1, 12)):
        requests = ask("landing_sensor").run_requests or []

    assert [(request.job_name, request.partition_key) for request in requests] == [("rebuild", "2026-01-12")]


def test_features_that_no_model_has_seen_want_models(lake: Lake) -> None:
    with features_of(lake, AS_OF + timedelta(days=1)):
        requests = ask("retraining_sensor").run_requests or []

    assert [(r.partition_key, r.tags["firstchair/cause"]) for r in requests] == [("2026-01-31", "freshness")]


@pytest.fixture
def unpublished(inside: Lived) -> Iterator[None]:
    """The pointer to what is served is gone, so that the lists of the last day are due."""
    pointer = Path(inside.service.home) / "published" / POINTER
    name = pointer.read_text()
    pointer.unlink()
    yield
    pointer.write_text(name)


def run_of(asked: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    return dg.DagsterRun(
        job_name="decision",
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
    # What ended well is not asked for a second time: its key is that of the run.
    assert [request.run_key for request in asked()] == [again[0].run_key]


def test_an_alert_is_told_while_it_lasts_and_posted_once(inside: Lived, alerts_received: list[str]) -> None:
    late = NOW + timedelta(days=10)

    first = ask("alert_sensor", now=late)
    ask("alert_sensor", now=late + timedelta(minutes=1))

    assert "The newest complete day of events is 2026-01-30." in str(first.skip_message)
    assert alerts_received.count("stale_data") == 1


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


@pytest.mark.usefixtures("inside")
def test_each_morning_the_newest_complete_day_is_asked_for() -> None:
    schedule = defs().get_schedule_def("daily")
    context = dg.build_schedule_context(
        resources={"platform": PlatformResource(now=NOW.isoformat())}, repository_def=defs().get_repository_def()
    )

    requests = schedule.evaluate_tick(context).run_requests or []

    assert [(request.run_key, request.partition_key) for request in requests] == [("daily-2026-01-30", "2026-01-30")]
