"""Every fault a record can have ends in quarantine with its stable reason; none stops the run."""

import gzip
import json
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair import events
from firstchair.lake import tables as t

# What an event type needs besides the fields that all events have.
NEEDED = {
    "impression": ("slate_id", "position", "artist_id", "model_version", "propensity"),
    "click": ("slate_id", "position", "artist_id"),
    "play": ("artist_id", "track_id", "ms_played"),
    "follow": ("artist_id",),
    "unfollow": ("artist_id",),
    "login": ("event_id", "event_type", "occurred_at", "user_id", "source", "source_seq"),
}
Broken = tuple[str, dict[str, Any]]


def broken(kind: str = "click", /, **changes: Any) -> Broken:
    """Type and changed fields of an event; `...` takes a field away."""
    return kind, changes


# Records by what is wrong with them: the record, its reason, and what the detail must tell.
CASES: dict[str, tuple[bytes | Broken, str, str]] = {
    "plain text": (b"hello", "not_json", "RFC 8259"),
    "half an object": (b'{"event_id": "e', "not_json", "RFC 8259"),
    "a trailing comma": (b'{"event_id": "e",}', "not_json", "RFC 8259"),
    "NaN": (b'{"propensity": NaN}', "not_json", "RFC 8259"),
    "a name twice": (b'{"event_id": "e", "event_id": "f"}', "not_json", "event_id is repeated"),
    "a name twice, further in": (b'{"a": [{"b": 1, "b": 1}]}', "not_json", "b is repeated"),
    "a NUL byte": (b"\x00", "not_json", "RFC 8259"),
    "a lone surrogate": (b'{"event_id": "\\ud800"}', "not_json", "RFC 8259"),
    "bytes that are not UTF-8": (b'{"event_id": "caf\xe9"}', "not_json", "UTF-8 at byte 17"),
    "an array": (b"[1, 2]", "not_an_object", "array"),
    "a number": (b"42", "not_an_object", ""),
    "a text": (b'"click"', "not_an_object", ""),
    "null": (b"null", "not_an_object", "null"),
    "an empty object": (b"{}", "missing_field", "event_id"),
    "a deep nest": (broken(deep=json.loads("[" * 100 + "]" * 100)), "out_of_range", "deep"),
    "user_id null": (broken(user_id=None), "missing_field", "user_id"),
    "source empty": (broken(source=""), "missing_field", "source"),
    "user_id a number": (broken(user_id=5), "bad_type", "user_id"),
    "source_seq a text": (broken(source_seq="5"), "bad_type", "source_seq"),
    "source_seq a fraction": (broken(source_seq=5.5), "bad_type", "source_seq"),
    "source_seq 3.0": (broken(source_seq=3.0), "bad_type", "source_seq"),
    "source_seq true": (broken(source_seq=True), "bad_type", "source_seq"),
    "position a list": (broken(position=[1]), "bad_type", "position"),
    "simulated a text": (broken(simulated="yes"), "bad_type", "simulated"),
    "propensity a text": (broken("impression", propensity="0.5"), "bad_type", "propensity"),
    "ms_played a fraction": (broken("play", ms_played=0.5), "bad_type", "ms_played"),
    "occurred_at a number": (broken(occurred_at=1767607200), "bad_type", "occurred_at"),
    "no offset": (
        broken(occurred_at="2026-01-05T10:00:00"),
        "bad_timestamp",
        "2026-01-05T10:00:00",
    ),
    "a date": (broken(occurred_at="2026-01-05"), "bad_timestamp", "2026-01-05"),
    "a word": (broken(occurred_at="yesterday"), "bad_timestamp", "a text like aaaaaaaaa"),
    "30 February": (broken(occurred_at="2026-02-30T10:00:00Z"), "bad_timestamp", "2026-02-30"),
    "a leap second on another day": (
        broken(occurred_at="2016-12-30T23:59:60Z"),
        "bad_timestamp",
        "23:59:60",
    ),
    "a leap second within an hour": (
        broken(occurred_at="2016-12-31T23:58:60Z"),
        "bad_timestamp",
        "23:58:60",
    ),
    "a leap second elsewhere": (
        broken(occurred_at="2016-12-31T23:59:60+01:00"),
        "bad_timestamp",
        "23:59:60+01:00",
    ),
    "hour 24": (broken(occurred_at="2026-01-05T24:00:00Z"), "bad_timestamp", "24:00"),
    "1956": (broken(occurred_at="1956-01-05T10:00:00Z"), "bad_timestamp", "before 2000"),
    "2150": (broken(occurred_at="2150-01-05T10:00:00Z"), "future_timestamp", "2150"),
    "tomorrow": (broken(occurred_at="2026-02-02T12:00:00Z"), "future_timestamp", "2026-02-02"),
    "year 9999": (broken(occurred_at="9999-12-31T23:59:59-23:59"), "future_timestamp", "9999"),
    "position 0": (broken(position=0), "out_of_range", "position: 0"),
    "position over 32 bits": (broken(position=2**31), "out_of_range", "position"),
    "propensity 0": (broken("impression", propensity=0), "out_of_range", "propensity: 0"),
    "propensity 1.5": (broken("impression", propensity=1.5), "out_of_range", "propensity: 1.5"),
    "propensity negative": (
        broken("impression", propensity=-0.1),
        "out_of_range",
        "propensity: -0.1",
    ),
    "ms_played negative": (broken("play", ms_played=-1), "out_of_range", "ms_played: -1"),
    "ms_played over a day": (
        broken("play", ms_played=86_400_001),
        "out_of_range",
        "ms_played: 86400001",
    ),
    "source_seq negative": (broken(source_seq=-1), "out_of_range", "source_seq: -1"),
    "source_seq over 63 bits": (broken(source_seq=2**63), "out_of_range", str(2**63)),
    "source_seq over 64 bits": (broken(source_seq=10**20), "out_of_range", str(10**20)),
    "an unknown type": (broken("teleport"), "unknown_event_type", "teleport"),
    "an unknown user": (broken(user_id="nobody"), "unknown_user", ""),
    "an unknown artist": (broken(artist_id="artist-x"), "unknown_artist", "artist-x"),
    "an unknown track": (broken("play", track_id="track-x"), "unknown_track", "track-x"),
}
CASES |= {
    f"{kind} without {name}": (broken(kind, **{name: ...}), "missing_field", name)
    for kind, names in NEEDED.items()
    for name in names
}


