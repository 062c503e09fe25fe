"""Removing what only earlier versions of a table hold: data files and entries of the log."""

import re
from datetime import timedelta

from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from firstchair.lake.delta import Lake
from firstchair.lake.tables import Table

LOG = "_delta_log"
# A commit, its checksum, or a checkpoint in one part or in several (protocol of Delta, "File Types").
_NUMBERED = re.compile(r"(\d{20})\.(json|crc|checkpoint\..*parquet)")


def vacuum(lake: Lake, table: Table, *, older_than: timedelta = timedelta()) -> int:
    """Remove the data files that the present version does not name; return how many there were.

    Earlier versions that named them cannot be read afterwards. A writer of the table must not be at
    work, because its files have no entry yet. It is idempotent, and no commit is made where there
    is nothing to remove.

    Args:
        lake: The lake, with no version pinned.
        table: The table; nothing happens where it was never written.
        older_than: Files that were removed from the table later than so long ago are kept; counted
            in whole hours.
    """
    snapshot = lake.snapshot(table)
    if snapshot is None:
        return 0
    hours = older_than // timedelta(hours=1)
    # The log names a removed file for a week (deltalake 1.6.6), whether it is there or not.
    unnamed = set(_vacuumed(snapshot, hours, dry_run=True))
    there = unnamed & _files(file_system(lake, lake.location(table))) if unnamed else set()
    if there:
        _vacuumed(snapshot, hours, dry_run=False)
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
    files = file_system(lake, lake.location(table))
    earlier = [path for path, version in _log(files) if version < snapshot.version()]
    if not earlier:
        return 0
    snapshot.create_checkpoint()
    for path in earlier:
        files.delete_file(path)
    return len(earlier)


def file_system(lake: Lake, url: str) -> fs.FileSystem:
    """A file system over the files under `url`, opened with the lake's own credentials."""
    return fs.PyFileSystem(DeltaStorageHandler(url, dict(lake.storage_options) or None))


def _vacuumed(snapshot: DeltaTable, hours: int, *, dry_run: bool) -> list[str]:
    unnamed: list[str] = snapshot.vacuum(
        retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False, full=True
    )
    return unnamed


def _files(files: fs.FileSystem) -> set[str]:
    """Paths of everything in a table's folder."""
    return {found.path for found in files.get_file_info(fs.FileSelector("", recursive=True))}


def _log(files: fs.FileSystem) -> list[tuple[str, int]]:
    """Path and version of each numbered entry of a table's log, oldest first."""
    found = files.get_file_info(fs.FileSelector(LOG))
    named = [(entry.path, _NUMBERED.fullmatch(entry.base_name)) for entry in found]
    return sorted(((path, int(match[1])) for path, match in named if match), key=lambda e: e[1])
