"""What is read in bulk as a plain event is what the long way makes of the same record."""

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair.events.plain import is_plain, never_plain
from firstchair.events.staging import Staged, stage
from firstchair.lake import Lake
from firstchair.sources.lines import joined, pieces_of
from tests.firstchair.events.conftest import NOW, OWN, make_event
from tests.firstchair.events.test_bad_input import ANY_RECORD, CASES

FIELDS = sorted({name for kind in OWN for name in make_event(0, kind)} | {"surface", "simulated"})
# Values at the border of what is plain, each a JSON text.
VALUES = (
    *("null", '""', '"x"', '"é"', '"null"', '":null"', '"a\\u0062"', '"\\""', '"\x7f"', "true"),
    *("0", "7", "-1", "00", "1.0", "1.5", "5e-05", "1E3", "123456789", "1234567890", "2147483648"),
    *("999999999999999999", "9223372036854775808", "0.1", "0.12345678901234567", "[]", "{}"),
    *('"2026-01-05T10:00:00.123456789+05:30"', '"2026-01-05t10:00:00z"', '"2026-01-05 10:00:00Z"'),
    *('"2016-12-31T23:59:60Z"', '"2026-02-30T10:00:00Z"', '"1999-12-31T23:59:59Z"', '"login"'),
    *('"2026-02-01T13:00:00Z"', '"2026-02-01T13:00:00.000001Z"', '"2026-01-05T10:00:00-23:59"'),
)


@st.composite
def nearly_plain(draw: st.DrawFn) -> bytes:
    """An event with some fields changed, missing, repeated or of another type, in some spelling."""
    kind = draw(st.sampled_from(sorted(OWN)))
    event = make_event(draw(st.integers(1, 20)), kind)
    pairs = [(name, json.dumps(value)) for name, value in event.items()]
    changes = st.tuples(st.sampled_from([*FIELDS, "further"]), st.sampled_from(VALUES))
    for name, value in draw(st.lists(changes, max_size=2)):
        if draw(st.booleans()):  # else it may stand twice
            pairs = [pair for pair in pairs if pair[0] != name]
        pairs.insert(draw(st.integers(0, len(pairs))), (name, value))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
    text = "{" + comma.join(f'"{name}"{colon}{value}' for name, value in pairs) + "}"
    return text.encode() + draw(st.sampled_from([b"", b"", b"", b"\r", b" "]))


LINE = nearly_plain() | ANY_RECORD.map(
    lambda record: (
        record
        if isinstance(record, bytes)
        else json.dumps(
            make_event(0, record[0], **record[1]) if isinstance(record, tuple) else record
        ).encode()
    )
)


def staged(lake: Lake, objects: dict[str, bytes], *, in_bulk: bool) -> tuple[Staged, int]:
    """What becomes of the records, and how many of them were read in bulk."""
    streams = ((name, io.BytesIO(data)) for name, data in objects.items())
    piece = joined(list(pieces_of(streams, is_plain if in_bulk else never_plain)))
    found = stage(
        lake, piece.records, lines=piece.lines, pseudonymise=lambda user: f"key of {user}", now=NOW
    )
    return found, piece.lines.num_rows


def sorted_rows(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("object_url", "ascending"), ("line", "ascending")])


def assert_same_fates(lake: Lake, objects: dict[str, bytes]) -> int:
    bulk, lines = staged(lake, objects, in_bulk=True)
    single, none = staged(lake, objects, in_bulk=False)
    assert none == 0
    assert sorted_rows(bulk.accepted).to_pylist() == sorted_rows(single.accepted).to_pylist()
    assert bulk.accepted.schema.equals(single.accepted.schema)
    assert bulk.refused.to_pylist() == single.refused.to_pylist()
    assert bulk.fates == single.fates
    return lines


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(objects=st.lists(st.lists(LINE, min_size=60, max_size=60), min_size=2, max_size=2))
def test_every_record_has_the_fate_of_the_long_way(
    delivery: Any, objects: list[list[bytes]]
) -> None:
    data = {f"{number}.jsonl": b"\n".join(lines) for number, lines in enumerate(objects)}

    assert_same_fates(delivery.lake, data)


def test_every_known_fault_has_the_fate_of_the_long_way(delivery: Any) -> None:
    records = [case for case, _, _ in CASES.values()]
    lines = [
        record
        if isinstance(record, bytes)
        else json.dumps(make_event(n, record[0], **record[1])).encode()
        for n, record in enumerate(records)
    ]

    assert_same_fates(delivery.lake, {"all.jsonl": b"\n".join(lines)})


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_sound_events_of_every_type_are_read_in_bulk(
    delivery: Any, separators: tuple[str, str]
) -> None:
    events = [make_event(number, kind) for number, kind in enumerate(OWN)]
    events += [make_event(20, "play", slate_id=None, simulated=True)]
    events += [make_event(21, "impression", surface="mobile", user_id="Zoë", propensity=5e-05)]
    data = "\n".join(
        json.dumps(event, separators=separators, ensure_ascii=False) for event in events
    )

    assert assert_same_fates(delivery.lake, {"a.jsonl": data.encode()}) == len(events)