@pytest.fixture(scope="module")
def delivered(new_delivery: Any, event: Any) -> Any:
    """All cases in one object, each on the line of its number, between two sound events."""
    delivery = new_delivery()
    records = [
        record if isinstance(record, bytes) else event(line, record[0], **record[1])
        for line, (record, _, _) in enumerate(CASES.values(), start=2)
    ]
    delivery.put("all.jsonl", event(1), *records, event(10_000))
    delivery.ingest()
    delivery.build()
    return delivery


@pytest.mark.parametrize("name", CASES)
def test_the_record_is_refused_with_its_reason(delivered: Any, name: str) -> None:
    line = list(CASES).index(name) + 2
    _, reason, detail = CASES[name]

    rows = delivered.rows(t.QUARANTINE_EVENTS, f"line = {line}")

    assert [(row["object_url"], row["reason"]) for row in rows] == [("all.jsonl", reason)]
    assert detail in rows[0]["detail"]


def test_the_sound_events_around_them_are_accepted(delivered: Any) -> None:
    assert delivered.ids() == ["event-1", "event-10000"]


def test_all_of_them_are_counted(delivered: Any) -> None:
    found = events.reconcile(delivered.lake)

    assert (found.read, found.accepted, found.duplicates) == (len(CASES) + 2, 2, 0)
    assert sum(found.quarantined.values()) == len(CASES)
    assert found.balanced


def test_a_truncated_gzip_is_refused_whole(delivery: Any, event: Any) -> None:
    packed = gzip.compress(b"\n".join(json.dumps(event(n)).encode() for n in range(2_000)))
    (delivery.folder).mkdir()
    (delivery.folder / "cut.jsonl.gz").write_bytes(packed[:-20])

    report = delivery.ingest()

    assert (report.objects, report.read, report.accepted) == (1, 1, 0)
    assert [(row["line"], row["reason"]) for row in delivery.rows(t.QUARANTINE_EVENTS)] == [
        (1, "not_json")
    ]
    assert "cannot be unpacked" in delivery.rows(t.QUARANTINE_EVENTS)[0]["detail"]


def test_events_are_read_whatever_stands_between_them(delivery: Any, event: Any) -> None:
    texts = [json.dumps(event(number)).encode() for number in range(1, 10)]
    delivery.put_bytes("stream.json", b"".join(texts[:3]))
    delivery.put_bytes("array.json.gz", b"[" + b",".join(texts[3:6]) + b"]")
    printed = json.dumps([event(number) for number in range(7, 10)], indent=2).encode()
    delivery.put_bytes("printed.json", printed)

    report = delivery.ingest()
    delivery.build()

    assert (report.read, report.accepted, report.lost_objects) == (9, 9, 0)
    assert delivery.ids() == [f"event-{number}" for number in range(1, 10)]


def test_a_leap_second_is_the_end_of_its_day(delivery: Any, event: Any) -> None:
    instants = ("2016-12-31T23:59:60Z", "2016-12-31T15:59:60.25-08:00", "2016-12-31T23:59:59.9Z")
    delivery.put("a.jsonl", *[event(n, occurred_at=text) for n, text in enumerate(instants)])

    delivery.ingest()
    delivery.build()

    rows = sorted(delivery.rows(t.EVENTS), key=lambda row: row["source_seq"])
    assert [str(row["occurred_at"]) for row in rows] == [
        "2016-12-31 23:59:59.999999+00:00",
        "2016-12-31 23:59:59.999999+00:00",
        "2016-12-31 23:59:59.900000+00:00",
    ]
    assert {str(row["event_date"]) for row in rows} == {"2016-12-31"}


