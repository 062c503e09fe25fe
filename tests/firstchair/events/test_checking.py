"""Records are judged before delivery as by ingestion: one parser, one list of rules."""

import io
import json
from typing import Any

import pytest

from firstchair import events
from firstchair.lake import tables as t
from firstchair.sources import records_of
from tests.firstchair.events.conftest import NOW
from tests.firstchair.events.test_bad_input import CASES

# What only other tables know.
LATER = {"unknown_user", "unknown_artist", "unknown_track", "sequence_conflict"}
DAY_MS = 86_400_000
MORE: list[dict[str, Any]] = [
    {"ms_played": DAY_MS},
    {"ms_played": DAY_MS + 1},
    {"ms_played": 0},
    {"event_type": "x" * 500},
    {"occurred_at": "2016-12-31T23:59:60Z"},
]


@pytest.fixture(scope="module")
def body(event: Any) -> bytes:
    cases = [
        record if isinstance(record, bytes) else event(line, record[0], **record[1])
        for line, (record, _, _) in enumerate(CASES.values(), start=2)
    ]
    more = [event(1_000 + number, "play", **changes) for number, changes in enumerate(MORE)]
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (*cases, *more)]
    # Events before and after stand without a line break between them.
    return (
        json.dumps(event(1)).encode()
        + json.dumps(event(2_000)).encode()
        + b"\n".join([b"", *lines])
    )


def test_every_record_is_judged_before_as_it_is_after(new_delivery: Any, body: bytes) -> None:
    delivery = new_delivery()
    delivery.put_bytes("all.jsonl", body)
    delivery.ingest(now=NOW)
    delivery.build()
    after = {
        row["line"]: (row["reason"], row["detail"])
        for row in delivery.rows(t.QUARANTINE_EVENTS)
        if row["reason"] not in LATER
    }

    records = list(records_of(io.BytesIO(body)))
    refusals = events.refusals(records, now=NOW)
    before = {records[one.index].line: (one.reason, one.detail) for one in refusals}

    assert len(before) > 50
    assert before == after
