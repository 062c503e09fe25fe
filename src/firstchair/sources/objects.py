"""The event store: which objects there are, and the records of one as a stream."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import SEEK_END, BytesIO
from math import inf
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from firstchair.errors import SourceError
from firstchair.files import replace_file
from firstchair.sources.compression import (
    CHUNK_BYTES,
    HEAD_BYTES,
    compression_of,
    packed,
    unpacked_whole,
)
from firstchair.sources.lines import LINES, IsPlain, Piece, pieces_of
from firstchair.sources.records import Record, records_of
from firstchair.sources.skipped import SkippedObjects

EVENT_OBJECT = re.compile(r"\.(json|jsonl|ndjson)(\.(gz|zst))?$")
# How an object is named while it is written; it is no object yet.
PARTIAL = ".partial"
# A compressed object up to this size is held in memory while it is read, a larger one on disk.
HELD_BYTES = 64 << 20
# So many objects, of so many bytes together, are fetched at once.
FETCHED_OBJECTS, FETCHED_BYTES = 500, 8 << 20


@dataclass(frozen=True, slots=True)
class ObjectState:
    """What the store says of an object.

    size: bytes. version: text that changes when the object is written again; its ETag where the
    store keeps one, else size and time of the last change.
    """

    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What is under the URL: event objects by name, names ascending, and the others by ending."""

    states: dict[str, ObjectState]
    skipped: tuple[SkippedObjects, ...]