@pytest.mark.parametrize("name", ["junk.json.gz", "junk.json.zst"])
def test_an_object_that_is_not_compressed_as_it_says_is_refused_whole(
    delivery: Any, name: str
) -> None:
    delivery.folder.mkdir()
    (delivery.folder / name).write_bytes(b"this is plain text")

    assert delivery.ingest().quarantined == {"not_json": 1}


def test_a_truncated_zstandard_object_is_refused_whole(delivery: Any, event: Any) -> None:
    packed = zstandard.ZstdCompressor().compress(
        b"\n".join(json.dumps(event(n)).encode() for n in range(2_000))
    )
    delivery.folder.mkdir()
    (delivery.folder / "cut.jsonl.zst").write_bytes(packed[:-20])

    assert delivery.ingest().quarantined == {"not_json": 1}
    assert delivery.lake.count(t.BRONZE_EVENTS) == 0


@pytest.mark.parametrize("data", [b"", b"\n \n\t\n"])
def test_an_object_without_a_record_is_one_refused_record(delivery: Any, data: bytes) -> None:
    delivery.put_bytes("none.jsonl", data)

    report = delivery.ingest()

    assert (report.read, report.quarantined) == (1, {"not_json": 1})
    assert delivery.rows(t.QUARANTINE_EVENTS)[0]["detail"] == "the object is empty"


def test_a_line_of_100_mb_is_refused_and_its_neighbours_are_read(delivery: Any, event: Any) -> None:
    long = b'{"event_id": "' + b"x" * 100_000_000 + b'"}'
    delivery.put("long.jsonl.gz", event(1), long, event(2))

    report = delivery.ingest()

    row = delivery.rows(t.QUARANTINE_EVENTS)[0]
    assert (report.read, report.accepted, report.quarantined) == (3, 2, {"out_of_range": 1})
    assert (row["line"], len(row["raw"])) == (2, 2_000)
    assert "100,000,016 bytes" in row["detail"]


def test_a_second_event_with_the_same_id_is_counted_and_the_first_stands(
    delivery: Any, event: Any
) -> None:
    delivery.put("a.jsonl", event(1, position=1), event(1, position=1), event(1, position=2))
    delivery.put("b.jsonl", event(1, position=3))

    report = delivery.ingest()
    delivery.build()

    assert (report.read, report.accepted, report.duplicates, report.conflicting_duplicates) == (
        4,
        1,
        3,
        2,
    )
    assert [row["position"] for row in delivery.rows(t.EVENTS)] == [1]


def test_a_sequence_number_that_is_taken_is_a_conflict(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1, occurred_at="2026-01-06T10:00:00Z"))
    delivery.ingest()
    delivery.put("b.jsonl", event(2, source_seq=1), event(3, source_seq=1, source="web"))
    delivery.ingest()

    delivery.build()

    assert delivery.ids() == ["event-1", "event-3"]
    assert delivery.reasons() == {"sequence_conflict": 1}


def test_more_rows_may_fail_than_the_suite_lists_values_of(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", *[event(n, position=-n) for n in range(1, 1_001)])

    delivery.ingest()
    delivery.build()

    details = {row["detail"] for row in delivery.rows(t.QUARANTINE_EVENTS)}
    assert details == {f"position: -{n}" for n in range(1, 1_001)}


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELD = st.sampled_from(
    sorted({"surface", "simulated", "extra field", *NEEDED["login"], *NEEDED["impression"]})
)


def is_one_record(line: bytes) -> bool:
    """Whether bytes are one record: without brackets, which may end one or join several lines."""
    return bool(line.strip(b"\r\t ")) and not set(line) & set(b"[]{}")


ANY_RECORD = st.one_of(
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ")).filter(is_one_record),
    ANY_JSON.filter(lambda value: value != ""),
    st.tuples(st.sampled_from(sorted(NEEDED)), st.dictionaries(FIELD, ANY_JSON, max_size=3)),
)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=st.lists(ANY_RECORD, min_size=60, max_size=60))
def test_whatever_a_record_holds_it_has_one_fate(
    new_delivery: Any, event: Any, records: list[Any]
) -> None:
    delivery = new_delivery()
    made = [
        event(number, record[0], **record[1]) if isinstance(record, tuple) else record
        for number, record in enumerate(records)
    ]
    delivery.put("sound first.jsonl", event(1_000), *made)

    report = delivery.ingest()
    delivery.build()

    found = events.reconcile(delivery.lake)
    assert report.balanced
    assert found.balanced
    assert found.read == 1 + len(records)
