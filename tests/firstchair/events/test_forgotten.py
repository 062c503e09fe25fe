"""Late events of a forgotten user: refused, counted once, and without a trace of the user."""

from pathlib import Path

import pytest

from firstchair import events
from firstchair.lake import tables as t
from firstchair.sources import Tombstone, Tombstones, user_key
from tests.firstchair.events.conftest import KEY, NOW, Delivery, make_event


@pytest.fixture
def tombstones(tmp_path: Path) -> Tombstones:
    """Ann was forgotten."""
    found = Tombstones(tmp_path / "forgotten", lambda: b"another key")
    found.put(Tombstone(found.hash_of("user-ann"), "one", "2026-02-01T00:00:00Z"))
    return found


def ingest(delivery: Delivery, tombstones: Tombstones) -> events.IngestReport:
    return events.ingest(
        delivery.lake,
        events_url=str(delivery.folder),
        pseudonym_key=KEY,
        now=NOW,
        tombstones=tombstones,
    )


def test_each_record_of_a_forgotten_user_is_refused_once_and_named_by_nothing(
    delivery: Delivery, tombstones: Tombstones
) -> None:
    delivery.put(
        "late.jsonl",
        make_event(1),
        make_event(2, user_id="user-bob"),
        make_event(3, position="first"),
        make_event(1),
        b'{"event_id": "event-4", "user_id": "user-ann", "source": "app"',
    )

    report = ingest(delivery, tombstones)

    assert (report.read, report.accepted, report.duplicates) == (5, 1, 0)
    assert report.quarantined == {"unknown_user": 3, "not_json": 1}
    kept = delivery.lake.read(t.QUARANTINE_EVENTS).to_pylist()
    texts = str(kept)
    assert "user-ann" not in texts
    assert user_key("user-ann", KEY) not in texts
    erased = [row for row in kept if row["reason"] == "unknown_user"]
    assert {(row["detail"], row["raw"], row["event_id"]) for row in erased} == {
        ("erased", None, None)
    }


def test_they_leave_no_gap_and_count_as_no_loss(delivery: Delivery, tombstones: Tombstones) -> None:
    delivery.put(
        "day.jsonl",
        make_event(1, user_id="user-bob"),
        *(make_event(number) for number in range(2, 40)),
        make_event(40, user_id="user-bob"),
    )

    ingest(delivery, tombstones)
    delivery.build()

    assert events.sequence_gaps(delivery.lake) == {"app": 0}
    assert events.reconcile(delivery.lake).balanced
    lost, _ = events.lost_before(delivery.lake, NOW.date())
    assert lost.lost == 0
    _, of_all = events.lost_before(delivery.lake, NOW.date())
    assert of_all.lost == of_all.lost_objects == 0
