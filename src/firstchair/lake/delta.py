"""Reading and writing the lake: atomic partition replacement, snapshots, content fingerprints."""

import atexit
import errno
import glob
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import duckdb
import psutil
import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from firstchair.errors import LakeError, StoreAwayError, storage_fault
from firstchair.lake.opened import keep, open_table, open_version, take
from firstchair.lake.spark_session import SparkSettings
from firstchair.lake.stores import EngineFiles, delta_options, store_fault
from firstchair.lake.tables import Table
from firstchair.memory import engine_limit

ArrowData: TypeAlias = pa.Table | pa.RecordBatchReader
# How the folders begin that hold what exceeds the memory of the engine.
SPILLED = "firstchair-duckdb-"
# In errors of the engine, and of S3 below it, about a file that is not there.
_GONE = ("FileNotFoundError", "No files found", os.strerror(errno.ENOENT))
# Version of a table that was never written.
MISSING = -1
# DuckDB's names of the plain types of columns.
SQL_TYPES = {
    pa.string(): "varchar",
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}
# Columns whose values hardly repeat: a dictionary of them costs time and saves no space.
DISTINCT = ("event_id", "slate_id", "occurred_at", "source_seq", "line")


def _nothing() -> None:
    """Nothing is asked before a write."""


@dataclass(frozen=True, slots=True)
class Lake:
    """The Delta tables under one URL; every write is one atomic commit.

    pinned: Delta version by table name; such a table is read as it stood at that version, and as
        empty at `MISSING`. A table that is not named is read as it stands now.
    engine: name of the engine that `Engine` opens over them, as in the setting `engine`.
    spark: where Spark runs, if that is the engine.
    index: folder on this machine for what spares reading history, made anew where it is missing;
        None to read history each time.
    before_write: called before each write; it raises where this process may write no more.
    """

    url: str
    pinned: Mapping[str, int] = field(default_factory=dict, hash=False)
    engine: str = "duckdb"
    spark: SparkSettings = field(default_factory=SparkSettings)
    index: Path | None = field(default=None, compare=False)
    before_write: Callable[[], None] = field(default=_nothing, compare=False, repr=False)

    def at(self, versions: Mapping[str, int]) -> "Lake":
        """The same lake with these tables (by name) read at these Delta versions."""
        return replace(self, pinned=dict(versions))

    def snapshot(self, table: Table) -> DeltaTable | None:
        """The table as it stands now or where it is pinned, or None where nothing was written.

        Raises:
            LakeError: The table is there and cannot be read.
        """
        version = self.pinned.get(table.name)
        if version == MISSING:
            return None
        location = self.location(table)
        try:
            if version is None:
                return open_table(location)
            return open_version(location, version)
        except TableNotFoundError as error:
            if version is None:
                return None
            raise LakeError(
                f"Version {version} of table {table.name} is not there.",
                where=self.location(table),
                data="Nothing was read or changed.",
                remedy="It was erased or vacuumed; what rested on it cannot be read again.",
            ) from error
        except Exception as error:  # delta-rs raises one class per store
            raise self._unopened(table, error) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around reads of a pinned lake: a file that was removed since is a fault of the lake.

        Where the engine finds no space for what it puts on disk, its own error goes on.

        Raises:
            StoreAwayError: The store does not answer, or a file that is there cannot be read.
            LakeError: A file that a table names at its version is gone.
        """
        try:
            yield
        except duckdb.Error as error:
            fault = store_fault(error)
            if fault is None and (
                not isinstance(error, duckdb.IOException) or storage_fault(error) is not None
            ):
                raise
            told = fault or str(error).splitlines()[0]
            if not any(words in told for words in _GONE):
                raise StoreAwayError(
                    f"The store of the tables does not answer as it should: {told}.",
                    where=self.url,
                    data="Nothing was changed.",
                    remedy="Check lake_url and its credentials; `firstchair doctor` tries both.",
                ) from error
            raise LakeError(
                f"A file of the tables is gone: {told}.",
                where=self.url,
                data="Nothing was changed.",
                remedy="It was erased or vacuumed; what rested on it cannot be read again.",
            ) from error

    def replace_partition(self, table: Table, data: ArrowData, value: date) -> None:
        """Replace the partition `value` by `data` in one commit; a rerun leaves the same rows."""
        column = table.partition_by
        assert column is not None, f"{table.name} has no partition"
        stamp = CommitProperties(custom_metadata={"firstchair.partition": value.isoformat()})
        with self._written(table) as written:
            _write(
                written,
                table,
                data,
                mode="overwrite",
                predicate=f"{column} = '{value.isoformat()}'",
                commit_properties=stamp,
            )

    def replace_range(self, table: Table, data: ArrowData, first: date, last: date) -> None:
        """Replace the partitions `first` to `last` (both included) by `data` in one commit."""
        column = table.partition_by
        assert column is not None, f"{table.name} has no partition"
        self.replace_where(
            table, data, f"{column} >= '{first.isoformat()}' and {column} <= '{last.isoformat()}'"
        )

    def replace_where(self, table: Table, data: ArrowData, predicate: str) -> None:
        """Put `data` in place of the rows that `predicate` (Delta SQL) names, in one commit."""
        with self._written(table) as written:
            _write(written, table, data, mode="overwrite", predicate=predicate)

    def overwrite(self, table: Table, data: ArrowData) -> None:
        """Put `data` in place of the whole table, in one commit."""
        with self._written(table) as written:
            _write(written, table, data, mode="overwrite")

    def overwrite_if_changed(self, table: Table, rows: pa.Table) -> None:
        """As `overwrite`, but no version is written where the same rows stand there already.

        `rows` are in the order of the first column.
        """
        if not rows.equals(self.read(table).sort_by(table.schema.names[0])):
            self.overwrite(table, rows)

    def append(self, table: Table, data: ArrowData) -> None:
        """Add rows in one commit; the caller makes a repetition harmless."""
        with self._written(table) as written:
            _write(written, table, data, mode="append")

    def delete(self, table: Table, predicate: str) -> None:
        """Remove the rows that `predicate` (Delta SQL) names; nothing if there is no table."""
        if self.snapshot(table) is not None:
            with self._written(table) as written:
                written.delete(predicate, writer_properties=file_form(table))

    def update(self, table: Table, values: Mapping[str, str], predicate: str) -> None:
        """Set columns of the rows that `predicate` names, both in Delta SQL, in one commit."""
        if self.snapshot(table) is not None:
            with self._written(table) as written:
                written.update(
                    updates=dict(values),
                    predicate=predicate,
                    writer_properties=file_form(table),
                )

    def read(self, table: Table, where: str = "true") -> pa.Table:
        """All rows that `where` (DuckDB SQL) names, in the columns and types of the table."""
        with connect() as connection:
            query = f"select {_columns(table)} from {self.scan(table)} where {where}"
            return connection.sql(query).to_arrow_table().cast(table.schema)

    def scan(self, table: Table, *, only: Collection[str] | None = None) -> str:
        """A DuckDB relation (SQL text) over the files of the table's present snapshot.

        With `only`, it is over those of its files that are named so by `file_rows`.

        DuckDB's own delta extension would be downloaded at run time; the snapshot's file list needs
        none.
        """
        files = self.files(table)
        if only is not None:
            files = [path for path in files if _file_name(path, table) in only]
        if not files:
            empty = ", ".join(
                f"null::{_sql_type(f.type)} as {_quoted(f.name)}" for f in table.schema
            )
            return f"(select {empty} where false)"
        return parquet_sql(files, partition_by=table.partition_by)

    def files(self, table: Table) -> list[str]:
        """Files of the table's present snapshot: paths on disk, or addresses on S3; ascending."""
        snapshot = self.snapshot(table)
        return [] if snapshot is None else sorted(map(_as_path, snapshot.file_uris()))

    def partitions(self, table: Table) -> list[date]:
        """The days that hold rows, ascending; empty where the table is missing."""
        snapshot = self.snapshot(table)
        if snapshot is None:
            return []
        values = {dict(p).get(str(table.partition_by)) for p in snapshot.partitions()}
        return sorted(_day(value) for value in values if value)

    def partition_rows(self, table: Table) -> dict[date, int]:
        """Rows of each day that holds any, ascending; read from the table's log alone."""
        snapshot = self.snapshot(table)
        if snapshot is None:
            return {}
        files = _files(snapshot)
        days, rows = files.column(f"partition.{table.partition_by}"), files.column("num_records")
        found: dict[date, int] = {}
        if rows.null_count:  # written by something that keeps no statistics
            query = f"select {table.partition_by}, count(*) from {self.scan(table)} group by all"
            with connect() as connection:
                found = dict(connection.execute(query).fetchall())
        else:
            for value, number in zip(days.to_pylist(), rows.to_pylist(), strict=True):
                day = _day(value)
                found[day] = found.get(day, 0) + number
        return {day: found[day] for day in sorted(found) if found[day]}

    def file_rows(self, table: Table) -> dict[str, int]:
        """Rows of each file by its name, 0 where the log does not say; from the log alone."""
        snapshot = self.snapshot(table)
        if snapshot is None:
            return {}
        files = _files(snapshot)
        columns = (files.column(name).to_pylist() for name in ("path", "num_records"))
        return {_file_name(path, table): rows or 0 for path, rows in zip(*columns, strict=True)}

    def count(self, table: Table, where: str = "true") -> int:
        """Number of rows that `where` (DuckDB SQL) names."""
        with connect() as connection:
            row = connection.execute(
                f"select count(*) from {self.scan(table)} where {where}"
            ).fetchone()
            return int(row[0]) if row else 0

    def fingerprint(self, table: Table, where: str = "true") -> str:
        """Hex digest of the rows' content, whatever file or commit holds them.

        The sum of the rows' MD5 numbers modulo 2**64, with their count: independent of row order.
        """
        query = f"""
            select count(*), coalesce(sum(md5_number_lower(cast(t as varchar))), 0)
            from (select {_columns(table)} from {self.scan(table)} where {where}) t
        """
        with connect() as connection:
            row = connection.execute(query).fetchone()
        return hashlib.sha256(repr((table.name, table.schema.names, row)).encode()).hexdigest()[:32]

    def version(self, table: Table) -> int:
        """Delta version of the snapshot that is read; `MISSING` where there is none."""
        snapshot = self.snapshot(table)
        return MISSING if snapshot is None else snapshot.version()

    @contextmanager
    def _written(self, table: Table) -> Iterator[DeltaTable]:
        """The table as it stands now, for one write, after which it stays open; made if missing."""
        self.before_write()
        location = self.location(table)
        try:
            written = take(location)
        except TableNotFoundError:
            written = DeltaTable.create(
                location,
                schema=table.schema,
                mode="ignore",  # another process may make it now
                partition_by=[table.partition_by] if table.partition_by else None,
                configuration=table.properties,
                storage_options=delta_options(location),
            )
        except Exception as error:  # delta-rs raises one class per store
            raise self._unopened(table, error) from error
        try:
            yield written
        except CommitFailedError as error:
            raise LakeError(
                f"Another process wrote table {table.name} at the same time: {error}.",
                where=location,
                data="The table holds what the other one wrote, and nothing of this write.",
                remedy="Let the other one end, then run the command again.",
            ) from error
        keep(location, written)

    def _unopened(self, table: Table, error: Exception) -> LakeError:
        return LakeError(
            # Further lines are a stack of the library.
            f"Table {table.name} cannot be opened: {str(error).splitlines()[0]}.",
            where=self.location(table),
            data="Nothing was read or changed.",
            remedy="Check lake_url and its credentials; `firstchair doctor` tries both. If they "
            "are well, the table's log is damaged: bring it back by `firstchair restore`.",
        )

    def folder(self, table: Table) -> str:
        """Path on disk of the folder of a table of a lake that is in a folder."""
        return str(Path(self.location(table).removeprefix("file://")).absolute())

    def location(self, table: Table) -> str:
        """Address of the folder of a table."""
        return f"{self.url.rstrip('/')}/{table.name}"


