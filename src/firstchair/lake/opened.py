"""Delta tables that stay open in a process: one whose log has not grown is not read again."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from deltalake import DeltaTable

# More tables than a lake has, and few enough for a process that opens many lakes.
MOST = 64


# Inode, time of writing and bytes of a file; None where it is missing.
_File: TypeAlias = tuple[int, int, int] | None


class _Open(NamedTuple):
    """A table, and the files its log ended with: the entry of its version, the checkpoint."""

    table: DeltaTable
    end: tuple[_File, _File]


_OPEN: dict[tuple[int, str], _Open] = {}


def open_table(location: str, options: Mapping[str, str]) -> DeltaTable:
    """The table as it stands now.

    A table on a local disk is read again only if its log ends otherwise than when this process last
    read or wrote it: with a newer entry, another one of the same number, or another checkpoint. The
    name of the next entry is known (Delta protocol, "Delta Log Entries"), so the log is not listed.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no table.
    """
    known = _OPEN.get(_key(location))
    if known is not None and _end(location, known.table.version()) == known.end:
        return known.table
    table = DeltaTable(location, storage_options=dict(options) or None)
    keep(location, table)
    return table


def open_version(location: str, options: Mapping[str, str], version: int) -> DeltaTable:
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
    return DeltaTable(location, version=version, storage_options=dict(options) or None)


def take(location: str, options: Mapping[str, str]) -> DeltaTable:
    """As `open_table`, for a write: nobody else gets it before it is kept again.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no table.
    """
    table = open_table(location, options)
    _OPEN.pop(_key(location), None)
    return table


def keep(location: str, table: DeltaTable) -> None:
    """Keep a table open that was just read or written."""
    end = _end(location, table.version())
    if end is None:
        return
    _OPEN.pop(_key(location), None)
    _OPEN[_key(location)] = _Open(table, end)
    while len(_OPEN) > MOST:
        _OPEN.pop(next(iter(_OPEN)), None)


def _key(location: str) -> tuple[int, str]:
    """Of a process: the threads of an open table do not live on in a fork."""
    return os.getpid(), location


def _end(location: str, version: int) -> tuple[_File, _File] | None:
    """How the log ends with `version`; None if it goes on, or if it is not on a local disk."""
    if "://" in location:
        return None
    log = Path(location, "_delta_log")
    if _file(log / f"{version + 1:020}.json") is not None:
        return None
    entry = _file(log / f"{version:020}.json")
    return None if entry is None else (entry, _file(log / "_last_checkpoint"))


def _file(path: Path) -> _File:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
