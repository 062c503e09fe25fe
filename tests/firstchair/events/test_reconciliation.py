"""Counts over all history, and the holes of each source."""

from typing import Any

from firstchair import events
from firstchair.lake import Lake


def test_an_empty_lake_adds_up(lake: Lake) -> None:
    found = events.reconcile(lake)

    assert (found.read, found.accepted, found.duplicates, found.quarantined, found.gaps) == (0, 0, 0, {}, {})
    assert found.balanced
    assert events.event_days(lake) is None
    assert events.stale_days(lake) == []


def test_holes_are_counted_by_source_and_a_refused_record_is_no_hole(delivery: Any, event: Any) -> None:
    numbers = {"app": (3, 4, 8), "web": (0, 1, 2)}
    sound = [event(100 * len(source) + n, source=source, source_seq=n) for source, ns in numbers.items() for n in ns]
    refused = event(999, source="app", source_seq=6, occurred_at="no time")
    delivery.put("a.jsonl", *sound[::2], refused)
    delivery.put("b.jsonl", *sound[1::2])

    delivery.ingest()

    assert events.sequence_gaps(delivery.lake) == {"app": 2, "web": 0}  # 5 and 7 are missing


def test_events_whose_day_is_not_built_leave_the_count_open(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1), event(1), b"no event")
    delivery.ingest()
    assert not events.reconcile(delivery.lake).balanced

    delivery.build()

    found = events.reconcile(delivery.lake)
    assert (found.read, found.accepted, found.duplicates, found.quarantined) == (3, 1, 1, {"not_json": 1})
    assert found.balanced
