"""Whether ingestion would accept records: its own parsing and its own rules, asked before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from firstchair.events.staging import parsing_sql
from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.sources import Record
from firstchair.validation import SHOWN_CHARACTERS, row_rules


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that ingestion would quarantine: its place in what was given, a stable reason, what was found."""

    index: int
    reason: str
    detail: str


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
        judged = connection.execute(_judging(now.replace(second=0, microsecond=0))).fetchall()
    return sorted([*found, *(Refusal(*row) for row in judged)], key=lambda refusal: refusal.index)


def _judging(now: datetime) -> str:
    """SQL of place, reason and detail of the refused ones among `records`."""
    rules = row_rules("events", tuple(t.EVENTS.schema.names))
    reasons = " ".join(f"when {rule.fails} then '{rule.reason}'" for rule in rules)
    # As the suite shows a value: a whole number without its fraction.
    shown = {
        rule.column: f"regexp_replace(left({rule.column}::varchar, {SHOWN_CHARACTERS}), '\\.0$', '')"
        for rule in rules
    }
    details = " ".join(
        f"when {rule.fails} then '{rule.column}: ' || {shown[rule.column]}" for rule in rules
    )
    return f"""
        with parsed as ({parsing_sql(now)}),
        judged as (
            select line, coalesce(reason, case {reasons} end) as reason,
                   coalesce(detail, case {details} end) as detail
            from parsed)
        select * from judged where reason is not null
    """