@dataclass(frozen=True, slots=True)
class EventStore:
    """The event objects under one URL; any store that fsspec knows."""

    url: str
    storage_options: Mapping[str, Any]

    def objects(self) -> dict[str, int]:
        """Bytes of each event object by relative name, ascending; empty without the folder.

        Raises:
            SourceError: The store cannot be reached.
        """
        return {name: state.size for name, state in self.states().items()}

    def states(self) -> dict[str, ObjectState]:
        """Size and version of each event object by its name, names ascending.

        Raises:
            SourceError: The store cannot be reached.
        """
        return self.listing().states

    def listing(self) -> Listing:
        """Every object under the URL, but those that are still written.

        Raises:
            SourceError: The store cannot be reached.
        """
        states: dict[str, ObjectState] = {}
        others: dict[str, list[tuple[str, ObjectState]]] = {}
        for name, detail in self._listed():
            if EVENT_OBJECT.search(name):
                states[name] = _state(detail)
            elif not name.endswith(PARTIAL):
                ending = PurePosixPath(name).suffix
                others.setdefault(ending, []).append((name, _state(detail)))
        skipped = [
            SkippedObjects(ending, len(of), sum(state.size for _, state in of), of[0][0])
            for ending, of in sorted(others.items())
        ]
        return Listing(states, tuple(skipped))

    def changed_since(self, since: float) -> list[str]:
        """Names of the event objects since `since` (seconds since 1970); all if times are unknown.

        Raises:
            SourceError: The store cannot be reached.
        """
        named = [(name, detail) for name, detail in self._listed() if EVENT_OBJECT.search(name)]
        return [name for name, detail in named if _changed_at(detail) >= since]

    def replace(self, name: str, plain: bytes) -> ObjectState:
        """Write an object again, packed as it was; readers see the old or the new one, whole.

        Args:
            name: Of an object that is there.
            plain: What it is to hold, unpacked.

        Returns:
            What the store says of it now.

        Raises:
            SourceError: The store cannot be reached, or the object cannot be written.
        """
        try:
            files, root = self._open()
            path = f"{root}/{name}"
            with files.open(path, "rb") as stored:
                compression = compression_of(name, stored.read(HEAD_BYTES))
            _put(files, path, packed(plain, compression))
            files.invalidate_cache()
            return _state(files.info(path))
        except Exception as error:  # each store of fsspec has exceptions of its own
            raise SourceError(
                f"The object {name} cannot be written: {type(error).__name__}: {error}.",
                where=self.url,
                data="It is as it was; objects that were written before stay written.",
                remedy="Give the credentials of the store the right to write, or leave it out.",
            ) from error

    def pieces(self, sizes: Mapping[str, int], is_plain: IsPlain) -> Iterator[Piece]:
        """The records of many objects, in bulk: those that `records` gives for each.

        Args:
            sizes: Bytes of each object by its name. Small ones are fetched many at a time.
            is_plain: As in `firstchair.sources.lines.pieces_of`.

        Raises:
            SourceError: The store cannot be reached, or fails half-way.
        """
        faulty: list[tuple[str, Record]] = []
        try:
            yield from pieces_of(self._plain(sizes, faulty), is_plain)
        except Exception as error:  # each store of fsspec has exceptions of its own
            raise self._unreachable(error) from error
        yield Piece(LINES.empty_table(), faulty)

    def _plain(
        self, sizes: Mapping[str, int], faulty: list[tuple[str, Record]]
    ) -> Iterator[tuple[str, IO[bytes]]]:
        """Each object as plain bytes; one that cannot be unpacked is added to `faulty` instead."""
        for name, remote in self._remotes(sizes):
            with _unpackable(name, remote) as (stream, fault):
                if fault is None:
                    yield name, stream
                else:
                    faulty.append((name, fault))

    def _remotes(self, sizes: Mapping[str, int]) -> Iterator[tuple[str, IO[bytes]]]:
        """Each object as it is stored."""
        filesystem, root = self._open()
        for names in in_batches(sizes, most=FETCHED_OBJECTS, most_bytes=FETCHED_BYTES):
            if len(names) == 1:
                with filesystem.open(f"{root}/{names[0]}", "rb") as remote:
                    yield names[0], remote
                continue
            paths = [f"{root}/{name}" for name in names]
            found = filesystem.cat_ranges(paths, None, None, on_error="raise")
            yield from zip(names, map(BytesIO, found), strict=True)

    def records(self, name: str) -> Iterator[Record]:
        """The records of one object in order; one that cannot be unpacked is one refused record.

        Raises:
            SourceError: The store cannot be reached, or fails half-way.
        """
        try:
            filesystem, root = self._open()
            with (
                filesystem.open(f"{root}/{name}", "rb") as remote,
                _unpackable(name, remote) as (stream, fault),
            ):
                yield from records_of(stream) if fault is None else [fault]
        except Exception as error:  # each store of fsspec has exceptions of its own
            raise self._unreachable(error) from error

    def _listed(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Name and details of each object, names ascending."""
        try:
            filesystem, root = self._open()
            found = filesystem.find(root, detail=True)
        except Exception as error:  # each store of fsspec has exceptions of its own
            raise self._unreachable(error) from error
        named = {
            path[len(root) + 1 :]: found[path] for path in found if path.startswith(f"{root}/")
        }
        return sorted(named.items())

    def _open(self) -> tuple[Any, str]:
        filesystem, root = fsspec.core.url_to_fs(self.url, **self.storage_options)
        return filesystem, root.rstrip("/")

    def _unreachable(self, error: Exception) -> SourceError:
        return SourceError(
            f"The event store cannot be read: {type(error).__name__}: {error}.",
            where=self.url,
            data="Objects read before stay ingested; this one will be read by the next run.",
            remedy="Check FIRSTCHAIR_EVENTS_URL and the credentials of its store.",
        )


def _put(files: Any, path: str, content: bytes) -> None:
    """Put an object in place of another one, whole."""
    if isinstance(files, LocalFileSystem):
        replace_file(Path(path), content)
        return
    files.pipe_file(f"{path}{PARTIAL}", content)
    files.mv(f"{path}{PARTIAL}", path)


@contextmanager
def _unpackable(name: str, remote: IO[bytes]) -> Iterator[tuple[IO[bytes], Record | None]]:
    """The plain bytes of an object, or the one refused record that it is."""
    compression = compression_of(name, remote.read(HEAD_BYTES))
    remote.seek(0)
    if not compression:
        yield remote, None
        return
    with tempfile.SpooledTemporaryFile(max_size=HELD_BYTES) as copy:
        shutil.copyfileobj(remote, copy, CHUNK_BYTES)
        plain, fault = unpacked_whole(copy, compression)
        if fault:
            size = copy.seek(0, SEEK_END)
            detail = f"the object cannot be unpacked: {fault}"
            yield plain, Record(1, "", "not_json", detail, size)
            return
        yield plain, None


def in_batches(sizes: Mapping[str, int], *, most: int, most_bytes: int) -> Iterator[list[str]]:
    """Names of objects in the order given, so many and so many bytes together; at least one.

    Args:
        sizes: Bytes of each object by its name.
        most: Most objects of a batch.
        most_bytes: Most bytes of a batch; a larger object is alone.
    """
    names: list[str] = []
    held = 0
    for name, size in sizes.items():
        if names and (len(names) == most or held + size > most_bytes):
            yield names
            names, held = [], 0
        names.append(name)
        held += size
    if names:
        yield names


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most so many names, evenly spaced over all, the first and the last among them.

    Args:
        names: In their order.
        most: At least 2.

    >>> spread("abcdefghij", 4)
    ['a', 'd', 'g', 'j']
    """
    if len(names) <= most:
        return list(names)
    return [names[round(n * (len(names) - 1) / (most - 1))] for n in range(most)]


def _state(detail: Mapping[str, Any]) -> ObjectState:
    size = int(detail.get("size") or 0)
    etag = detail.get("ETag") or detail.get("etag")
    return ObjectState(size, str(etag or f"{size}-{_changed_at(detail)}"))


def _changed_at(detail: Mapping[str, Any]) -> float:
    """Seconds since 1970; infinity where the store does not tell."""
    value = detail.get("mtime") or detail.get("LastModified")
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else inf
