"""A chunk of records in the engine: which are accepted, repeat an event, or are refused."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from firstchair.events.mapping import NOT_REQUIRED, mapped_sql
from firstchair.events.masking import allowed_names, kept_extra, masked
from firstchair.events.parsing import parse
from firstchair.events.personal import MASK, without_shapes
from firstchair.events.plain import drawn_sql, quotes_of
from firstchair.events.vocabulary import ERASED, Reason
from firstchair.lake import Engine, Lake, statement
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import Record, Tombstones
from firstchair.sources.lines import LINES
from firstchair.sources.records import record_of

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
    lines: pa.Table | None = None,
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
        lines: Further records, of which `firstchair.events.plain.is_plain` holds; columns
            `firstchair.sources.lines.LINES`.
        tombstones: Users whose records are refused as `unknown_user`; nothing of these is kept.
        mapping: How records of another form are read; further fields that it names are kept.
        extra_fields: Names of other fields beyond the contract's whose values are kept.
    """
    allowed = allowed_names(extra_fields, mapping)
    with Engine(lake) as engine:
        lines = LINES.empty_table() if lines is None else lines
        chunk = [*chunk, *_draw(engine, lines, now, tombstones)]
        _parse(engine, chunk, now, mapping)
        if tombstones:
            _erase(engine, tombstones)
        _sort(engine, pseudonymise, allowed)
        sql = engine.connection.sql
        columns = ", ".join(
            name for name in t.BRONZE_EVENTS.schema.names if name not in {"batch_id", "ingested_at"}
        )
        accepted = sql(
            f"select {columns} from {_EVENTS} anti join duplicates using (n) "
            "order by event_date, source, source_seq, event_id"
        ).to_arrow_table()
        fates = {row[0]: row[1:] for row in sql(_FATES).fetchall()}
        return Staged(accepted, _refusals(engine, chunk, pseudonymise, tombstones), fates)


# Number, place, fields and user_key of the events of a chunk.
_EVENTS = "(select * from drawn join pseudonyms using (user_id) where certain)"
_FATES = """
select object_url, count(*) - count(d.n), count(d.n), count(*) filter (d.conflict)
from drawn left join duplicates d using (n) where certain group by object_url
"""


def _draw(
    engine: Engine, lines: pa.Table, now: datetime, tombstones: Tombstones | None
) -> Iterator[tuple[str, Record]]:
    """Temporary table `drawn`: plain lines as events; as records those that may be none."""
    lines = lines.append_column("n", pa.array(np.arange(lines.num_rows)))
    connection = engine.connection
    connection.register("lines", lines.append_column("quotes", quotes_of(lines["raw"])))
    connection.execute(f"create temp table drawn as {drawn_sql(now)}")
    if tombstones:
        users = connection.sql("select distinct user_id from drawn where certain").fetchall()
        forgotten = tombstones.among(user for (user,) in users)
        connection.execute(
            "update drawn set certain = false, raw = lines.raw from lines "
            "where lines.n = drawn.n and list_contains(?, user_id)",
            [list(forgotten)],
        )
    doubtful = connection.sql(
        "select object_url, line, raw from drawn where not certain"
    ).fetchall()
    for name, line, raw in doubtful:
        record = record_of(raw.rstrip("\r\n").encode(), line)
        assert record is not None, "a plain line is one JSON object"
        yield name, record


def _parse(engine: Engine, chunk: Chunk, now: datetime, mapping: EventMapping | None) -> None:
    """Temporary table `parsed`: every record that is JSON, with its fields or why it is refused."""
    sound = [(name, record) for name, record in chunk if record.refused is None]
    connection = engine.connection
    if not sound:  # the statement takes longer to plan than many records take to parse
        connection.register("nothing", _PARSED.empty_table())
        connection.execute("create temp table parsed as from nothing")
        return
    records = pa.table(
        {
            "object_url": pa.array([name for name, _ in sound], pa.string()),
            "line": pa.array([record.line for _, record in sound], pa.int64()),
            "raw": pa.array([record.text for _, record in sound], pa.large_string()),
        }
    )
    connection.register("records", records)
    connection.execute(f"create temp table parsed as {parsing_sql(now, mapping)}")


_PARSED = pa.schema(
    [
        *(t.BRONZE_EVENTS.schema.field(name) for name in ("object_url", "line", *FIELDS)),
        *((name, pa.string()) for name in ("raw", "user_id", "reason", "detail")),
    ]
)


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
    """All events in `drawn`; temporary table `duplicates` of those not the first of an id."""
    connection = engine.connection
    users = connection.sql("""
        select user_id from drawn where certain
        union select user_id from parsed where reason is null
    """).fetchall()
    pseudonyms = {user: pseudonymise(user) for (user,) in users}
    connection.register("pseudonyms", _strings(user_id=pseudonyms, user_key=pseudonyms.values()))
    connection.register("extras", _extras(connection, pseudonyms, allowed))
    body = ", ".join(f'"{name}"' for name in [*FIELDS, "user_key"] if name != "event_id")
    known = engine.lake.scan(t.BRONZE_EVENTS)
    connection.execute(f"""
        insert into drawn by name
        select (select count(*) from drawn) + row_number() over () as n, true as certain,
               object_url, line, user_id,
               {", ".join(f"x.{n}" if n == "extra" else f'parsed."{n}"' for n in FIELDS)}
        from parsed left join extras x using (object_url, line) where reason is null;
        create temp table known_ids as
        select event_id from {known} where event_id in (select event_id from drawn where certain);
        -- In two steps: bodies are looked at only where an event_id comes again.
        create temp table repeated as
        select event_id from drawn where certain group by event_id having count(*) > 1
        union select event_id from known_ids;
        create temp table earlier as
        select event_id, hash(row({body})) as body
        from {known} where event_id in (select event_id from known_ids);
        create temp table duplicates as
        with again as (
            select n, event_id, object_url, line, hash(row({body})) as body
            from {_EVENTS} where event_id in (select event_id from repeated)),
        judged as (
            select a.*,
                first_value(coalesce(k.body, a.body)) over same is distinct from a.body as conflict,
                k.event_id is null and row_number() over same = 1 as is_first
            from again a left join earlier k using (event_id)
            window same as (partition by a.event_id order by a.object_url, a.line))
        select n, conflict from judged where not is_first;
    """)


def _extras(connection: Any, pseudonyms: dict[str, str], allowed: Collection[str]) -> pa.Table:
    """Fields beyond the contract's, of the events that have some, as they are kept."""
    rows = connection.sql(
        "select object_url, line, user_id, extra from parsed "
        "where reason is null and extra is not null"
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
