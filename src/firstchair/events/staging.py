"""A chunk of records in the engine: which are accepted, repeat an event, or are refused."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from firstchair.events.known_ids import KnownIds
from firstchair.events.mapping import NOT_REQUIRED, mapped_sql
from firstchair.events.masking import allowed_names, kept_extra, masked
from firstchair.events.parsing import parse
from firstchair.events.personal import MASK, without_shapes
from firstchair.events.plain import drawn_sql, quotes_of
from firstchair.events.vocabulary import ERASED, Reason
from firstchair.lake import Lake, connect, statement
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

    accepted: columns of bronze/events but batch_id and ingested_at, in no order.
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
    known_ids: KnownIds | None = None,
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
        known_ids: Tells which files of bronze need to be looked into; None for all.
    """
    allowed = allowed_names(extra_fields, mapping)
    with connect() as connection:
        lines = LINES.empty_table() if lines is None else lines
        drawn, doubtful = _draw(connection, lines, now, tombstones)
        chunk = [*chunk, *doubtful]
        _parse(connection, chunk, now, mapping)
        if tombstones:
            _erase(connection, tombstones)
        events = _with_user_keys(
            pa.concat_tables([drawn, _parsed_events(connection, pseudonymise, allowed)]),
            pseudonymise,
        )
        events = events.append_column("n", pa.array(np.arange(events.num_rows)))
        connection.register("events", events)
        repeated = _duplicates(connection, _history(lake, events["event_id"], known_ids))
        fates = {row[0]: row[1:] for row in connection.sql(_FATES).fetchall()}
        is_first = np.ones(events.num_rows, bool)
        is_first[repeated] = False
        accepted = events.filter(pa.array(is_first)).select(_ACCEPTED)
        return Staged(accepted, _refusals(connection, chunk, pseudonymise, tombstones), fates)


_ACCEPTED = [n for n in t.BRONZE_EVENTS.schema.names if n not in {"batch_id", "ingested_at"}]
_FATES = """
select object_url, count(*) - count(d.n), count(d.n), count(*) filter (d.conflict)
from events left join duplicates d using (n) group by object_url
"""
# Columns of an event before its user is a pseudonym.
_OF_EVENT = ["object_url", "line", "user_id", *FIELDS]


def _draw(
    connection: DuckDBPyConnection, lines: pa.Table, now: datetime, tombstones: Tombstones | None
) -> tuple[pa.Table, list[tuple[str, Record]]]:
    """Plain lines as events, columns `_OF_EVENT`; as records those that may be none."""
    numbered = lines.append_column("n", pa.array(np.arange(lines.num_rows)))
    connection.register("lines", numbered.append_column("quotes", quotes_of(lines["raw"])))
    drawn = connection.sql(drawn_sql(now)).to_arrow_table()
    certain = drawn["certain"]
    if tombstones:
        forgotten = tombstones.among(drawn["user_id"].filter(certain).unique().to_pylist())
        is_forgotten = pc.is_in(drawn["user_id"], value_set=pa.array(forgotten, pa.string()))
        certain = pc.and_(certain, pc.invert(is_forgotten))
    doubtful = lines.take(drawn["n"].filter(pc.invert(certain)))
    columns = [doubtful[name].to_pylist() for name in ("object_url", "line", "raw")]
    return drawn.filter(certain).select(_OF_EVENT), list(map(_record, *columns))


def _record(name: str, line: int, raw: str) -> tuple[str, Record]:
    record = record_of(raw.rstrip("\r\n").encode(), line)
    assert record is not None, "a plain line is one JSON object"
    return name, record


def _parse(
    connection: DuckDBPyConnection, chunk: Chunk, now: datetime, mapping: EventMapping | None
) -> None:
    """Temporary table `parsed`: every record that is JSON, with its fields or why it is refused."""
    sound = [(name, record) for name, record in chunk if record.refused is None]
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


