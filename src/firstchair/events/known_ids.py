"""Which files of bronze may hold an event id: an index of hashes, so that history is not read.

An event that comes again is found by its id, and most ids that come are new. The index holds the
64-bit hash of every id in bronze with the file that it is in. It only tells which files to look
into: whether an id is known is decided by the ids in these files. So it may be deleted, hold files
that are gone, or lack files that are new; these are added when it is next asked.

Hashes are kept in sorted segments that are read by memory mapping. The last two are merged while
the older one is less than twice the newer, so there are few, and each hash is merged a number of
times that grows with the logarithm of history.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

# A larger segment is merged no more: merging holds it in memory, at 12 bytes a hash.
LARGEST_SEGMENT = 64_000_000
# So many ids are hashed at once.
IDS_AT_ONCE = 4_000_000
MANIFEST = "index.json"
# What reading an index raises that is not as it was written.
UNREADABLE = (OSError, ValueError, KeyError, TypeError)

Hashes: TypeAlias = npt.NDArray[np.uint64]
Places: TypeAlias = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Ascending hashes, and the place in `files` of the file that each is in."""

    name: str
    files: tuple[str, ...]
    size: int

    def arrays(self, folder: Path) -> tuple[Hashes, Places]:
        """The hashes and places, mapped from disk.

        Raises:
            OSError, ValueError: They are missing, or not as they were written.
        """
        hashes = np.load(folder / f"{self.name}.hashes.npy", mmap_mode="r")
        places = np.load(folder / f"{self.name}.places.npy", mmap_mode="r")
        if len(hashes) != self.size or len(places) != self.size:
            raise ValueError(f"Segment {self.name} has another size than was written.")
        return hashes, places


