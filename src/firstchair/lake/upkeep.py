"""Upkeep of Delta tables: merge small files, remove what only earlier versions hold."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable

from firstchair.errors import FirstchairError, LakeError
from firstchair.lake.delta import MISSING, Lake, file_form
from firstchair.lake.opened import LOG, forget
from firstchair.lake.stores import LakeFiles
from firstchair.lake.tables import Table

# A file of at least this size is not merged with others.
FILE_BYTES = 128 << 20
# Small files of one partition, or of a table without partitions, from which they are merged. A
# table without partitions grows at every append: merging rarely keeps the bytes written low.
SMALL_FILES_OF_A_PARTITION, SMALL_FILES_OF_A_TABLE = 2, 8
# A reader of the table reads at most about so many commits after a checkpoint.
COMMITS_BETWEEN_CHECKPOINTS = 10
# A commit, its checksum, or a checkpoint in one part or in several (protocol of Delta, "File
# Types").
_NUMBERED = re.compile(r"(\d{20})\.(json|crc|checkpoint\..*parquet)")
# A checkpoint keeps a removed file so long (delta.io protocol, default of the property below).
_DEFAULT_DAYS = 7
_REMOVED_FILES = "delta.deletedFileRetentionDuration"


@dataclass(frozen=True, slots=True)
class TableSize:
    """Files and bytes of a table.

    files, bytes: data files of the present version. stored_files, stored_bytes: all data files on
    the store, also those that only earlier versions need. log_files, log_bytes: of the Delta log.
    """

    table: str
    files: int
    bytes: int
    stored_files: int
    stored_bytes: int
    log_files: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class TableUpkeep:
    """What was done to a table.

    merged: small files that larger ones replaced. removed: data files taken off the store.
    removed_entries: entries and checkpoints of the log taken off the store.
    """

    merged: int
    removed: int
    removed_entries: int


def size_of(lake: Lake, table: Table) -> TableSize | None:
    """Size of a table on its store; None where it was never written.

    Raises:
        LakeError: The table is there and cannot be read.
    """
    snapshot = lake.snapshot(table)
    if snapshot is None:
        return None
    sizes = pa.table(snapshot.get_add_actions()).column("size_bytes").to_pylist()
    stored = LakeFiles(lake.location(table)).listed()
    data = [found.size for found in stored if not found.name.startswith(LOG)]
    log = [found.size for found in stored if found.name.startswith(LOG)]
    return TableSize(table.name, len(sizes), sum(sizes), len(data), sum(data), len(log), sum(log))


def maintain_table(
    lake: Lake, table: Table, *, keep: Collection[int], retention: timedelta
) -> TableUpkeep:
    """Merge small files, then remove what neither a kept version nor the retention needs.

    Every step leaves the rows of the present version and of the kept ones as they are, so a killed
    run is completed by the next one. The caller holds the writers' lock.

    Args:
        lake: The lake, with no table pinned.
        table: The table; nothing happens where it was never written.
        keep: Versions that stay readable whatever their age, such as those of the ledger.
        retention: Age below which versions stay readable, by the clock of the machine.

    Raises:
        LakeError: The store cannot be read or written; the rows are as they were.
    """
    with _tending(lake, table):
        if lake.snapshot(table) is None:
            return TableUpkeep(0, 0, 0)
        _set_properties(lake, table, retention)
        kept = readable_versions(lake, table, keep)
        merged = merge_small_files(lake, table)
        removed_entries = clean_log(lake, table, older_than=retention, keep=kept)
        removed = vacuum(lake, table, older_than=retention, keep=kept)
        return TableUpkeep(merged, removed, removed_entries)


def merge_small_files(lake: Lake, table: Table) -> int:
    """Merge the small files of each partition in one commit; return how many were replaced."""
    snapshot = _present(lake, table)
    files = pa.table(snapshot.get_add_actions(flatten=True))
    column = table.partition_by
    places = files.column(f"partition.{column}").to_pylist() if column else [None] * len(files)
    sizes = files.column("size_bytes").to_pylist()
    small = Counter(place for place, size in zip(places, sizes, strict=True) if size < FILE_BYTES)
    fewest = SMALL_FILES_OF_A_PARTITION if column else SMALL_FILES_OF_A_TABLE
    if max(small.values(), default=0) < fewest:
        return 0
    done = snapshot.optimize.compact(target_size=FILE_BYTES, writer_properties=file_form(table))
    return int(done["numFilesRemoved"])


def vacuum(
    lake: Lake,
    table: Table,
    *,
    older_than: timedelta = timedelta(),
    keep: Collection[int] = (),
) -> int:
    """Remove the data files that the present version does not name; return how many there were.

    Also files of writers that were killed before their commit. Other versions that named them
    cannot be read afterwards. A writer of the table must not be at work, because its files have no
    entry yet. It is idempotent. The version of the table stays the same: delta-rs would make two
    commits, and what depends on a version would be computed anew.

    Args:
        lake: The lake, with no version pinned.
        table: The table; nothing happens where it was never written.
        older_than: Files that were removed from the table later than so long ago are kept; counted
            in whole hours.
        keep: Versions whose files are kept, whatever their age; each can be read.
    """
    snapshot = lake.snapshot(table)
    if snapshot is None:
        return 0
    unnamed = snapshot.vacuum(
        retention_hours=older_than // timedelta(hours=1),
        dry_run=True,
        enforce_retention_duration=False,
        full=True,
        keep_versions=sorted(keep),
    )
    if not unnamed:
        return 0
    files = LakeFiles(lake.location(table))
    # The log names a removed file for a week (deltalake 1.6.6), whether it is there or not.
    there = {file.name for file in files.listed()} & set(unnamed)
    for name in sorted(there):
        files.remove(name)
    return len(there)


def drop_earlier_versions(lake: Lake, table: Table) -> int:
    """Rewrite the log as one checkpoint of the present version; return how many entries went.

    An entry names the predicate of its deletion and the least and greatest value of each column in
    each file, of rows that are gone too. A version that is dropped cannot be read again. It is
    idempotent: a log that a killed call left half removed is read from the checkpoint.

    Args:
        lake: The lake, with no version pinned.
        table: The table; nothing happens where it was never written.
    """
    snapshot = lake.snapshot(table)
    if snapshot is None:
        return 0
    files = LakeFiles(lake.location(table))
    earlier = [entry for entry in _log(files) if entry.version < snapshot.version()]
    if not earlier:
        return 0
    # Delta reads the present commit at the next write, so it cannot go; this one names no row.
    snapshot.alter.set_table_properties(table.properties)
    present = _present(lake, table)
    present.create_checkpoint()
    return _deleted(lake, table, [e for e in _log(files) if e.version < present.version()])


def _deleted(lake: Lake, table: Table, entries: Collection["_Entry"]) -> int:
    location = lake.location(table)
    files = LakeFiles(location)
    for entry in entries:
        files.remove(entry.name)
    if entries:
        forget(location)
    return len(entries)


def clean_log(
    lake: Lake, table: Table, *, older_than: timedelta, keep: Collection[int] = ()
) -> int:
    """Write due checkpoints, remove entries before the oldest that is needed; return how many went.

    A kept version that is older stays readable by a checkpoint of its own.

    Args:
        lake: The lake, with no version pinned.
        table: A table that was written.
        older_than: Versions that were committed later than so long ago can be read afterwards.
        keep: Versions that can be read afterwards whatever their age; each can be read now.
    """
    present = _present(lake, table)
    files = LakeFiles(lake.location(table))
    newest = max(_checkpoints(_log(files)), default=MISSING)
    if present.version() - newest >= COMMITS_BETWEEN_CHECKPOINTS:
        present.create_checkpoint()
    cutoff = datetime.now(UTC) - older_than
    entries = _log(files)
    # Every version that was committed after the cutoff can be read from the base on.
    base = max(_checkpoints([e for e in entries if e.written_at <= cutoff]), default=MISSING)
    kept = {version for version in keep if version < base}
    unreadable = kept - _checkpoints(entries)
    for version in sorted(unreadable):
        _present(lake.at({table.name: version}), table).create_checkpoint()
    if unreadable:  # readers begin at the checkpoint that was written last
        present.create_checkpoint()
    needless = [
        entry
        for entry in entries
        if entry.version < base and not (entry.is_checkpoint and entry.version in kept)
    ]
    return _deleted(lake, table, needless)


def readable_versions(lake: Lake, table: Table, versions: Collection[int]) -> tuple[int, ...]:
    """Those of `versions` that the log still holds, ascending; a lake of before may lack some."""
    entries = _log(LakeFiles(lake.location(table)))
    checkpoints = _checkpoints(entries)
    commits = {entry.version for entry in entries if entry.name.endswith(".json")}

    def is_readable(version: int) -> bool:
        start = max((found for found in checkpoints if found <= version), default=MISSING)
        return all(number in commits for number in range(start + 1, version + 1))

    return tuple(v for v in sorted(set(versions)) if v > MISSING and is_readable(v))


def _set_properties(lake: Lake, table: Table, retention: timedelta) -> None:
    """Have Delta keep its log, and what it says of removed files, as long as we need them."""
    days = max(_DEFAULT_DAYS, -(-retention // timedelta(days=1)))
    snapshot = _present(lake, table)
    known = {_REMOVED_FILES: f"interval {_DEFAULT_DAYS} days", **snapshot.metadata().configuration}
    wanted = {**table.properties, _REMOVED_FILES: f"interval {days} days"}
    changed = {name: value for name, value in wanted.items() if known.get(name) != value}
    if changed:
        snapshot.alter.set_table_properties(changed)


def _present(lake: Lake, table: Table) -> DeltaTable:
    snapshot = lake.snapshot(table)
    assert snapshot is not None, f"{table.name} was never written"
    return snapshot


@dataclass(frozen=True, slots=True)
class _Entry:
    """A numbered entry of a table's log."""

    version: int
    name: str
    is_checkpoint: bool
    written_at: datetime


def _log(files: LakeFiles) -> list[_Entry]:
    """The numbered entries of a table's log, oldest first."""
    named = [
        (file, _NUMBERED.fullmatch(file.name.removeprefix(f"{LOG}/"))) for file in files.listed(LOG)
    ]
    entries = [
        _Entry(int(match[1]), file.name, match[2].startswith("checkpoint"), file.written_at)
        for file, match in named
        if match
    ]
    return sorted(entries, key=lambda entry: (entry.version, entry.name))


def _checkpoints(entries: Collection[_Entry]) -> set[int]:
    return {entry.version for entry in entries if entry.is_checkpoint}


@contextmanager
def _tending(lake: Lake, table: Table) -> Iterator[None]:
    try:
        yield
    except FirstchairError:
        raise
    except Exception as error:  # delta-rs and fsspec raise one class per store
        raise LakeError(
            f"Upkeep of {table.name} failed: {error}.",
            where=lake.location(table),
            data="The rows of the table are as they were.",
            remedy="Make space or bring the store back, then run `firstchair maintain` again.",
        ) from error
