"""Bronze to silver: same result by day or range, late events into their day, no orphans."""

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from firstchair import events
from firstchair.errors import LakeError
from firstchair.events import acceptance
from firstchair.lake import Lake
from firstchair.lake import tables as t

FIRST, LAST = date(2026, 1, 5), date(2026, 1, 8)


def put_four_days(delivery: Any, event: Any) -> None:
    """Each day two sound events, one of an unknown user, and one with a used sequence number."""
    records = []
    for number, day in enumerate((5, 6, 7, 8)):
        at = f"2026-01-0{day}T08:00:00Z"
        base = 10 * number
        records += [
            event(base, occurred_at=at),
            event(base + 1, "play", occurred_at=at),
            event(base + 2, occurred_at=at, user_id="nobody"),
            event(base + 3, occurred_at=at, source_seq=base - 9),
        ]
    delivery.put("a.jsonl", *records)


def test_a_range_equals_its_days_one_by_one(new_delivery: Any, event: Any, content: Any) -> None:
    whole, daily = new_delivery(), new_delivery()
    for delivery in (whole, daily):
        put_four_days(delivery, event)
        delivery.ingest()

    report = events.build_events(whole.lake, FIRST, LAST)
    for day in (7, 5, 8, 6, 5):
        events.build_events(daily.lake, date(2026, 1, day), date(2026, 1, day))

    assert content(daily.lake) == content(whole.lake)
    # The number before the first day's is below zero.
    assert report.quarantined == {"unknown_user": 4, "sequence_conflict": 3, "out_of_range": 1}
    assert (report.rows, report.landed, report.users, report.balanced) == (8, 16, 1, True)


def test_the_batches_of_a_range_change_nothing(
    new_delivery: Any, event: Any, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, batched = new_delivery(), new_delivery()
    for delivery in (whole, batched):
        put_four_days(delivery, event)
        delivery.ingest()
    whole.build()

    monkeypatch.setattr(acceptance, "ROWS_AT_ONCE", 5)
    batched.build()

    assert content(batched.lake) == content(whole.lake)


def test_a_second_build_changes_nothing(delivery: Any, event: Any, content: Any) -> None:
    put_four_days(delivery, event)
    delivery.ingest()
    delivery.build()
    before = content(delivery.lake)

    delivery.build()

    assert content(delivery.lake) == before


def test_a_late_event_stands_in_its_own_day_after_that_day_is_built_again(
    delivery: Any, event: Any
) -> None:
    delivery.put(
        "a.jsonl",
        event(1, occurred_at="2026-01-05T08:00:00Z"),
        event(2, occurred_at="2026-01-06T08:00:00Z"),
    )
    delivery.ingest(now=datetime(2026, 1, 6, 23, 59, tzinfo=UTC))
    delivery.build()
    assert events.stale_days(delivery.lake) == []

    delivery.put("b.jsonl", event(3, occurred_at="2026-01-05T09:00:00Z"))
    delivery.ingest(now=datetime(2026, 1, 7, 0, 0, tzinfo=UTC))
    assert events.stale_days(delivery.lake) == [FIRST]

    report = events.build_events(delivery.lake, FIRST, FIRST)

    assert delivery.ids(FIRST) == ["event-1", "event-3"]
    assert delivery.ids(date(2026, 1, 6)) == ["event-2"]
    assert report.late == 1
    assert events.stale_days(delivery.lake) == []


def test_a_user_who_is_known_later_has_the_event_accepted_at_the_next_build(
    delivery: Any, event: Any
) -> None:
    delivery.put("a.jsonl", event(1))
    delivery.ingest()
    everyone = delivery.lake.read(t.USERS)
    delivery.lake.overwrite(t.USERS, everyone.slice(0, 0))
    delivery.build()
    assert delivery.reasons() == {"unknown_user": 1}

    delivery.lake.overwrite(t.USERS, everyone)
    delivery.build()

    assert (delivery.ids(), delivery.reasons()) == (["event-1"], {})


def test_without_users_or_catalogue_nothing_is_written(lake: Lake) -> None:
    with pytest.raises(LakeError, match="silver/users, silver/artists, silver/tracks"):
        events.build_events(lake, FIRST, LAST)

    assert [lake.version(table) for table in (t.EVENTS, t.QUARANTINE_EVENTS)] == [-1, -1]


def test_a_day_without_events_is_an_empty_day(delivery: Any) -> None:
    report = events.build_events(delivery.lake, FIRST, LAST)

    assert (report.rows, report.landed, report.balanced) == (0, 0, True)


def test_a_refused_event_keeps_its_place_and_its_columns_without_the_account(
    delivery: Any, event: Any
) -> None:
    delivery.put("deep/a.jsonl", event(1), event(2, "play", ms_played=-5))
    delivery.ingest()
    delivery.build()

    row = delivery.rows(t.QUARANTINE_EVENTS)[0]
    assert (row["object_url"], row["line"], row["reason"]) == ("deep/a.jsonl", 2, "out_of_range")
    assert (row["event_id"], row["source"], row["source_seq"]) == ("event-2", "app", 2)
    assert '"ms_played":-5' in row["raw"]
    assert "user-ann" not in row["raw"]


def test_an_event_of_a_merged_artist_is_accepted_as_it_was_sent(delivery: Any, event: Any) -> None:
    merged = [{"artist_id": "merged", "stated": "artist-1", "redirect_to": "artist-1"}]
    whole = [dict.fromkeys(t.ARTIST_REDIRECTS.schema.names) | row for row in merged]
    rows = pa.Table.from_pylist(whole, schema=t.ARTIST_REDIRECTS.schema)
    delivery.lake.overwrite(t.ARTIST_REDIRECTS, rows)
    delivery.put("a.jsonl", event(1, artist_id="merged"), event(2, artist_id="unknown"))
    delivery.ingest()

    delivery.build()

    assert [row["artist_id"] for row in delivery.rows(t.EVENTS)] == ["merged"]
    assert delivery.reasons() == {"unknown_artist": 1}
