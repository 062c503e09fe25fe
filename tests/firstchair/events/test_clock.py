"""A clock that was ahead: what was read under it stops nothing for good."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firstchair import events
from firstchair.errors import RunError
from firstchair.lake import tables as t
from tests.firstchair.events.conftest import KEY, Delivery

RIGHT = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_an_event_of_a_stray_day_says_nothing_of_the_clock(delivery: Delivery, event: Any) -> None:
    history = [
        event(n, occurred_at=f"2026-01-{1 + n % 10:02}T10:00:00Z", user_id="user-bob")
        for n in range(200)
    ]
    delivery.put("a.jsonl", *history, event(200, occurred_at="2027-01-10T10:00:00Z"))
    delivery.ingest(now=datetime(2027, 1, 10, 11, tzinfo=UTC))

    delivery.put("b.jsonl", event(201, occurred_at="2026-01-11T10:00:00Z"))

    assert delivery.ingest(now=datetime(2026, 1, 11, 11, tzinfo=UTC)).accepted == 1


def test_events_read_under_a_clock_that_was_ahead_are_refused_once_it_is_right(
    delivery: Delivery, event: Any
) -> None:
    soon, ahead = RIGHT + timedelta(minutes=50), RIGHT + timedelta(days=10)
    delivery.put(
        "a.jsonl",
        event(1),
        event(2, occurred_at=soon.isoformat()),
        event(3, occurred_at=ahead.isoformat()),
        event(4, occurred_at=ahead.isoformat(), user_id="nobody"),
    )
    delivery.ingest(now=ahead)
    delivery.build()
    with pytest.raises(RunError, match=r"2 of 4 events lie after it.*--clock-is-right"):
        delivery.ingest(now=RIGHT)

    counts = [events.refuse_later_events(delivery.lake, RIGHT) for _ in range(2)]
    delivery.put("b.jsonl", event(5))
    delivery.ingest(now=RIGHT)
    delivery.build()

    assert counts == [2, 0]
    assert delivery.ids() == ["event-1", "event-2", "event-5"]
    assert delivery.reasons() == {"future_timestamp": 2}
    assert events.event_days(delivery.lake) == (RIGHT.date(), RIGHT.date())
    found = events.reconcile(delivery.lake)
    assert (found.read, found.balanced, found.waiting, found.gaps) == (5, True, 0, {"app": 0})
    assert {row["quarantined_at"] for row in delivery.rows(t.QUARANTINE_EVENTS)} == {RIGHT}


def test_what_was_refused_comes_back_when_its_time_has_come(delivery: Delivery, event: Any) -> None:
    ahead = RIGHT + timedelta(days=10)
    delivery.put("a.jsonl", event(1), event(2, occurred_at=ahead.isoformat()))
    delivery.ingest(now=ahead)
    events.refuse_later_events(delivery.lake, RIGHT)

    tried = events.replay_quarantine(
        delivery.lake, events_url=str(delivery.folder), pseudonym_key=KEY, now=ahead
    )

    assert (tried.days, delivery.reasons()) == ((ahead.date(),), {})
    assert delivery.lake.count(t.BRONZE_EVENTS) == 2
