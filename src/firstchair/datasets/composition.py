"""Events as JSON lines by day, numbered as one source sends them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson


@dataclass
class Dataset:
    """Both sources in memory: rows in the columns of the contract, lines by UTC day."""

    source: str
    users: list[tuple[Any, ...]]
    artists: list[tuple[Any, ...]]
    tracks: list[tuple[Any, ...]]
    real: tuple[str, ...] = ()
    composed: tuple[str, ...] = ()
    lines: dict[date, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, events: Iterable[tuple[int, str, str, dict[str, Any]]]) -> None:
        """Number and keep events, given as milliseconds since 1970, type, user_id and own fields.

        They are sorted by time first, so that source_seq grows with it.
        """
        ordered = sorted(events, key=lambda event: event[:3])
        for number, (ms, kind, user, fields) in enumerate(ordered):
            instant = datetime.fromtimestamp(ms / 1000, tz=UTC)
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
            self.lines[instant.date()].append(orjson.dumps(event).decode())
            self.counts[kind] += 1
