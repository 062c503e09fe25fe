"""Whether ingestion would accept records: its own parsing and its own rules, asked before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from firstchair.events.staging import parsing_sql
from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import Record
from firstchair.validation import SHOWN_CHARACTERS, row_rules


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that ingestion would quarantine: its place, a stable reason, what was found."""

    index: int
    reason: str
    detail: str


def refusals(
    records: Sequence[Record], *, now: datetime, mapping: EventMapping | None = None
) -> list[Refusal]:
    """Those of the records that ingestion would refuse at `now` (taken to the minute), by place.

    What needs other tables is judged later: unknown users, artists and tracks, and sequence
    conflicts.
    """
    found = [
        Refusal(place, record.refused, record.detail)
        for place, record in enumerate(records)
        if record.refused is not None
    ]
    with connect() as connection:
        connection.register("records", _table(records))
        judging = _judging(now.replace(second=0, microsecond=0), mapping)
        judged = connection.execute(judging).fetchall()
    return sorted([*found, *(Refusal(*row) for row in judged)], key=lambda refusal: refusal.index)


def parsed_fields(
    records: Sequence[Record], *, now: datetime, mapping: EventMapping | None = None
) -> list[dict[str, Any]]:
    """What ingestion would read of each record it accepts: its fields by name, and index."""
    now = now.replace(second=0, microsecond=0)
    with connect() as connection:
        connection.register("records", _table(records))
        found = connection.sql(
            f"select line as index, * exclude (object_url, line, raw, reason, detail) "
            f"from ({parsing_sql(now, mapping)}) where reason is null order by line"
        ).to_arrow_table()
    fields: list[dict[str, Any]] = found.to_pylist()
    return fields


def user_ids(
    records: Sequence[Record], *, now: datetime, mapping: EventMapping | None = None
) -> list[str | None]:
    """The account key in each record, one that ingestion refuses too; None where there is none."""
    now = now.replace(second=0, microsecond=0)
    with connect() as connection:
        connection.register("records", _table(records))
        found = connection.execute(
            f"select line, user_id from ({parsing_sql(now, mapping)}) where user_id is not null"
        ).fetchall()
    users: list[str | None] = [None] * len(records)
    for place, user_id in found:
        users[place] = user_id
    return users


def _table(records: Sequence[Record]) -> pa.Table:
    """Those that are JSON, each with its place as line."""
    sound = [(place, record.text) for place, record in enumerate(records) if record.refused is None]
    return pa.table(
        {
            "object_url": pa.array([""] * len(sound), pa.string()),
            "line": pa.array([place for place, _ in sound], pa.int64()),
            "raw": pa.array([text for _, text in sound], pa.large_string()),
        }
    )


def _judging(now: datetime, mapping: EventMapping | None) -> str:
    """SQL of place, reason and detail of the refused ones among `records`."""
    rules = row_rules("events", tuple(t.EVENTS.schema.names))
    reasons = " ".join(f"when {rule.fails} then '{rule.reason}'" for rule in rules)
    # As the suite shows a value: a whole number without its fraction.
    shown = {
        rule.column: f"regexp_replace(left({rule.column}::varchar, {SHOWN_CHARACTERS}), "
        "'\\.0$', '')"
        for rule in rules
    }
    details = " ".join(
        f"when {rule.fails} then '{rule.column}: ' || {shown[rule.column]}" for rule in rules
    )
    return f"""
        with parsed as ({parsing_sql(now, mapping)}),
        judged as (
            select line, coalesce(reason, case {reasons} end) as reason,
                   coalesce(detail, case {details} end) as detail
            from parsed)
        select * from judged where reason is not null
    """
