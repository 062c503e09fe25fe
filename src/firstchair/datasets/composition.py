"""Events as JSON lines by day, numbered as one source sends them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import orjson

# 2000-01-01, as for every event; an earlier instant is a fault of the data set's clock.
EARLIEST_MS = 946_684_800_000

Rows = Iterable[Sequence[Any]]
# Milliseconds since 1970, type, user_id, own fields.
Event = tuple[int, str, str, dict[str, Any]]


class Day(NamedTuple):
    """The events of a UTC day: their number by type, and a line of JSON for each."""

    day: date
    counts: Counter[str]
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a loader.

    path: the data set on disk. scratch: a folder for about as many bytes as the data set has.
    seed: of everything that is composed. start, days: where the set has no days of its own.
    time_zone: of times that do not say theirs, a name of the IANA data base.
    now: an instant after it is none of a listen.
    """

    path: Path
    scratch: Path
    seed: int
    start: date
    days: int
    now: datetime
    time_zone: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Both sources: rows in the columns of the contract, and events in the order of their time.

    artists, tracks and days may be streams that are read once. first, last: days of the events.
    left_out: what of the files was not taken and why, a line of text each.
    refused: the same records, counted by reason. exports: the export that each user is from, where
    an export has one user.
    """

    source: str
    users: Sequence[tuple[Any, ...]]
    artists: Rows
    tracks: Rows
    days: Iterable[Day]
    first: date
    last: date
    real: tuple[str, ...] = ()
    composed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)


def in_days(source: str, events: Iterable[Event]) -> Iterator[Day]:
    """Composed events in the order of their time by day, so that source_seq grows with time."""
    for day, found in groupby(enumerate(events), key=lambda one: _instant(one[1][0]).date()):
        made = Day(day, Counter(), [])
        for number, (ms, kind, user, fields) in found:
            made.counts[kind] += 1
            made.lines.append(_line(source, number, _instant(ms), kind, user, fields))
        yield made


def _line(
    source: str,
    number: int,
    instant: datetime,
    kind: str,
    user: str,
    fields: dict[str, Any],
) -> str:
    event = {
        "event_id": f"{source}-{number}",
        "event_type": kind,
        "occurred_at": instant.isoformat(timespec="milliseconds"),
        "user_id": user,
        "source": source,
        "source_seq": number,
        "simulated": True,
        **fields,
    }
    return orjson.dumps(event).decode()


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events by time, then type and user."""
    return sorted(events, key=lambda event: event[:3])


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
