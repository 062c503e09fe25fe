"""The event store: which objects there are, and the records of one, bounded in memory per record."""

import gzip
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import orjson
import zstandard

from firstchair.errors import SourceError

EVENT_OBJECT = re.compile(r"\.(json|jsonl|ndjson)(\.(gz|zst))?$")
# A record over this many bytes is no event; it is skipped over, not held.
MAX_RECORD_BYTES = 1 << 20
KEPT_OF_LONG_RECORD = 2_000
SKIP_BYTES = 1 << 20
# What DuckDB's JSON reader lets pass and the JSON standard does not; such a line is looked at again.
SUSPECT = re.compile(rb",\s*[}\]]|\b[nN]a[nN]\b|\b[iI]nf")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an object: its line (1-based) and text, or why it has no text that can be parsed.

    refused: a stable reason code, or None; detail: what was found, for a person.
    """

    line: int
    text: str
    refused: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EventStore:
    """The event objects under one URL; any store that fsspec knows."""

    url: str
    storage_options: Mapping[str, Any]

    def objects(self) -> list[str]:
        """Names of all event objects, relative to the URL, ascending; none where the folder is missing.

        Raises:
            SourceError: The store cannot be reached.
        """
        filesystem, root = self._open()
        try:
            found = filesystem.find(root) if filesystem.exists(root) else []
        except OSError as error:
            raise self._unreachable(error) from error
        names = (path[len(root) :].lstrip("/") for path in found if path.startswith(root))
        return sorted(name for name in names if EVENT_OBJECT.search(name))

    def records(self, name: str) -> list[Record]:
        """All records of one object; one that cannot be unpacked is a single refused record.

        Raises:
            SourceError: The store cannot be reached.
        """
        filesystem, root = self._open()
        try:
            with filesystem.open(f"{root}/{name}", "rb") as raw, _unpacked(raw, name) as stream:
                records = list(_records(stream))
        except (EOFError, gzip.BadGzipFile, zstandard.ZstdError, UnpackError) as error:
            return [Record(1, "", "not_json", f"the object cannot be unpacked: {error}")]
        except OSError as error:
            raise self._unreachable(error) from error
        return records or [Record(1, "", "not_json", "the object is empty")]

    def _open(self) -> tuple[Any, str]:
        try:
            filesystem, root = fsspec.core.url_to_fs(self.url, **self.storage_options)
        except (ValueError, ImportError, OSError) as error:
            raise self._unreachable(error) from error
        return filesystem, root.rstrip("/")

    def _unreachable(self, error: Exception) -> SourceError:
        return SourceError(
            f"The event store cannot be read: {error}.",
            where=self.url,
            data="Objects read before stay ingested; this one will be read by the next run.",
            remedy="Check FIRSTCHAIR_EVENTS_URL and the credentials of its store.",
        )


class UnpackError(Exception):
    """A compressed object whose bytes are not what its name says."""


def _unpacked(raw: IO[bytes], name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return io.BufferedReader(_Unpacking(gzip.GzipFile(fileobj=raw)), 1 << 20)
    if name.endswith(".zst"):
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(_Unpacking(reader), 1 << 20)
    return raw


class _Unpacking(io.RawIOBase):
    """A decompressor as a raw stream whose own faults are told apart from those of the store."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._source.read(len(buffer))
        except Exception as error:  # zlib.error, EOFError, BadGzipFile, ZstdError: one meaning here
            raise UnpackError(f"{type(error).__name__}: {error}") from error
        buffer[: len(data)] = data
        return len(data)


def _records(stream: IO[bytes]) -> Iterator[Record]:
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    if first[2] or _is_json(first[1]):
        yield _record(*first)
        yield from (_record(*line) for line in lines)
        return
    # The first line alone is no JSON: perhaps the whole object is one value, printed over several lines.
    held, size = [first], len(first[1])
    for line in lines:
        held.append(line)
        size += len(line[1])
        if line[2] or size > MAX_RECORD_BYTES:
            break
    else:
        whole = b"\n".join(text for _, text, _ in held)
        if len(held) > 1 and _is_json(whole):
            yield _record(first[0], whole, 0)
            return
    yield from (_record(*line) for line in held)
    yield from (_record(*line) for line in lines)


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Line number, its bytes (blank lines left out), and its length where that is over the limit, else 0."""
    number = 0
    while text := stream.readline(MAX_RECORD_BYTES + 1):
        number += 1
        length = 0
        if len(text) > MAX_RECORD_BYTES and not text.endswith(b"\n"):
            length = len(text) + _skip_line(stream)
            text = text[:KEPT_OF_LONG_RECORD]
        text = text.strip(b"\r\n\t ")
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if text:
            yield number, text, length


def _skip_line(stream: IO[bytes]) -> int:
    skipped = 0
    while chunk := stream.readline(SKIP_BYTES):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped


def _record(line: int, text: bytes, length: int) -> Record:
    if length:
        shown = text.decode("utf-8", "replace")
        return Record(line, shown, "out_of_range", f"the record has {length:,} bytes, over {MAX_RECORD_BYTES:,}")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        return Record(line, text.decode("utf-8", "replace"), "not_json", f"not UTF-8 at byte {error.start}")
    if SUSPECT.search(text) and not _is_json(text):
        return Record(line, decoded, "not_json", "not JSON by RFC 8259")
    return Record(line, decoded)


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
