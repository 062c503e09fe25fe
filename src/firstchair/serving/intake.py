"""Posted events: each judged as ingestion would, refused ones told, accepted ones as lines for the spool."""

import io
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
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


def records_in(body: bytes) -> "list[Record]":
    """Records of a body, which is a JSON array or JSON Lines; of more than `MAX_EVENTS`, one more than that."""
    from firstchair.sources import records_of

    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        return list(islice(records_of(io.BytesIO(body)), MAX_EVENTS + 1))
    items = whole if isinstance(whole, list) else [whole]
    return [_numbered(place, orjson.dumps(item)) for place, item in enumerate(items[: MAX_EVENTS + 1])]


def judge(records: "list[Record]", now: datetime) -> tuple[Taken, list[bytes]]:
    """What ingestion would say of the records, and the accepted ones as lines."""
    from firstchair.events import refusals  # the engine behind it is not for a worker that only answers logins

    found = [Rejection(one.index, one.reason, one.detail) for one in refusals(records, now=now)]
    refused = {refusal.index for refusal in found}
    lines = [
        orjson.dumps(orjson.loads(record.text), option=orjson.OPT_APPEND_NEWLINE)
        for place, record in enumerate(records)
        if place not in refused
    ]
    return Taken(len(lines), found), lines


def _numbered(place: int, text: bytes) -> "Record":
    from firstchair.sources import Record, records_of

    found = next(records_of(io.BytesIO(text)))
    return Record(place + 1, found.text, found.refused, found.detail)
