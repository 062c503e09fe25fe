"""Which days there are: stray days are set aside, a pause costs nothing."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair import events
from firstchair.events.calendar import ECHO_DAYS, SILENT_DAYS, calendar, existing_days
from firstchair.lake import Lake, Table
from firstchair.lake import tables as t

ONE_DAY = timedelta(days=1)
START, END = date(2026, 1, 1), date(2026, 1, 30)
NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)
HISTORY = {START + n * ONE_DAY: 1_000 for n in range(30)}


def days(first: date, count: int, events_a_day: int) -> dict[date, int]:
    return {first + n * ONE_DAY: events_a_day for n in range(count)}


@pytest.mark.parametrize(
    ("others", "span"),
    [
        ({}, (START, END)),
        # A clock that is years off, a year back, and one that runs ahead.
        ({date(2003, 5, 1): 1}, (START, END)),
        ({date(2025, 1, 7): 12}, (START, END)),
        ({date(2003, 5, 1): 3, date(2014, 1, 1): 1, date(2025, 1, 7): 5}, (START, END)),
        ({date(2026, 11, 29): 40}, (START, END)),
        ({date(2003, 5, 1): 1, date(2026, 11, 29): 40}, (START, END)),
        # A day nearby is a day, however little happened on it.
        ({START - 28 * ONE_DAY: 1}, (START - 28 * ONE_DAY, END)),
        ({START - 29 * ONE_DAY: 1}, (START, END)),
        ({END + 28 * ONE_DAY: 1}, (START, END + 28 * ONE_DAY)),
        ({END + 29 * ONE_DAY: 1}, (START, END)),
        # A service that paused has days of its size, before and after.
        ({date(2026, 11, 29): 101}, (START, date(2026, 11, 29))),
        (days(date(2024, 1, 1), 20, 80), (date(2024, 1, 1), END)),
        (days(date(2024, 1, 1), 3, 80), (START, END)),
        # What is stray before a real block goes with nothing but itself.
        (days(date(2024, 1, 1), 20, 900) | {date(2003, 5, 1): 1}, (date(2024, 1, 1), END)),
    ],
)
def test_a_day_exists_by_more_than_a_stray_record(
    others: dict[date, int], span: tuple[date, date]
) -> None:
    assert calendar(HISTORY | others) == span


def test_few_events_have_no_stray_day() -> None:
    few = {date(2025, 1, 1): 1, date(2025, 6, 1): 2, date(2026, 1, 1): 3}

    assert calendar(few) == (date(2025, 1, 1), date(2026, 1, 1))
    assert calendar({}) is None


@given(
    st.dictionaries(
        st.dates(date(2000, 1, 1), date(2026, 12, 31)), st.integers(1, 2_000), min_size=1
    )
)
def test_what_is_set_aside_is_little_and_far_away(found: dict[date, int]) -> None:
    span = calendar(found)
    assert span is not None
    first, last = span

    before = [day for day in found if day < first]
    after = [day for day in found if day > last]
    for side in (before, after):
        assert sum(found[day] for day in side) <= 0.01 * sum(found.values())
    assert {first, last} <= found.keys()
    assert all((first - day).days > SILENT_DAYS for day in before)
    assert all((day - last).days > SILENT_DAYS for day in after)


@given(
    st.dictionaries(st.dates(date(2024, 1, 1), date(2026, 12, 31)), st.integers(1, 9), min_size=1),
    st.integers(1, 500),
)
def test_a_day_with_nothing_to_tell_is_none(found: dict[date, int], span: int) -> None:
    first = min(found)
    last = first + span * ONE_DAY

    existing = existing_days(found, first, last)

    assert existing == sorted(set(existing))
    assert first <= existing[0]
    assert existing[-1] <= last
    for number in range(span + 1):
        day = first + number * ONE_DAY
        tells = any(day - n * ONE_DAY in found for n in range(ECHO_DAYS + 1))
        assert (day in existing) is tells


def many(event: Callable[..., Any], start: int, day: date, count: int) -> list[Any]:
    return [event(start + n, occurred_at=f"{day}T10:00:00Z") for n in range(count)]


def quarantined(delivery: Any) -> list[tuple[str, str, str]]:
    rows = delivery.rows(t.QUARANTINE_EVENTS)
    return sorted((row["event_id"], row["reason"], row["detail"]) for row in rows)


def test_a_stray_event_is_set_aside_as_it_is_read(delivery: Any, event: Any) -> None:
    delivery.put(
        "a.jsonl", *many(event, 0, date(2026, 1, 5), 150), *many(event, 200, date(2003, 5, 1), 1)
    )

    report = delivery.ingest()

    assert (report.accepted, report.balanced) == (151, True)
    assert events.event_days(delivery.lake) == (date(2026, 1, 5), date(2026, 1, 5))
    assert events.stale_days(delivery.lake) == [date(2026, 1, 5)]
    assert quarantined(delivery) == [
        (
            "event-200",
            "out_of_range",
            "stray day: 2003-05-01 lies 28 days or more apart from all other days of events",
        )
    ]
    delivery.build()
    found = events.reconcile(delivery.lake)
    assert (found.read, found.accepted, found.quarantined) == (151, 150, {"out_of_range": 1})
    assert found.balanced
    strays = events.stray_days(delivery.lake, read_since=datetime(2026, 1, 31, tzinfo=UTC))
    assert strays == events.StrayDays(1, 1, date(2003, 5, 1), future=0, sources=("app",))
    assert events.stray_days(delivery.lake, read_since=datetime(2026, 2, 2, tzinfo=UTC)) is None


def test_an_accepted_day_that_turns_out_stray_is_taken_back(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", *many(event, 200, date(2003, 5, 1), 1))
    delivery.ingest()
    delivery.build()
    assert delivery.ids() == ["event-200"]

    delivery.put("b.jsonl", *many(event, 0, date(2026, 1, 5), 150))
    delivery.ingest()
    delivery.build()

    assert "event-200" not in delivery.ids()
    assert len(delivery.ids()) == 150
    assert [reason for _, reason, _ in quarantined(delivery)] == ["out_of_range"]
    assert events.reconcile(delivery.lake).balanced


def test_a_stray_day_around_which_more_comes_is_built(
    new_delivery: Any, event: Any, content: Any
) -> None:
    late, at_once = new_delivery(), new_delivery()
    history = many(event, 0, date(2026, 1, 5), 150)
    first = many(event, 200, date(2025, 9, 1), 1)
    rest = many(event, 300, date(2025, 9, 2), 100)
    late.put("a.jsonl", *history, *first)
    late.ingest()
    late.build()
    assert quarantined(late)

    late.put("b.jsonl", *rest)
    late.ingest()
    assert events.event_days(late.lake) == (date(2025, 9, 1), date(2026, 1, 5))
    assert events.stale_days(late.lake) == [date(2025, 9, 1), date(2025, 9, 2)]
    late.build()
    at_once.put("a.jsonl", *history, *first)
    at_once.put("b.jsonl", *rest)
    at_once.ingest()
    at_once.build()

    assert quarantined(late) == []
    assert content(late.lake) == content(at_once.lake)


def test_days_that_are_built_leave_stray_ones_where_they_are(delivery: Any, event: Any) -> None:
    delivery.put(
        "a.jsonl", *many(event, 0, date(2026, 1, 5), 150), *many(event, 200, date(2025, 1, 1), 1)
    )
    delivery.ingest()

    report = events.build_events(delivery.lake, date(2024, 12, 1), date(2026, 1, 31))

    assert (report.landed, report.rows, report.balanced) == (150, 150, True)
    assert len(quarantined(delivery)) == 1
    assert events.days_to_build(delivery.lake, date(2024, 12, 1), date(2026, 1, 6)) == [
        date(2026, 1, 5),
        date(2026, 1, 6),
    ]


@pytest.mark.parametrize(("records", "told"), [(100, True), (200, True), (20_000, False)])
def test_records_dated_after_they_were_read_are_told_where_they_are_many(
    lake: Lake, records: int, told: bool
) -> None:
    def put(table: Table, values: dict[str, object], times: int = 1) -> None:
        row = dict.fromkeys(table.schema.names) | values
        lake.append(table, pa.Table.from_pylist([row] * times, schema=table.schema))

    future = {"source": "tv", "reason": "future_timestamp", "quarantined_at": NOW}
    put(t.QUARANTINE_EVENTS, future, 3)
    put(t.OBJECTS, {"records": records, "ingested_at": NOW})
    put(t.OBJECTS, {"records": 1_000_000, "ingested_at": NOW - timedelta(days=9)})

    found = events.stray_days(lake, read_since=NOW - timedelta(days=2))

    assert found == (events.StrayDays(0, 0, None, 3, ("tv",)) if told else None)