@cache
def file_form(table: Table) -> WriterProperties:
    """How the files of a table are written.

    Of events they take about half the space and two thirds of the time of delta-rs's own choice
    (1.6), which is Snappy and a dictionary of every column.
    """
    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        column_properties={name: plain for name in DISTINCT if name in table.schema.names},
    )


def connect() -> duckdb.DuckDBPyConnection:
    """A connection to an in-memory DuckDB in UTC that installs no extension and downloads nothing.

    All are to one database of this process, because opening a database costs more than most
    queries: name what is made in it `temp`, then it is of the connection alone, and set nothing
    but what is a session's. What exceeds `firstchair.memory.engine_limit` goes to a folder under
    the system's temporary one, which is removed with the database, or by the next process that
    opens one if this one is killed.
    """
    process = os.getpid()
    connection = _shared(process).cursor()
    _limited(process, engine_limit())
    connection.execute("set timezone = 'UTC'; set enable_progress_bar = false;")
    return connection


@cache
def _shared(process: int) -> duckdb.DuckDBPyConnection:
    """The database of a process, whose threads do not live on in a fork."""
    spilled = Path(tempfile.gettempdir()) / f"{SPILLED}{socket.gethostname()}-{process}"
    _remove_left(spilled)
    config: dict[str, str | bool | int] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": True,
        "threads": 2,
        "temp_directory": str(spilled),
        "preserve_insertion_order": False,
    }
    database = duckdb.connect(config=config)
    database.register_filesystem(EngineFiles())
    atexit.register(database.close)
    return database


