"""Incidents reported to a real receiver: once each at begin and end, whatever fails between."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair.platform import webhook
from firstchair.platform.alerts import Alert
from firstchair.platform.journal import Journal
from firstchair.platform.payloads import WebhookFormat
from firstchair.platform.webhook import DELIVERY, SIGNATURE, signature, tell

KEY = b"a test's key"
START = datetime(2026, 2, 1, 6, tzinfo=UTC)
STALE, GAPS = (
    Alert("stale_data", "The newest day is old."),
    Alert("sequence_gaps", "Numbers are missing."),
)


@dataclass
class Receiver:
    """Answers 503 so many times, then 204; keeps what it took, and how often it was asked."""

    faults: int = 0
    moved_to: str = ""
    asked: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)
    url: str = ""

    def events(self) -> list[tuple[str, str]]:
        return [(post["code"], post["event"]) for post in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.asked += 1
            genuine = self.headers[SIGNATURE] == signature(body, KEY)
            if kept.moved_to:
                self.send_response(302)
                self.send_header("Location", kept.moved_to)
            elif kept.faults or not genuine:
                kept.faults -= 1
                self.send_response(503)
            else:
                kept.taken.append(json.loads(body))
                kept.deliveries.append(self.headers[DELIVERY])
                self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            kept.asked += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_port}"
        yield kept
        server.shutdown()


@pytest.fixture
def journal(new_database: Callable[[], sa.URL]) -> Journal:
    made = Journal(new_database())
    made.migrate()
    return made


def ticks(journal: Journal, url: str | None, *seen: tuple[Alert, ...], minutes: int = 5) -> None:
    """One look every few minutes, each finding these alerts."""
    for number, found in enumerate(seen):
        now = START + number * timedelta(minutes=minutes)
        tell(journal, found, webhook.Receiver(url, KEY, simulated=False), now=now)


def test_a_receiver_that_fails_twice_gets_each_alert_once_and_its_end_once(
    journal: Journal, receiver: Receiver
) -> None:
    receiver.faults = 2

    ticks(journal, receiver.url, *[(STALE, GAPS)] * 5, *[(GAPS,)] * 3, *[()] * 3)

    assert sorted(receiver.events()) == [
        ("sequence_gaps", "opened"),
        ("sequence_gaps", "resolved"),
        ("stale_data", "opened"),
        ("stale_data", "resolved"),
    ]
    assert len(set(receiver.deliveries)) == 4
    assert receiver.asked == 6
    assert journal.incidents(only_open=True) == []


def test_what_a_person_knows_of_is_not_posted_and_an_acknowledgement_ends_with_its_alert(
    journal: Journal, receiver: Receiver
) -> None:
    journal.silence("stale_data", by="ana", at=START)
    journal.silence("sequence_gaps", by="ana", at=START, until=START + timedelta(minutes=7))

    ticks(journal, receiver.url, (STALE, GAPS), (STALE, GAPS), (STALE, GAPS), (), (STALE,))

    later = START + timedelta(minutes=20)
    assert receiver.events() == [
        ("sequence_gaps", "opened"),
        ("sequence_gaps", "resolved"),
        ("stale_data", "opened"),
    ]
    assert journal.silences(now=later) == {}


@pytest.mark.parametrize("until", [None, START + timedelta(minutes=12)])
def test_what_a_person_knows_of_is_not_posted_after_it_has_ended_either(
    journal: Journal, receiver: Receiver, until: datetime | None
) -> None:
    receiver.faults = 1
    to = webhook.Receiver(receiver.url, KEY, simulated=False)
    tell(journal, (STALE,), to, now=START)
    journal.silence("stale_data", by="ana", at=START, until=until)

    for minutes in (5, 10, 15, 60):
        found = (STALE,) if minutes == 5 else ()
        tell(journal, found, to, now=START + timedelta(minutes=minutes))

    assert receiver.events() == []
    assert journal.incidents(only_open=True) == []


def test_what_cannot_be_said_leaves_an_incident_and_its_acknowledgement_as_they_are(
    journal: Journal, receiver: Receiver
) -> None:
    ticks(journal, receiver.url, (STALE, GAPS))
    journal.silence("stale_data", by="ana", at=START)

    later, to = START + timedelta(hours=1), webhook.Receiver(receiver.url, KEY, simulated=False)
    left = tell(journal, (), to, now=later, unknown={"stale_data", "damaged_lists"})

    assert [incident.code for incident in left] == ["stale_data"]
    assert set(journal.silences(now=later)) == {"stale_data"}
    assert receiver.events()[2:] == [("sequence_gaps", "resolved")]


def test_a_redirect_is_a_failure_that_names_the_new_address(
    journal: Journal, receiver: Receiver
) -> None:
    receiver.moved_to = f"{receiver.url}/elsewhere"

    ticks(journal, receiver.url, (STALE,))

    (incident,) = journal.incidents()
    assert (receiver.asked, incident.delivered_at, incident.attempts) == (1, None, 1)
    assert "302" in str(incident.last_fault) and receiver.moved_to in str(incident.last_fault)


def test_a_receiver_that_is_down_is_asked_less_and_less_often(
    journal: Journal, receiver: Receiver
) -> None:
    receiver.faults = 1_000

    ticks(journal, receiver.url, *[(STALE,)] * 124, minutes=1)

    assert (
        receiver.asked == 8
    )  # at minutes 0, 1, 3, 7, 15, 31, 63 and, an hour being the longest wait, 123
    (incident,) = journal.incidents()
    assert (incident.attempts, incident.delivered_at) == (8, None)


def test_a_receiver_that_was_down_for_days_is_told_once_it_is_back(
    journal: Journal, receiver: Receiver
) -> None:
    receiver.faults = 60

    ticks(journal, receiver.url, *[(STALE,)] * 61, (STALE, GAPS), minutes=61)

    assert receiver.events() == [("stale_data", "opened"), ("sequence_gaps", "opened")]


def test_what_was_over_before_it_could_be_told_is_told_with_its_end(
    journal: Journal, receiver: Receiver
) -> None:
    receiver.faults = 1

    ticks(journal, receiver.url, (STALE,), (), ())

    assert receiver.events() == [("stale_data", "opened"), ("stale_data", "resolved")]


def test_an_alert_that_comes_back_is_another_incident(journal: Journal, receiver: Receiver) -> None:
    ticks(journal, receiver.url, (STALE,), (), (STALE,), ())

    assert receiver.events() == [("stale_data", "opened"), ("stale_data", "resolved")] * 2
    assert len({post["incident_id"] for post in receiver.taken}) == 2


def test_without_an_address_incidents_are_kept_and_one_that_lasts_is_told_once_there_is_one(
    journal: Journal, receiver: Receiver
) -> None:
    ticks(journal, None, (STALE, GAPS), (GAPS,))
    to = webhook.Receiver(receiver.url, KEY, simulated=False)
    tell(journal, (GAPS,), to, now=START + timedelta(hours=1))

    assert receiver.events() == [("sequence_gaps", "opened")]
    assert {incident.code for incident in journal.incidents()} == {"stale_data", "sequence_gaps"}


@pytest.mark.parametrize("simulated", [True, False])
def test_every_post_says_whether_the_home_is_simulated(
    journal: Journal,
    receiver: Receiver,
    simulated: bool,
) -> None:
    to = webhook.Receiver(receiver.url, KEY, simulated=simulated)

    for number, found in enumerate(((STALE,), ())):
        tell(journal, found, to, now=START + timedelta(minutes=number))

    assert [post["simulated"] for post in receiver.taken] == [simulated, simulated]
    mark = "Simulated data, no real service: "
    assert [post["text"].startswith(mark) for post in receiver.taken] == [simulated, simulated]
    assert all(STALE.text in post["text"] for post in receiver.taken)


def told(
    journal: Journal, receiver: Receiver, form: WebhookFormat, *alerts: Alert, simulated: bool
) -> list[dict[str, Any]]:
    """Posts of the beginning and the end of some alerts."""
    to = webhook.Receiver(receiver.url, KEY, simulated, form, routing_key="r" * 32)
    for number, found in enumerate((alerts, ())):
        tell(journal, found, to, now=START + number * timedelta(minutes=5))
    return receiver.taken


def test_slack_gets_a_message_in_which_no_text_is_markup(
    journal: Journal, receiver: Receiver
) -> None:
    alert = Alert("stale_data", "Days <!channel> & more are old. " + "x" * 4_000)

    opened, resolved = told(journal, receiver, WebhookFormat.SLACK, alert, simulated=False)

    section = opened["blocks"][1]["text"]
    assert opened["text"] == "firstchair: stale data opened"
    assert resolved["text"] == "firstchair: stale data resolved"
    assert section["text"].startswith("Days &lt;!channel&gt; &amp; more are old. ")
    assert len(section["text"]) <= 3_000


@pytest.mark.parametrize(
    ("code", "severity"), [("failed_run", "critical"), ("stray_days", "warning")]
)
def test_pagerduty_opens_and_resolves_one_incident(
    journal: Journal, receiver: Receiver, code: str, severity: str
) -> None:
    alert = Alert(code, "A run failed. " + "x" * 2_000)

    opened, resolved = told(journal, receiver, WebhookFormat.PAGERDUTY, alert, simulated=True)

    assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == resolved["dedup_key"]
    assert opened["routing_key"] == resolved["routing_key"] == "r" * 32
    assert opened["payload"]["severity"] == severity
    assert opened["payload"]["summary"].startswith("Simulated data, no real service: A run failed.")
    assert len(opened["payload"]["summary"]) <= 1_024
    assert opened["payload"]["custom_details"]["text"].endswith("xxx")
