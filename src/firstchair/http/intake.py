"""Posted events: checked by the rules of ingestion; accepted ones become lines of the spool."""

import gzip
import io
import zlib
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from firstchair.sources import Record, Tombstones

# Limit of a body as it is sent, and again after it is unpacked.
MAX_BODY_BYTES = 4 << 20
GZIP_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error)
MAX_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that is not accepted: its index in the request, a stable reason, what was found."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Taken:
    """How many events were accepted, and which were rejected and why."""

    accepted: int
    rejected: list[Rejection]


def unpacked(body: bytes) -> bytes:
    """The bytes of a gzip body, cut after `MAX_BODY_BYTES` + 1.

    Raises:
        EOFError, gzip.BadGzipFile, zlib.error: The body is cut, no gzip, or damaged
        (`GZIP_FAULTS`).
    """
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        return file.read(MAX_BODY_BYTES + 1)


def records_in(body: bytes) -> "list[Record]":
    """The records of a body, read like an event object; at most `MAX_EVENTS` + 1."""
    from firstchair.sources import records_of

    return list(islice(records_of(io.BytesIO(body)), MAX_EVENTS + 1))


def judge(
    records: "list[Record]", now: datetime, tombstones: "Tombstones | None" = None
) -> tuple[Taken, list[bytes]]:
    """Check the records as ingestion would; return the result and the accepted ones as lines.

    An event of a forgotten user is rejected as `unknown_user`.
    """
    from firstchair.events import refusals  # loads an engine that logins do not need

    found = [Rejection(one.index, one.reason, one.detail) for one in refusals(records, now=now)]
    refused = {refusal.index for refusal in found}
    sound = [(place, record) for place, record in enumerate(records) if place not in refused]
    if tombstones is not None:
        tombstones.refresh()
    if tombstones:
        erased = _erased(sound, tombstones)
        found = sorted([*found, *erased], key=lambda rejection: rejection.index)
        refused = {rejection.index for rejection in erased}
        sound = [(place, record) for place, record in sound if place not in refused]
    lines = [_line(record) for _, record in sound]
    return Taken(len(lines), found), lines


def _erased(records: "list[tuple[int, Record]]", tombstones: "Tombstones") -> list[Rejection]:
    """The rejections of those records whose user was forgotten."""
    from firstchair.events.vocabulary import ERASED, Reason

    users = ((place, orjson.loads(record.text)["user_id"]) for place, record in records)
    return [
        Rejection(place, str(Reason.UNKNOWN_USER), ERASED)
        for place, user_id in users
        if tombstones.holds(user_id)
    ]


def _line(record: "Record") -> bytes:
    """The record's own bytes on one line; line breaks of JSON are only between its tokens."""
    return record.text.replace("\r", " ").replace("\n", " ").encode() + b"\n"