class KnownIds:
    """The index of the event ids in bronze, in a folder of its own; one process writes it.

    What cannot be read is made anew, as is all of it when the engine has another version: its hash
    function may be another one.
    """

    def __init__(self, lake: Lake, folder: Path) -> None:
        self._lake, self._folder = lake, folder

    def files_with(self, event_ids: pa.ChunkedArray) -> list[str]:
        """Names of the files of bronze that may hold one of some ids, ascending."""
        present = self._lake.file_rows(t.BRONZE_EVENTS)
        try:
            found = self._found(event_ids, self._covering(present))
        except UNREADABLE:
            self._remove()
            found = self._found(event_ids, self._covering(present))
        return sorted(found & present.keys())

    def files_to_look_into(self, event_ids: pa.ChunkedArray) -> list[str]:
        """As `files_with`, with the files that the index lacks; writes nothing."""
        present = self._lake.file_rows(t.BRONZE_EVENTS)
        try:
            segments = self._read()
            found = self._found(event_ids, segments)
        except UNREADABLE:
            return sorted(present)
        known = {name for segment in segments for name in segment.files}
        return sorted((found & present.keys()) | (present.keys() - known))

    def _found(self, event_ids: pa.ChunkedArray, segments: Sequence[_Segment]) -> set[str]:
        wanted = _hashes_of(event_ids)
        found: set[str] = set()
        for segment in segments:
            hashes, places = segment.arrays(self._folder)
            first, after = (np.searchsorted(hashes, wanted, side) for side in ("left", "right"))
            hits = np.flatnonzero(after > first)
            # A hash stands more than once where files were rewritten.
            spans = [
                np.arange(first[hit], after[hit]) for hit in hits[after[hits] - first[hits] > 1]
            ]
            at = np.concatenate([first[hits], *spans])
            found.update(segment.files[place] for place in np.unique(places[at]))
        return found

    def _covering(self, present: Mapping[str, int]) -> list[_Segment]:
        """The segments, after adding what is in no segment yet."""
        segments = self._read()
        known = {name for segment in segments for name in segment.files}
        new = sorted(present.keys() - known)
        if not new:
            return segments
        self._folder.mkdir(parents=True, exist_ok=True)
        for names in _in_parts(new, present):
            segments = self._merged([*segments, self._indexed(names, segments)], present)
            self._write(segments)
        return segments

    def _indexed(self, names: list[str], segments: list[_Segment]) -> _Segment:
        hashes, places = [], []
        with connect() as connection:
            for place, name in enumerate(names):
                file = self._lake.scan(t.BRONZE_EVENTS, only={name})
                found = connection.sql(f"select hash(event_id) as hash from {file}")
                hashes.append(np.asarray(found.to_arrow_table()["hash"]))
                places.append(np.full(len(hashes[-1]), place, np.uint32))
        return self._stored(tuple(names), np.concatenate(hashes), np.concatenate(places), segments)

    def _merged(self, segments: list[_Segment], present: Collection[str]) -> list[_Segment]:
        while len(segments) > 1:
            older, newer = segments[-2:]
            if older.size >= 2 * newer.size or older.size + newer.size > LARGEST_SEGMENT:
                break
            segments = [*segments[:-2], self._both(older, newer, segments, present)]
        return segments

    def _both(
        self,
        older: _Segment,
        newer: _Segment,
        segments: list[_Segment],
        present: Collection[str],
    ) -> _Segment:
        """One segment of two, without files that are gone."""
        names = (*older.files, *newer.files)
        kept = [place for place, name in enumerate(names) if name in present]
        moved = np.full(len(names), len(kept), np.uint32)
        moved[kept] = np.arange(len(kept))
        own, others = older.arrays(self._folder), newer.arrays(self._folder)
        hashes = np.concatenate([own[0], others[0]])
        places = moved[np.concatenate([own[1], others[1] + np.uint32(len(older.files))])]
        live = places < len(kept)
        files = tuple(names[place] for place in kept)
        return self._stored(files, hashes[live], places[live], segments)

    def _stored(
        self, files: tuple[str, ...], hashes: Hashes, places: Places, others: list[_Segment]
    ) -> _Segment:
        order = np.argsort(hashes, kind="stable")
        number = max((int(segment.name) for segment in others), default=0) + 1
        segment = _Segment(f"{number:08}", files, len(hashes))
        _keep(self._folder / f"{segment.name}.hashes.npy", hashes[order])
        _keep(self._folder / f"{segment.name}.places.npy", places[order])
        return segment

    def _read(self) -> list[_Segment]:
        path = self._folder / MANIFEST
        if not path.exists():
            return []
        manifest = json.loads(path.read_text())
        if manifest["engine"] != duckdb.__version__:
            return []
        return [_Segment(s["name"], tuple(s["files"]), s["size"]) for s in manifest["segments"]]

    def _remove(self) -> None:
        for path in (self._folder / MANIFEST, *self._folder.glob("*.npy")):
            path.unlink(missing_ok=True)

    def _write(self, segments: list[_Segment]) -> None:
        """Point to these segments, then remove the arrays of all others."""
        described: list[dict[str, Any]] = [
            {"name": segment.name, "files": segment.files, "size": segment.size}
            for segment in segments
        ]
        temporary = self._folder / f".{MANIFEST}"
        temporary.write_text(json.dumps({"engine": duckdb.__version__, "segments": described}))
        temporary.replace(self._folder / MANIFEST)
        names = {segment.name for segment in segments}
        for path in self._folder.glob("*.npy"):
            if path.name.partition(".")[0] not in names:
                path.unlink()


def _in_parts(names: Sequence[str], rows: Mapping[str, int]) -> Iterator[list[str]]:
    """The names in order, in parts of about `IDS_AT_ONCE` rows."""
    part: list[str] = []
    held = 0
    for name in names:
        part.append(name)
        held += rows[name]
        if held >= IDS_AT_ONCE:
            yield part
            part, held = [], 0
    if part:
        yield part


def _keep(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array so that it is on disk before the manifest names it."""
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def _hashes_of(event_ids: pa.ChunkedArray) -> Hashes:
    """Ascending, each once."""
    with connect() as connection:
        connection.register("wanted", pa.Table.from_arrays([event_ids], ["event_id"]))
        # Arrow would import pandas, to make an array of its column.
        found = connection.sql("select hash(event_id) as hash from wanted").fetchnumpy()
    return np.unique(found["hash"])
