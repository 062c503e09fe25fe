"""Objects to records in bulk: lines that are certainly one sound record each stay columns.

All other lines are cut into records by `firstchair.sources.records`, so the records of an object
are those of `records_of`, with the same numbers. That rests on one property of `records_of`: where
an object begins with `{`, every line that begins with `{` begins a record.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import IO, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from firstchair.sources.records import (
    MAX_RECORD_BYTES,
    Record,
    Splitter,
    Stream,
    record_of,
    records_of,
)

# An object is cut into parts of about so many bytes, and smaller objects are taken together.
PART_BYTES = 8 << 20
# So many records that are no plain lines are handed on at once.
RECORDS_AT_ONCE = 20_000
# Begins the line after a run of lines, as the next plain line does.
_SENTINEL = b"{}\n"
_BLANKS = b" \t\r\n"
_NEWLINE, _RETURN = ord("\n"), ord("\r")

LINES = pa.schema(
    [
        ("object_url", pa.dictionary(pa.int32(), pa.string())),
        ("line", pa.int64()),
        ("size", pa.int64()),
        ("raw", pa.large_string()),
    ]
)
Numbers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
# Which of some lines (with their line ends) are certainly one sound record each.
IsPlain: TypeAlias = Callable[[pa.LargeBinaryArray], Flags]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records of some objects.

    lines: Columns `LINES`, a row a plain line; raw is valid UTF-8 and may end with its line end,
        size is without that.
    records: The other records, with the names of their objects.
    """

    lines: pa.Table
    records: list[tuple[str, Record]]

    @property
    def read(self) -> int:
        """How many records there are."""
        return int(self.lines.num_rows) + len(self.records)


def joined(pieces: Sequence[Piece]) -> Piece:
    """The records of some pieces, at least one, as one."""
    lines = pa.concat_tables([piece.lines for piece in pieces])
    return Piece(lines, [record for piece in pieces for record in piece.records])


@dataclass(slots=True)
class _Place:
    """How far an object has been read: its next line, the last number given, values over lines."""

    name: str
    line: int = 1
    number: int = 0
    one_line: bool = False

    def take(self, lines: int) -> Numbers:
        """Numbers of so many lines that are one record each."""
        first = max(self.line, self.number + 1)
        self.line += lines
        self.number = first + lines - 1
        return np.arange(first, first + lines)

    def splitter(self, stream: Stream) -> Splitter:
        """What cuts the stream from here on; the stream begins a line."""
        return Splitter(stream, line=self.line, one_line=self.one_line, is_start=False)

    def named(self, record: Record) -> tuple[str, Record]:
        """The record under a number of its own."""
        self.number = max(record.line, self.number + 1)
        same = record.line == self.number
        return self.name, record if same else record._replace(line=self.number)


@dataclass(frozen=True, slots=True)
class _Part:
    """Whole records of an object that begins with `{`; ended by a line end, given or `added`.

    is_last: no further part follows.
    """

    place: _Place
    data: bytes
    is_last: bool
    added: bool = False


def pieces_of(objects: Iterator[tuple[str, IO[bytes]]], is_plain: IsPlain) -> Iterator[Piece]:
    """The records of objects, as `records_of` gives them for each.

    Args:
        objects: Names and plain bytes; a stream is read before the next one is asked for.
        is_plain: True only for lines of one JSON object by RFC 8259, at most `MAX_RECORD_BYTES`
            long, that begins at the first byte and has no name twice and none within another.
    """
    held: list[_Part] = []
    size = 0
    for name, stream in objects:
        for part in _parts(name, stream):
            if isinstance(part, Piece):
                yield part
                continue
            held.append(part)
            size += len(part.data)
            if size >= PART_BYTES or not part.is_last:
                yield from _pieces(held, is_plain)
                held, size = [], 0
    if held:
        yield from _pieces(held, is_plain)


def _parts(name: str, stream: IO[bytes]) -> Iterator[_Part | Piece]:
    """An object cut before lines that begin with `{`; what cannot be cut so, as its records."""
    place = _Place(name)
    data = stream.read(PART_BYTES)
    if not data.startswith(b"{"):
        yield from _cut(place, records_of(_Joined(data, stream)))
        return
    while len(data) >= PART_BYTES:
        end = data.rfind(b"\n{") + 1
        if not end:
            yield from _cut(place, place.splitter(_Joined(data, stream)).records())
            return
        yield _Part(place, data[:end], is_last=False)
        data = data[end:] + stream.read(PART_BYTES)
    added = not data.endswith(b"\n")
    yield _Part(place, data + b"\n" if added else data, is_last=True, added=added)


