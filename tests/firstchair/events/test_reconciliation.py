"""Counts over all history, and the holes of each source."""

from datetime import date
from typing import Any

import pytest

from firstchair import events
from firstchair.lake import Lake
from firstchair.lake import tables as t


def test_an_empty_lake_adds_up(lake: Lake) -> None:
    found = events.reconcile(lake)

    assert (found.read, found.accepted, found.duplicates, found.quarantined, found.gaps) == (
        0,
        0,
        0,
        {},
        {},
    )
    assert found.balanced
    assert events.event_days(lake) is None
    assert events.stale_days(lake) == []


def test_holes_are_counted_by_source_and_a_refused_record_is_no_hole(
    delivery: Any, event: Any
) -> None:
    numbers = {"app": (3, 4, 8), "web": (0, 1, 2)}
    sound = [
        event(100 * len(source) + n, source=source, source_seq=n)
        for source, ns in numbers.items()
        for n in ns
    ]
    refused = event(999, source="app", source_seq=6, occurred_at="no time")
    delivery.put("a.jsonl", *sound[::2], refused)
    delivery.put("b.jsonl", *sound[1::2])

    delivery.ingest()

    assert events.sequence_gaps(delivery.lake) == {"app": 2, "web": 0}  # 5 and 7 are missing


def test_a_source_may_use_the_least_and_the_greatest_number(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1, source_seq=0), event(2, source_seq=2**63 - 1))
    delivery.ingest()
    delivery.build()

    assert events.sequence_gaps(delivery.lake) == {"app": 2**63 - 2}
    assert events.reconcile(delivery.lake).balanced


def test_events_whose_day_is_not_built_wait_and_are_no_loss(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1), event(1), b"no event")
    delivery.ingest()
    waiting = events.reconcile(delivery.lake)
    assert (waiting.read, waiting.waiting, waiting.balanced) == (3, 1, True)
    assert [(day.day, day.events) for day in events.waiting_days(delivery.lake)] == [
        (date(2026, 1, 5), 1)
    ]

    delivery.build()

    found = events.reconcile(delivery.lake)
    assert (found.read, found.accepted, found.duplicates, found.quarantined) == (
        3,
        1,
        1,
        {"not_json": 1},
    )
    assert found.balanced
    assert found.waiting == 0


@pytest.mark.parametrize("table", [t.BRONZE_EVENTS, t.QUARANTINE_EVENTS])
def test_records_that_a_table_has_lost_are_not_accounted_for(
    delivery: Any, event: Any, table: Any
) -> None:
    delivery.put("a.jsonl", event(1), event(2), b"no event")
    delivery.ingest()
    assert events.reconcile(delivery.lake).balanced

    delivery.lake.delete(
        table, "line = 1 or line = 3" if table is t.QUARANTINE_EVENTS else "event_id = 'event-1'"
    )

    assert not events.reconcile(delivery.lake).balanced


def test_an_accepted_event_that_never_landed_is_not_accounted_for(
    delivery: Any, event: Any
) -> None:
    delivery.put("a.jsonl", event(1), event(2))
    delivery.ingest()
    delivery.build()

    delivery.lake.delete(t.BRONZE_EVENTS, "event_id = 'event-1'")
    delivery.lake.append(t.EVENTS, delivery.lake.read(t.EVENTS))

    assert not events.reconcile(delivery.lake).balanced


def test_a_hole_before_newer_events_alone_may_still_be_filled(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1), event(4, occurred_at="2026-01-09T10:00:00Z"))
    delivery.ingest()

    assert events.sequence_gaps(delivery.lake) == {"app": 2}
    assert events.sequence_gaps(delivery.lake, before=date(2026, 1, 9)) == {"app": 0}
    assert events.sequence_gaps(delivery.lake, before=date(2026, 1, 10)) == {"app": 2}
