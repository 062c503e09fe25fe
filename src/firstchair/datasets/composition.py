"""Events as JSON lines by day, numbered as one source sends them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, NamedTuple

import orjson

Rows = Iterable[Sequence[Any]]
# Milliseconds since 1970, type, user_id, own fields.
Event = tuple[int, str, str, dict[str, Any]]


class Day(NamedTuple):
    """The events of a UTC day: their number by type, and a line of JSON for each."""

    day: date
    counts: Counter[str]
    lines: list[str]


@dataclass(frozen=True)
class Dataset:
    """Both sources: rows in the columns of the contract, and events in the order of their time.

    artists, tracks and events may be streams that are read once. first, last: days of the events.
    left_out: what of the files was not taken and why, a line of text each.
    """

    source: str
    users: Sequence[tuple[Any, ...]]
    artists: Rows
    tracks: Rows
    events: Iterable[Event]
    first: date
    last: date
    real: tuple[str, ...] = ()
    composed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def days(self) -> Iterator[Day]:
        """The events by day, numbered so that source_seq grows with time."""
        numbered = enumerate(self.events)
        for day, events in groupby(numbered, key=lambda one: _instant(one[1][0]).date()):
            made = Day(day, Counter(), [])
            for number, (ms, kind, user, fields) in events:
                made.counts[kind] += 1
                made.lines.append(self._line(number, _instant(ms), kind, user, fields))
            yield made

    def _line(
        self,
        number: int,
        instant: datetime,
        kind: str,
        user: str,
        fields: dict[str, Any],
    ) -> str:
        event = {
            "event_id": f"{self.source}-{number}",
            "event_type": kind,
            "occurred_at": instant.isoformat(timespec="milliseconds"),
            "user_id": user,
            "source": self.source,
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
