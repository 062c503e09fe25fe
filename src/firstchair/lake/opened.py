"""Delta tables that stay open in a process: one whose log has not grown is not read again."""

import os
from pathlib import Path
from typing import NamedTuple, TypeAlias

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from firstchair.lake.stores import LakeFile, LakeFiles, delta_options, is_on_s3

# More tables than a lake has, and few enough for a process that opens many lakes.
MOST = 64
LOG, LAST_CHECKPOINT = "_delta_log", "_last_checkpoint"
# Of a local file: inode, time of writing and bytes. None where a file is missing.
_File: TypeAlias = tuple[int, int, int] | LakeFile | None


class _End(NamedTuple):
    """The last files of a log: the entry of a version, with its bytes, and the checkpoint."""

    entry: _File
    bytes: int
    checkpoint: _File


class _Open(NamedTuple):
    """A table, and the files its log ended with: the entry of its version, the checkpoint."""

    table: DeltaTable
    end: _End


_OPEN: dict[tuple[int, str], _Open] = {}


def open_table(location: str) -> DeltaTable:
    """The table as it stands now.

    A table is read again only if its log ends otherwise than when this process last read or wrote
    it: with a newer entry, another one of the same number, or another checkpoint.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no table.
    """
    known = _OPEN.get(_key(location))
    if known is not None and _end(location, known.table.version()) == known.end:
        return known.table
    table = DeltaTable(location, storage_options=delta_options(location))
    keep(location, table)
    return table


def open_version(location: str, version: int) -> DeltaTable:
    """The table as it stood at a version; the open one, if it still stands there.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no table, or no such version.
    """
    known = _OPEN.get(_key(location))
    if (
        known is not None
        and known.table.version() == version
        and _end(location, version) == known.end
    ):
        return known.table
    return DeltaTable(location, version=version, storage_options=delta_options(location))


def take(location: str) -> DeltaTable:
    """As `open_table`, for a write: nobody else gets it before it is kept again.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no table.
    """
    table = open_table(location)
    _OPEN.pop(_key(location), None)
    return table


def forget(location: str) -> None:
    """Read a table again at its next opening, because entries of its log were removed.

    What this process wrote to stays built on the checkpoint that it was read from, though Delta
    made a newer one with a commit.
    """
    _OPEN.pop(_key(location), None)


def keep(location: str, table: DeltaTable) -> None:
    """Keep a table open that was just read or written.

    Raises:
        deltalake.exceptions.DeltaError: The last entry of its log is empty. delta-rs takes that for
            a version that changed nothing (1.6), and what was written with it would be missed.
    """
    end = _end(location, table.version())
    if end is None:
        return
    if end.bytes == 0:
        raise DeltaError(f"the last entry of its log, {table.version():020}.json, is empty")
    _OPEN.pop(_key(location), None)
    _OPEN[_key(location)] = _Open(table, end)
    while len(_OPEN) > MOST:
        _OPEN.pop(next(iter(_OPEN)), None)


def _key(location: str) -> tuple[int, str]:
    """Of a process: the threads of an open table do not live on in a fork."""
    return os.getpid(), location


def _end(location: str, version: int) -> _End | None:
    """How the log ends with `version`; None if it goes on."""
    # The protocol of Delta gives each entry its name ("Delta Log Entries").
    following, present = f"{version + 1:020}.json", f"{version:020}.json"
    log = f"{location}/{LOG}"
    if is_on_s3(location):  # one listing instead of a look-up for each name
        found: dict[str, _File] = {file.name: file for file in LakeFiles(log).listed()}
        files = [found.get(name) for name in (following, present, LAST_CHECKPOINT)]
    else:
        files = [_file(Path(log, name)) for name in (following, present, LAST_CHECKPOINT)]
    after, entry, checkpoint = files
    if after is not None or entry is None:
        return None
    return _End(entry, entry.size if isinstance(entry, LakeFile) else entry[-1], checkpoint)


def _file(path: Path) -> _File:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
