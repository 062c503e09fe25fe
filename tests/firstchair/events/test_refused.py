"""What was refused is told with counts, reasons and places; what changed under an old name too."""

import os
from collections.abc import Callable
from typing import Any

from firstchair import events
from tests.firstchair.events.conftest import Delivery, make_event


def test_refused_records_are_counted_by_reason_with_the_first_place_of_each(delivery: Delivery) -> None:
    delivery.put("a.jsonl", make_event(1), make_event(2, user_id=...), make_event(3, user_id=...))
    delivery.put("b.jsonl", make_event(4, occurred_at="yesterday"), b"{", make_event(5, source_seq="x"))
    delivery.put("c.jsonl", make_event(6, user_id=...), make_event(7, event_type="dance"))
    delivery.ingest()

    found = events.refused(delivery.lake)

    assert found is not None
    assert (found.read, found.records, found.objects) == (8, 6, 3)
    assert [(r.reason, r.records, r.object_url, r.line) for r in found.reasons] == [
        ("missing_field", 3, "a.jsonl", 2),
        ("bad_timestamp", 1, "b.jsonl", 1),
        ("bad_type", 1, "b.jsonl", 3),
    ]
    assert found.sentence().startswith(
        "6 of 8 records were refused, in 3 objects: 3 missing_field (first: a.jsonl line 2: "
    )


def test_where_nothing_was_refused_nothing_is_told(delivery: Delivery) -> None:
    delivery.put("a.jsonl", make_event(1))
    delivery.ingest()

    assert events.refused(delivery.lake) is None
    assert events.changed_objects(delivery.lake) == []


def test_an_object_that_was_written_again_is_named_and_not_read_twice(
    delivery: Delivery, content: Callable[..., dict[str, Any]]
) -> None:
    delivery.put("a.jsonl", make_event(1))
    delivery.put("b.jsonl", make_event(2))
    delivery.ingest()
    before = content(delivery.lake)
    delivery.put("b.jsonl", make_event(2), make_event(3))

    reports = [delivery.ingest() for _ in range(2)]

    assert [(report.read, report.changed) for report in reports] == [(0, ("b.jsonl",))] * 2
    assert events.changed_objects(delivery.lake) == ["b.jsonl"]
    after = content(delivery.lake)
    assert {name for name in after if after[name] != before[name]} == {"bronze/object_versions"}


def test_an_object_of_the_same_size_that_was_written_again_is_named(delivery: Delivery) -> None:
    delivery.put("a.jsonl", make_event(1))
    delivery.ingest()
    delivery.put("a.jsonl", make_event(7))
    path = delivery.folder / "a.jsonl"
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 5))

    assert delivery.ingest().changed == ("a.jsonl",)


def test_objects_read_before_versions_were_noted_are_taken_as_they_are(delivery: Delivery) -> None:
    from firstchair.lake import tables as t

    delivery.put("a.jsonl", make_event(1))
    delivery.ingest()
    delivery.lake.delete(t.OBJECT_VERSIONS, "true")

    assert delivery.ingest().changed == ()
    delivery.put("a.jsonl", make_event(1), make_event(2))
    assert delivery.ingest().changed == ("a.jsonl",)
