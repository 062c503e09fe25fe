"""Reading every byte of a file, unpacked as deep as it goes, in search of users."""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

from firstchair.erasure.identity import Identities, Match
from firstchair.sources.compression import MAGIC, unpacked

PIECE_BYTES = 8 << 20
HELD_BYTES = 64 << 20
# Files in files in files; a limit, so that a file that holds itself ends.
DEEPEST = 4
ROWS_AT_ONCE = 65_536


@dataclass(slots=True)
class Search:
    """What is looked for, and how much was read for it.

    bytes_read: as they are stored, and again as they are unpacked. tables: of databases.
    """

    identities: Identities
    bytes_read: int = 0
    tables: int = 0

    def found_in(self, data: bytes) -> set[Match]:
        """Who stands in a piece, which is counted."""
        self.bytes_read += len(data)
        return self.identities.found_in(data)


def matches_in(stream: IO[bytes], search: Search, *, depth: int = 0) -> set[Match]:
    """Who stands in a stream: as it is, and unpacked where it is packed.

    Known are gzip, zstandard, zip (so npz too), Parquet and npy; safetensors hold their numbers
    plain.

    Args:
        stream: Can be read anywhere; read from its start.
        search: What is looked for; counts what is read.
        depth: How often it was unpacked.

    Raises:
        OSError, EOFError, ValueError: It is packed and cannot be unpacked to its end (errors of
            zlib, zipfile, zstandard and pyarrow are turned into these).
    """
    stream.seek(0)
    found = _plain(stream, search)
    stream.seek(0)
    head = stream.read(8)
    if depth == DEEPEST:
        return found
    try:
        for part in _unpacked(stream, head, search):
            found |= part if isinstance(part, set) else matches_in(part, search, depth=depth + 1)
    except (zipfile.BadZipFile, zstandard.ZstdError, pa.ArrowException) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise ValueError(f"zlib: {error}") from error
        raise
    return found


def _plain(stream: IO[bytes], search: Search) -> set[Match]:
    """Who stands in the bytes as they are; those of a name may stand in two pieces."""
    found: set[Match] = set()
    before, overlap = b"", search.identities.longest
    while piece := stream.read(PIECE_BYTES):
        found |= search.found_in(before + piece)
        search.bytes_read -= len(before)
        before = piece[-overlap:]
    return found


def _unpacked(stream: IO[bytes], head: bytes, search: Search) -> Iterator[IO[bytes] | set[Match]]:
    """What is in a file: streams to read as it was, or who was found in its values."""
    stream.seek(0)
    compression = next((name for name, magic in MAGIC.items() if head.startswith(magic)), "")
    if compression:
        with _copied(unpacked(stream, compression)) as copy:
            yield copy
    elif head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                with archive.open(member) as plain, _copied(plain) as copy:
                    yield copy
    elif head.startswith(b"PAR1"):
        for batch in pq.ParquetFile(stream).iter_batches(ROWS_AT_ONCE):
            yield from (_in_array(column, search) for column in batch.columns)
    elif head.startswith(b"\x93NUMPY"):
        yield _in_texts(stream, search)


def _copied(stream: Any) -> "tempfile.SpooledTemporaryFile[bytes]":
    copy = tempfile.SpooledTemporaryFile(max_size=HELD_BYTES)  # noqa: SIM115 its caller closes it
    shutil.copyfileobj(stream, copy, PIECE_BYTES)
    return copy


def _in_array(array: Any, search: Search) -> set[Match]:
    """Who stands in the values of an Arrow array, at any depth."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _in_array(array.dictionary, search)
    if pa.types.is_nested(kind):
        return {match for part in _parts(array) for match in _in_array(part, search)}
    if pa.types.is_integer(kind):
        return search.found_in(b"".join(bytes(b) for b in array.buffers()[1:] if b is not None))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return search.found_in("\n".join(pc.unique(array.drop_null()).to_pylist()).encode())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return search.found_in(b"\n".join(pc.unique(array.drop_null()).to_pylist()))
    return set()


def _parts(array: Any) -> list[Any]:
    """The arrays in a nested one."""
    if pa.types.is_map(array.type):
        return [array.keys, array.items]
    inner = array.flatten()
    return inner if isinstance(inner, list) else [inner]


def _in_texts(stream: IO[bytes], search: Search) -> set[Match]:
    """Who stands in the texts of an npy file; its numbers were read as bytes."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    _, _, kind = read(stream)
    if kind.kind not in "US":
        return set()
    stream.seek(0)
    texts = np.unique(np.load(io.BytesIO(stream.read()), allow_pickle=False)).tolist()
    joined = (text if isinstance(text, bytes) else text.encode() for text in texts)
    return search.found_in(b"\n".join(joined))
