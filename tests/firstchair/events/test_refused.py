"""What was refused is told with counts, reasons and places; what changed under an old name too."""

import gzip
import json
import os
from collections.abc import Callable
from datetime import date
from typing import Any

from firstchair import events
from firstchair.lake import tables as t
from tests.firstchair.events.conftest import Delivery, make_event


def test_refused_records_are_counted_by_reason_with_the_first_place_of_each(
    delivery: Delivery,
) -> None:
    delivery.put("a.jsonl", make_event(1), make_event(2, user_id=...), make_event(3, user_id=...))
    delivery.put(
        "b.jsonl", make_event(4, occurred_at="yesterday"), b"{", make_event(5, source_seq="x")
    )
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


def test_a_lost_object_weighs_by_its_bytes_and_as_an_object(delivery: Delivery) -> None:
    whole = b"\n".join(json.dumps(make_event(number)).encode() for number in range(4_000))
    delivery.put_bytes("sound.jsonl", whole)
    delivery.put_bytes("empty.jsonl.gz", b"")
    delivery.put_bytes("cut.jsonl.gz", b"")
    (delivery.folder / "cut.jsonl.gz").write_bytes(gzip.compress(os.urandom(len(whole)))[:-9])

    report = delivery.ingest()

    found = events.refused(delivery.lake)
    assert found is not None
    assert (found.records, found.read) == (2, 4_002)
    assert (found.lost_objects, found.objects_read) == (1, 3)
    assert (report.lost_objects, report.refused_size) == (1, found.refused_size)
    _, lost = events.lost_before(delivery.lake, date(2100, 1, 1))
    assert 0.45 < lost.share < 0.55
    why = events.unusable(delivery.lake, as_of=date(2100, 1, 1), limit=0.2)
    assert why is not None
    assert "with 1 of 3 objects and 50% of all bytes, were refused" in why
    assert "Without a single event: 1 of 3 objects; refused: 50% of all bytes." in found.sentence()


def test_bytes_of_refused_records_are_their_part_of_the_object(delivery: Delivery) -> None:
    good = json.dumps(make_event(1)).encode()
    bad = json.dumps(make_event(2, user_id=..., note="x" * 3 * len(good))).encode()
    delivery.put_bytes("a.jsonl.gz", good + b"\n" + bad)

    delivery.ingest()

    [size] = delivery.rows(t.OBJECT_SIZES)
    stored = (delivery.folder / "a.jsonl.gz").stat().st_size
    assert size["bytes"] == stored
    assert size["bytes_refused"] == round(stored * len(bad) / (len(good) + len(bad)))


def test_objects_that_are_not_read_are_told_by_ending_until_they_are_gone(
    delivery: Delivery,
) -> None:
    delivery.put("a.jsonl", make_event(1))
    for name in ("b.csv", "c.csv", "d.JSONL"):
        delivery.put(name, make_event(2))

    report = delivery.ingest()

    found = events.skipped(delivery.lake)
    assert found is not None
    assert (report.skipped, found.objects) == (3, 3)
    assert found.sentence().startswith(
        "3 objects under the events URL are not read because of the name: "
        "2 ending in .csv (first: b.csv); 1 ending in .JSONL (first: d.JSONL). "
    )
    for name in ("b.csv", "c.csv", "d.JSONL"):
        (delivery.folder / name).unlink()
    assert delivery.ingest().skipped == 0
    assert events.skipped(delivery.lake) is None


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
    delivery.put("a.jsonl", make_event(1))
    delivery.ingest()
    delivery.lake.delete(t.OBJECT_VERSIONS, "true")

    assert delivery.ingest().changed == ()
    delivery.put("a.jsonl", make_event(1), make_event(2))
    assert delivery.ingest().changed == ("a.jsonl",)
