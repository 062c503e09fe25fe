"""Whether records would be accepted at the border, asked before they are delivered: the same parsing as ingestion's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from firstchair.events.staging import parsing_sql
from firstchair.events.vocabulary import EventType, Reason
from firstchair.lake import connect
from firstchair.sources import Record


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that ingestion would quarantine: its place in what was given, a stable reason, what was found."""

    index: int
    reason: str
    detail: str


# What expectations/events.json asks of values, for one record at a time and without its seconds of start-up.
_KINDS = ", ".join(f"'{kind}'" for kind in EventType)
_RANGES = {
    "source_seq": "source_seq < 0",
    "position": "position < 1",
    "ms_played": "ms_played < 0",
    "propensity": "propensity <= 0 or propensity > 1",
}
_OUTSIDE = " ".join(f"when {outside} then '{name}'" for name, outside in _RANGES.items())
_REASON = (
    f"case when event_type not in ({_KINDS}) then '{Reason.UNKNOWN_EVENT_TYPE}' "
    f"when {' or '.join(_RANGES.values())} then '{Reason.OUT_OF_RANGE}' end"
)
_DETAIL = (
    f"case when event_type not in ({_KINDS}) then 'event_type is ' || left(event_type, 60) "
    f"else (case {_OUTSIDE} end) || ' is out of range' end"
)


def refusals(records: Sequence[Record], *, now: datetime) -> list[Refusal]:
    """Those of the records that ingestion would refuse at `now` (taken to the minute), by place.

    What needs other tables is judged later: unknown users, artists and tracks, and sequence conflicts.
    """
    found = [
        Refusal(place, record.refused, record.detail)
        for place, record in enumerate(records)
        if record.refused is not None
    ]
    sound = [(place, record.text) for place, record in enumerate(records) if record.refused is None]
    table = pa.table(
        {
            "object_url": pa.array([""] * len(sound), pa.string()),
            "line": pa.array([place for place, _ in sound], pa.int64()),
            "raw": pa.array([text for _, text in sound], pa.large_string()),
        }
    )
    with connect() as connection:
        connection.register("records", table)
        judged = connection.execute(
            f"with parsed as ({parsing_sql(now.replace(second=0, microsecond=0))}) "
            f"select line, coalesce(reason, {_REASON}), coalesce(detail, {_DETAIL}) from parsed "
            f"where reason is not null or {_REASON} is not null"
        ).fetchall()
    return sorted([*found, *(Refusal(*row) for row in judged)], key=lambda refusal: refusal.index)
