"""Posted events: each judged as ingestion would, refused ones told, accepted ones as lines for the spool."""

import io
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from firstchair.sources import Record

MAX_BODY_BYTES = 4 << 20
MAX_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that is not taken: its place in the request, a stable reason, what was found."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Taken:
    """How many events were accepted, and which were not and why."""

    accepted: int
    rejected: list[Rejection]


def judge(body: bytes, now: datetime) -> tuple[Taken, list[bytes]]:
    """Events of a body (a JSON array, or JSON Lines), and the accepted ones as lines.

    What is over `MAX_EVENTS` is refused as `out_of_range`, so that the sender sends it again.
    """
    from firstchair.events import refusals  # the engine behind it is not for a worker that only answers logins

    records = _records(body)
    within = records[:MAX_EVENTS]
    found = [Rejection(one.index, one.reason, one.detail) for one in refusals(within, now=now)]
    found += [
        Rejection(place, "out_of_range", f"more than {MAX_EVENTS:,} events in one request")
        for place in range(len(within), len(records))
    ]
    refused = {refusal.index for refusal in found}
    lines = [
        orjson.dumps(orjson.loads(record.text), option=orjson.OPT_APPEND_NEWLINE)
        for place, record in enumerate(within)
        if place not in refused
    ]
    return Taken(len(lines), found), lines


def _records(body: bytes) -> "list[Record]":
    from firstchair.sources import records_of

    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        return list(records_of(io.BytesIO(body)))
    items = whole if isinstance(whole, list) else [whole]
    return [record for place, item in enumerate(items) for record in _numbered(place, orjson.dumps(item))]


def _numbered(place: int, text: bytes) -> "list[Record]":
    from firstchair.sources import Record, records_of

    found = next(records_of(io.BytesIO(text)))
    return [Record(place + 1, found.text, found.refused, found.detail)]