def _cut(place: _Place, records: Iterator[Record]) -> Iterator[Piece]:
    while some := list(islice(records, RECORDS_AT_ONCE)):
        yield Piece(LINES.empty_table(), [place.named(record) for record in some])


def _pieces(parts: list[_Part], is_plain: IsPlain) -> Iterator[Piece]:
    data = b"".join(part.data for part in parts)
    held = np.frombuffer(data, np.uint8)
    offsets = np.concatenate(([0], np.flatnonzero(held == _NEWLINE) + 1)).astype(np.int64)
    ends = offsets[1:]
    sizes = np.diff(offsets) - 1 - (held[ends - 2] == _RETURN)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    raw = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), buffers)
    plain = is_plain(raw) & _are_texts(raw) & (sizes <= MAX_RECORD_BYTES)
    stops = np.searchsorted(ends, np.cumsum([len(part.data) for part in parts])) + 1
    numbers = np.empty(len(ends), np.int64)
    records: list[tuple[str, Record]] = []
    start = 0
    for part, stop in zip(parts, stops.tolist(), strict=True):
        for first, after in _runs(plain, start, stop):
            numbers[start:first] = part.place.take(first - start)
            ends_object = part.is_last and after == stop
            run = data[offsets[first] : offsets[after] - (ends_object and part.added)]
            for record in _of_run(part.place, run, ends_object=ends_object):
                records.append(record)
                if len(records) == RECORDS_AT_ONCE:
                    yield Piece(LINES.empty_table(), records)
                    records = []
            start = after
        numbers[start:stop] = part.place.take(stop - start)
        start = stop
    owners = np.repeat(np.arange(len(parts), dtype=np.int32), np.diff(stops, prepend=0))
    names = pa.array([part.place.name for part in parts], pa.string())
    lines = pa.Table.from_arrays(
        [
            pa.DictionaryArray.from_arrays(pa.array(owners), names),
            pa.array(numbers),
            pa.array(sizes),
            raw.cast(pa.large_string(), safe=False),
        ],
        schema=LINES,
    )
    yield Piece(lines if plain.all() else lines.filter(pa.array(plain)), records)


def _are_texts(raw: pa.LargeBinaryArray) -> Flags | bool:
    """Which lines are UTF-8 for certain: all, or those of ASCII alone."""
    try:
        raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        return np.asarray(pc.string_is_ascii(raw.cast(pa.large_string(), safe=False)))
    return True


def _runs(plain: Flags, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """First line of each run of lines that are not plain, and the line after it."""
    doubtful = np.flatnonzero(~plain[start:stop]) + start
    if len(doubtful):
        for run in np.split(doubtful, np.flatnonzero(np.diff(doubtful) > 1) + 1):
            yield int(run[0]), int(run[-1]) + 1


def _of_run(place: _Place, run: bytes, *, ends_object: bool) -> Iterator[tuple[str, Record]]:
    """The records of lines between plain ones: one a line up to a line that is not one value."""
    at = 0
    while at < len(run):
        end = run.find(b"\n", at) + 1 or len(run)
        text = run[at:end].strip(_BLANKS)
        record = record_of(text, place.line)
        if record is None and text:
            yield from _split(place, run[at:], ends_object=ends_object)
            return
        if record is not None:
            yield place.named(record)
        place.line += 1
        at = end


def _split(place: _Place, run: bytes, *, ends_object: bool) -> Iterator[tuple[str, Record]]:
    """The records of lines; they may be fewer or more than the lines."""
    splitter = place.splitter(BytesIO(run if ends_object else run + _SENTINEL))
    records = splitter.records()
    last = None if ends_object else next(records)
    for record in records:
        yield place.named(record if last is None else last)
        last = None if last is None else record
    place.line += run.count(b"\n")
    place.one_line = splitter.one_line


class _Joined:
    """A stream with bytes before it that were read already."""

    def __init__(self, start: bytes, stream: Stream) -> None:
        self._start, self._stream = start, stream

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        if not self._start:
            return self._stream.read(size)
        data, self._start = self._start[:size], self._start[size:]
        return data
