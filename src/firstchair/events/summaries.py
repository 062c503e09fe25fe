"""What each file of landed and of refused records holds, in a few rows: history is not read again.

A file of a Delta table never changes. So what was counted of it holds as long as the table has it,
and after a day's work only that day's files are read. The summaries are kept in the folder
`Lake.index`; they may be deleted or lack files, and what is missing is counted when next asked for.
Each bears a digest of what it holds and of the query that it was counted by.
"""

import hashlib
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

# One row is of a run of sequence numbers: each from `first` to `last` stands in the file, under the
# same batch and source, and either all or none is negative. Both are null without a number.
SUMMARY = pa.schema(
    {
        "file": pa.string(),
        "event_date": pa.date32(),
        "batch_id": pa.string(),
        "source": pa.string(),
        "reason": pa.string(),  # null for landed records
        "first": pa.int64(),
        "last": pa.int64(),
        "records": pa.int64(),
        "read_at": pa.timestamp("us", tz="UTC"),
    }
)
# One row is of an object with records in the file, or says with nulls that they are of too many.
OBJECTS = pa.schema(
    {
        "file": pa.string(),
        "object_url": pa.string(),
        "event_date": pa.date32(),
        "records": pa.int64(),
    }
)
MOST_OBJECTS = 1_000
# Columns that the two tables name differently: why, and when the record was read.
OWN_COLUMNS = {
    t.BRONZE_EVENTS.name: ("null::varchar", "ingested_at"),
    t.QUARANTINE_EVENTS.name: ("reason", "quarantined_at"),
}
DIGEST_BYTES = hashlib.sha256().digest_size


def summary(lake: Lake, table: t.Table) -> pa.Table:
    """The summaries of all files of a table, in the columns of `SUMMARY`.

    Args:
        lake: The tables.
        table: bronze/events or quarantine/events.

    Raises:
        LakeError: The table cannot be read.
    """
    reason, read_at = OWN_COLUMNS[table.name]
    return _of_all_files(
        lake,
        table,
        "summary",
        SUMMARY,
        f"""
        with numbered as (
            select event_date, batch_id, source, {reason} as reason, {read_at} as read_at,
                   source_seq, source_seq::hugeint - dense_rank() over (
                       partition by batch_id, source, source_seq < 0 order by source_seq) as run
            from records)
        select event_date, batch_id, source, reason, min(source_seq) as first,
               max(source_seq) as last, count(*) as records, max(read_at) as read_at
        from numbered group by event_date, batch_id, source, reason, run
        """,
    )


def landed_objects(lake: Lake) -> tuple[pa.Table, list[str]]:
    """How many landed events each object has on each day, in the columns of `OBJECTS`.

    Returns:
        The counts, and the names of the files of bronze that they leave out: those with records of
        more than `MOST_OBJECTS` objects.

    Raises:
        LakeError: The table cannot be read.
    """
    found = _of_all_files(
        lake,
        t.BRONZE_EVENTS,
        "objects",
        OBJECTS,
        f"""
        with counted as (
            select object_url, event_date, count(*) as records from records group by all)
        from counted where (select count(*) from counted) <= {MOST_OBJECTS}
        union all
        select null, null, sum(records)::bigint from counted having count(*) > {MOST_OBJECTS}
        """,
    )
    unknown = found.column("object_url").is_null()
    return found.filter(pc.invert(unknown)), found.filter(unknown).column("file").to_pylist()


def repeated_numbers(lake: Lake) -> set[str]:
    """Names of the files of bronze that share a sequence number of a source, or hold one twice."""
    with connect() as connection:
        connection.register("runs", summary(lake, t.BRONZE_EVENTS))
        rows = connection.execute("""
            select distinct file from (
                select file, first, last, records,
                       max(last) over (runs_of rows between unbounded preceding and 1 preceding)
                           as last_before,
                       lead(first) over runs_of as first_after
                from runs where first is not null
                window runs_of as (partition by source order by first, last))
            where last_before >= first or first_after <= last
               or records > last::hugeint - first + 1
        """).fetchall()
    return {name for (name,) in rows}


def _of_all_files(
    lake: Lake, table: t.Table, name: str, columns: pa.Schema, query: str
) -> pa.Table:
    """What a query (SQL) says of the `records` of each file of a table, kept under a name."""
    present = lake.file_rows(table)
    path = None if lake.index is None else lake.index / f"{table.name.replace('/', '-')}.{name}"
    known = _read(path, present, columns, query)
    new = sorted(present.keys() - set(known.column("file").unique().to_pylist()))
    if not new:
        return known
    found = pa.concat_tables([known, *(_of_file(lake, table, f, columns, query) for f in new)])
    if path is not None and table.name not in lake.pinned:
        with suppress(OSError):  # a folder that cannot be written costs time alone
            _write(path, found, query)
    return found


def _of_file(lake: Lake, table: t.Table, file: str, columns: pa.Schema, query: str) -> pa.Table:
    with connect() as connection:
        connection.execute(f"create temp view records as from {lake.scan(table, only={file})}")
        found = connection.sql(f"select $file as file, * from ({query})", params={"file": file})
        return found.to_arrow_table().cast(columns)


def _read(path: Path | None, present: Collection[str], columns: pa.Schema, query: str) -> pa.Table:
    """What is kept of the files that are there; nothing if it is not as it was written."""
    with suppress(OSError, pa.ArrowInvalid):
        content = b"" if path is None else path.read_bytes()
        digest, body = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if digest == _digest(body, query):
            return _of_files(pa.ipc.open_file(body).read_all(), present)
    return pa.Table.from_batches([], schema=columns)


def _of_files(kept: pa.Table, names: Collection[str]) -> pa.Table:
    """The rows of some files."""
    if set(kept.column("file").unique().to_pylist()) <= {*names}:
        return kept
    with connect() as connection:
        connection.register("kept", kept)
        # To give Arrow a list to look in would import pandas.
        query = "from kept where file in (select unnest($names))"
        return (
            connection.sql(query, params={"names": list(names)}).to_arrow_table().cast(kept.schema)
        )


def _write(path: Path, rows: pa.Table, query: str) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as file:
        file.write_table(rows)
    body = sink.getvalue().to_pybytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        temporary = Path(folder) / path.name
        temporary.write_bytes(_digest(body, query) + body)
        temporary.replace(path)


def _digest(body: bytes, query: str) -> bytes:
    return hashlib.sha256(query.encode() + body).digest()