def _erase(connection: DuckDBPyConnection, tombstones: Tombstones) -> None:
    """Keep of each record of a forgotten user in `parsed` its place and its sequence number."""
    users = connection.sql(
        "select distinct user_id from parsed where user_id is not null"
    ).fetchall()
    forgotten = tombstones.among(user for (user,) in users)
    if forgotten:
        connection.execute(
            f"update parsed set reason = '{Reason.UNKNOWN_USER}', detail = '{ERASED}', "
            "raw = null, event_id = null where list_contains(?, user_id)",
            [forgotten],
        )


def _parsed_events(
    connection: DuckDBPyConnection, pseudonymise: Pseudonymise, allowed: Collection[str]
) -> pa.Table:
    """The events in `parsed`, with what is kept of their fields beyond the contract's."""
    events = connection.sql(
        f"select {', '.join(_OF_EVENT)} from parsed where reason is null order by object_url, line"
    ).to_arrow_table()
    pairs = zip(*(events[name].to_pylist() for name in ("extra", "user_id")), strict=True)
    kept = [
        None if extra is None else kept_extra(extra, user, pseudonymise(user), allowed)
        for extra, user in pairs
    ]
    place = events.schema.get_field_index("extra")
    return events.set_column(place, "extra", pa.array(kept, pa.string()))


def _with_user_keys(events: pa.Table, pseudonymise: Pseudonymise) -> pa.Table:
    """The events with `user_key` in place of `user_id`."""
    users = events["user_id"].combine_chunks().dictionary_encode()
    keys = pa.array([pseudonymise(user) for user in users.dictionary.to_pylist()], pa.string())
    return events.drop_columns("user_id").append_column("user_key", keys.take(users.indices))


def _history(lake: Lake, event_ids: pa.ChunkedArray, known_ids: KnownIds | None) -> str:
    """A relation over the events in bronze that may have one of some ids."""
    files = None if known_ids is None else known_ids.files_with(event_ids)
    return lake.scan(t.BRONZE_EVENTS, only=files)


def _duplicates(connection: DuckDBPyConnection, known: str) -> npt.NDArray[np.int64]:
    """Numbers of the `events` that are not the first of their id; temporary table `duplicates`.

    known: a relation over the events that came before.
    """
    body = ", ".join(f'"{name}"' for name in [*FIELDS, "user_key"] if name != "event_id")
    connection.execute(f"""
        create temp table known_ids as
        select event_id from {known} where event_id in (select event_id from events);
        -- In two steps: bodies are looked at only where an event_id comes again.
        create temp table repeated as
        select event_id from events group by event_id having count(*) > 1
        union select event_id from known_ids;
        create temp table earlier as
        select event_id, hash(row({body})) as body
        from {known} where event_id in (select event_id from known_ids);
        create temp table duplicates as
        with again as (
            select n, event_id, object_url, line, hash(row({body})) as body
            from events where event_id in (select event_id from repeated)),
        judged as (
            select a.*,
                first_value(coalesce(k.body, a.body)) over same is distinct from a.body as conflict,
                k.event_id is null and row_number() over same = 1 as is_first
            from again a left join earlier k using (event_id)
            window same as (partition by a.event_id order by a.object_url, a.line))
        select n, conflict from judged where not is_first;
    """)
    found = connection.sql("select n from duplicates").to_arrow_table()
    return np.asarray(found["n"])


def _refusals(
    connection: DuckDBPyConnection,
    chunk: Chunk,
    pseudonymise: Pseudonymise,
    tombstones: Tombstones | None,
) -> pa.Table:
    def named(user_id: str) -> str:
        return MASK if tombstones and tombstones.holds(user_id) else pseudonymise(user_id)

    unread = [
        (name, r.line, r.refused, r.detail, r.text, None, None, None)
        for name, r in chunk
        if r.refused
    ]
    unparsed = connection.sql(
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
