"""A chunk of records in the engine: which are accepted, which repeat an event, which are refused."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from firstchair.events.mapping import NOT_REQUIRED, mapped_sql
from firstchair.events.masking import kept_extra, masked
from firstchair.events.parsing import parse
from firstchair.events.personal import MASK, without_shapes
from firstchair.events.vocabulary import ERASED, Reason
from firstchair.lake import Engine, Lake, statement
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import Record, Tombstones

Chunk = Sequence[tuple[str, Record]]
Pseudonymise = Callable[[str], str]

FIELDS = [name for name in t.EVENTS.schema.names if name != "user_key"]
REFUSED = ("object_url", "line", "reason", "detail", "raw", "event_id", "source", "source_seq")


@dataclass(frozen=True, slots=True)
class Staged:
    """What became of a chunk.

    accepted: columns of bronze/events but batch_id and ingested_at, by day, source and source_seq.
    refused: columns `REFUSED` of quarantine/events, masked, by object and line.
    fates: accepted, duplicates, conflicting duplicates (a subset of duplicates) of each object.
    """

    accepted: pa.Table
    refused: pa.Table
    fates: dict[str, tuple[int, int, int]]


def stage(
    lake: Lake,
    chunk: Chunk,
    *,
    pseudonymise: Pseudonymise,
    now: datetime,
    tombstones: Tombstones | None = None,
    mapping: EventMapping | None = None,
    extra_fields: Collection[str] = (),
) -> Staged:
    """Parse a chunk and hold its events against all events in bronze; nothing is written.

    Args:
        lake: The tables.
        chunk: Records with the names of their objects.
        pseudonymise: The `user_key` of a `user_id` as it stands in a record.
        now: The instant of ingestion.
        tombstones: Users whose records are refused as `unknown_user`; nothing of these is kept.
        mapping: How records of another form are read; further fields that it names are kept.
        extra_fields: Names of other fields beyond the contract's whose values are kept.
    """
    allowed = {*extra_fields, *(mapping.further if mapping else ())}
    with Engine(lake) as engine:
        _parse(engine, chunk, now, mapping)
        if tombstones:
            _erase(engine, tombstones)
        _sort(engine, pseudonymise, allowed)
        sql = engine.connection.sql
        columns = ", ".join(
            name for name in t.BRONZE_EVENTS.schema.names if name not in {"batch_id", "ingested_at"}
        )
        accepted = sql(
            f"select {columns} from sorted where fate = 'accepted' order by event_date, source, source_seq, event_id"
        ).to_arrow_table()
        fates = {row[0]: row[1:] for row in sql(_FATES).fetchall()}
        return Staged(accepted, _refusals(engine, chunk, pseudonymise, tombstones), fates)


_FATES = """
select object_url, count(*) filter (fate = 'accepted'), count(*) filter (fate = 'duplicate'), count(*) filter (conflict)
from sorted group by object_url
"""


def _parse(engine: Engine, chunk: Chunk, now: datetime, mapping: EventMapping | None) -> None:
    """Temporary table `parsed`: every record that is JSON, with its fields or the reason of its refusal."""
    sound = [(name, record) for name, record in chunk if record.refused is None]
    records = pa.table(
        {
            "object_url": pa.array([name for name, _ in sound], pa.string()),
            "line": pa.array([record.line for _, record in sound], pa.int64()),
            "raw": pa.array([record.text for _, record in sound], pa.large_string()),
        }
    )
    engine.connection.register("records", records)
    engine.connection.execute(f"create temp table parsed as {parsing_sql(now, mapping)}")


def parsing_sql(now: datetime, mapping: EventMapping | None = None) -> str:
    """The parsing of every chunk of one ingestion, as SQL over the table `records`."""
    if mapping is None:
        return statement(_parsed, now=now, is_mapped=False)
    parsing = statement(_parsed, now=now, is_mapped=True)
    return f"with mapped_records as ({mapped_sql(mapping)}) select * from ({parsing})"


def _parsed(now: ir.TimestampValue, *, is_mapped: bool) -> ir.Table:
    columns = {"object_url": "string", "line": "int64", "raw": "string"}
    if is_mapped:
        records = ibis.table(columns | {"mapped": "string"}, name="mapped_records")
        parsed = parse(records, now=now, not_required=NOT_REQUIRED)
    else:
        parsed = parse(ibis.table(columns, name="records"), now=now)
    kept = parsed.mutate(raw=parsed.reason.notnull().ifelse(parsed.raw, ibis.null("string")))
    return kept.select("object_url", "line", "raw", "user_id", "reason", "detail", *FIELDS)


def _erase(engine: Engine, tombstones: Tombstones) -> None:
    """Keep of each record of a forgotten user in `parsed` its place and its sequence number."""
    users = engine.connection.sql(
        "select distinct user_id from parsed where user_id is not null"
    ).fetchall()
    forgotten = tombstones.among(user for (user,) in users)
    if forgotten:
        engine.connection.execute(
            f"update parsed set reason = '{Reason.UNKNOWN_USER}', detail = '{ERASED}', "
            "raw = null, event_id = null where list_contains(?, user_id)",
            [forgotten],
        )


def _sort(engine: Engine, pseudonymise: Pseudonymise, allowed: Collection[str]) -> None:
    """Temporary table `sorted`: the events with their fate; the first of an event_id is the accepted one."""
    connection = engine.connection
    users = connection.sql("select distinct user_id from parsed where reason is null").fetchall()
    pseudonyms = {user: pseudonymise(user) for (user,) in users}
    connection.register("pseudonyms", _strings(user_id=pseudonyms, user_key=pseudonyms.values()))
    connection.register("extras", _extras(connection, pseudonyms, allowed))
    body = ", ".join(f'"{name}"' for name in FIELDS if name != "event_id")
    known = engine.lake.scan(t.BRONZE_EVENTS)
    connection.execute(f"""
        create temp table events as
        select e.* replace (x.extra as extra), p.user_key,
               hash(row({body.replace('"extra"', "x.extra")}, p.user_key)) as body
        from parsed e join pseudonyms p using (user_id)
        left join extras x on x.object_url = e.object_url and x.line = e.line
        where e.reason is null;
        -- In two steps: bodies of all history are read only where an event_id comes again.
        create temp table repeated as
        select event_id from {known} where event_id in (select event_id from events);
        create temp table earlier as
        select event_id, hash(row({body}, user_key)) as body
        from {known} where event_id in (select event_id from repeated);
        create temp table sorted as
        select e.*,
               first_value(coalesce(k.body, e.body)) over same is distinct from e.body as conflict,
               case when k.event_id is null and row_number() over same = 1 then 'accepted' else 'duplicate' end as fate
        from events e left join earlier k using (event_id)
        window same as (partition by e.event_id order by e.object_url, e.line);
    """)


def _extras(connection: Any, pseudonyms: dict[str, str], allowed: Collection[str]) -> pa.Table:
    """Fields beyond the contract's, of the events that have some, as they are kept."""
    rows = connection.sql(
        "select object_url, line, user_id, extra from parsed where reason is null and extra is not null"
    ).fetchall()
    return pa.table(
        {
            "object_url": pa.array([row[0] for row in rows], pa.string()),
            "line": pa.array([row[1] for row in rows], pa.int64()),
            "extra": pa.array(
                [kept_extra(extra, user, pseudonyms[user], allowed) for _, _, user, extra in rows],
                pa.string(),
            ),
        }
    )


def _refusals(
    engine: Engine, chunk: Chunk, pseudonymise: Pseudonymise, tombstones: Tombstones | None
) -> pa.Table:
    def named(user_id: str) -> str:
        return MASK if tombstones and tombstones.holds(user_id) else pseudonymise(user_id)

    unread = [
        (name, r.line, r.refused, r.detail, r.text, None, None, None)
        for name, r in chunk
        if r.refused
    ]
    unparsed = engine.connection.sql(
        f"select {', '.join(REFUSED)} from parsed where reason is not null"
    ).fetchall()
    rows = [
        dict(zip(REFUSED, row, strict=True))
        for row in sorted([*unread, *unparsed], key=lambda row: row[:2])
    ]
    for row in rows:
        row["raw"] = None if row["raw"] is None else masked(row["raw"], named)
        row["detail"] = without_shapes(row["detail"])
    return pa.Table.from_pylist(
        rows, schema=pa.schema([t.QUARANTINE_EVENTS.schema.field(name) for name in REFUSED])
    )


def _strings(**columns: Any) -> pa.Table:
    return pa.table({name: pa.array(list(values), pa.string()) for name, values in columns.items()})
