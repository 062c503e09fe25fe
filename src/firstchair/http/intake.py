"""Posted events: judged as by ingestion; accepted ones become lines of the spool."""

import gzip
import io
import zlib
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstchair.sources import Record

# Of a body as sent, and again once it is unpacked.
MAX_BODY_BYTES = 4 << 20
GZIP_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error)
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


def unpacked(body: bytes) -> bytes:
    """The bytes of a gzip body, of more than `MAX_BODY_BYTES` one more than that.

    Raises:
        EOFError, gzip.BadGzipFile, zlib.error: It is cut, no gzip, or damaged (`GZIP_FAULTS`).
    """
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        return file.read(MAX_BODY_BYTES + 1)


def records_in(body: bytes) -> "list[Record]":
    """The records of a body, read as an event object is; at most one more than `MAX_EVENTS`."""
    from firstchair.sources import records_of

    return list(islice(records_of(io.BytesIO(body)), MAX_EVENTS + 1))


def judge(records: "list[Record]", now: datetime) -> tuple[Taken, list[bytes]]:
    """What ingestion would say of the records, and the accepted ones as lines."""
    from firstchair.events import refusals  # the engine behind it is not for a worker that only answers logins

    found = [Rejection(one.index, one.reason, one.detail) for one in refusals(records, now=now)]
    refused = {refusal.index for refusal in found}
    lines = [_line(record) for place, record in enumerate(records) if place not in refused]
    return Taken(len(lines), found), lines


def _line(record: "Record") -> bytes:
    """The record's own bytes on one line: JSON has line breaks between its parts only."""
    return record.text.replace("\r", " ").replace("\n", " ").encode() + b"\n"