@lru_cache(maxsize=1)
def _limited(process: int, limit: int) -> None:
    """Hold the database of a process to a limit, unless it is held to it already."""
    _shared(process).execute(f"set memory_limit = '{limit / 2**20:.0f}MiB'")


def _remove_left(own: Path) -> None:
    """Remove what processes of this machine that were killed have spilled.

    Args:
        own: The folder of this process: there already, it is of one that had the same number.
    """
    stem = own.name.removesuffix(f"-{os.getpid()}")
    for folder in own.parent.glob(f"{glob.escape(stem)}-*"):
        number = folder.name.rpartition("-")[2]
        if folder == own or (number.isdecimal() and not psutil.pid_exists(int(number))):
            shutil.rmtree(folder, ignore_errors=True)


def _files(snapshot: DeltaTable) -> pa.Table:
    """The files of a table with their partition and statistics, from its log."""
    # `pa.table` would import pandas, to see whether it is given a frame.
    actions = snapshot.get_add_actions(flatten=True)
    return pa.RecordBatchReader.from_stream(actions).read_all()


def _file_name(path: str, table: Table) -> str:
    """Name of a file within its table, whatever the table's own address is."""
    return "/".join(path.split("/")[-2 if table.partition_by else -1 :])


def _day(value: Any) -> date:
    """The value of a partition, which the log holds as a date or as its text."""
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _write(written: DeltaTable, table: Table, data: ArrowData, **how: Any) -> None:
    """Write rows in the form of the table's files; `how` is as `write_deltalake` takes it."""
    rows = _conform(data, table)
    write_deltalake(written, rows, writer_properties=file_form(table), **how)


def _conform(data: ArrowData, table: Table) -> ArrowData:
    """The same rows in the table's column order and types."""
    if isinstance(data, pa.RecordBatchReader):
        batches = (
            pa.Table.from_batches([batch])
            .select(table.schema.names)
            .cast(table.schema)
            .to_batches()
            for batch in data
        )
        return pa.RecordBatchReader.from_batches(
            table.schema, (b for group in batches for b in group)
        )
    return data.select(table.schema.names).cast(table.schema)


def _as_path(uri: str) -> str:
    """A file's path on disk, or its address on S3.

    delta-rs gives local files percent-encoded, whether as an address or as a path (deltalake 1.6,
    `DeltaTable.file_uris`).
    """
    path = uri.removeprefix("file://")
    return path if "://" in path else unquote(path)


def parquet_sql(paths: Iterable[str], *, partition_by: str | None = None) -> str:
    """A DuckDB relation (SQL text) over Parquet files, one at least.

    Args:
        paths: Paths on disk or addresses on S3. DuckDB takes each element of a list for a pattern.
        partition_by: The column of days that the paths hold as `name=value`.
    """
    patterns = (re.sub(r"([*?\[])", r"[\1]", path).replace("'", "''") for path in sorted(paths))
    listing = ", ".join(f"'{pattern}'" for pattern in patterns)
    hive = f"hive_types={{'{partition_by}': date}}" if partition_by else "hive_partitioning=false"
    return f"read_parquet([{listing}], {hive})"


def _columns(table: Table) -> str:
    return ", ".join(_quoted(name) for name in table.schema.names)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of a column's type. To ask DuckDB for it would import pandas."""
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_map(kind):
        return f"map({_sql_type(kind.key_type)}, {_sql_type(kind.item_type)})"
    if pa.types.is_struct(kind):
        fields = ", ".join(f"{_quoted(f.name)} {_sql_type(f.type)}" for f in kind)
        return f"struct({fields})"
    return SQL_TYPES[kind]
