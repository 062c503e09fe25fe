"""Objects that are compressed: unpacking as a stream, and telling a truncated one."""

import gzip
import io
import zlib
from typing import IO, Any

import zstandard

CHUNK_BYTES = 1 << 20
# An object of up to so many plain bytes is unpacked once, into memory.
UNPACKED_BYTES = 8 << 20
# Small, since a piece may unpack to thousands of times its size.
ZSTANDARD_PIECE = 1 << 13
# First bytes of a compressed object by the suffix that its name should have.
MAGIC = {"gz": b"\x1f\x8b", "zst": b"\x28\xb5\x2f\xfd"}
# Enough to see the first character of JSON behind blanks.
HEAD_BYTES = 256
FAULTS = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


def compression_of(name: str, head: bytes) -> str:
    """How an object is compressed: `gz`, `zst`, or an empty text.

    The first bytes decide. Where they name no compression, the name does, unless JSON begins there.

    Args:
        name: Of the object.
        head: Its first `HEAD_BYTES` bytes, or all of them.
    """
    for suffix, magic in MAGIC.items():
        if head.startswith(magic):
            return suffix
    is_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}
    return "" if is_json else next((suffix for suffix in MAGIC if name.endswith(f".{suffix}")), "")


def unpacked_whole(stream: IO[bytes], compression: str) -> tuple[IO[bytes], str]:
    """The plain bytes of a compressed object, and why unpacking stopped early, or an empty text.

    A truncated object must leave nothing behind, and it shows its fault only at its end. So it is
    unpacked before it is read, and again while it is read if it is too large to be held.
    """
    stream.seek(0)
    held: list[bytes] = []
    size = 0
    try:
        plain = unpacked(stream, compression)
        while data := plain.read(CHUNK_BYTES):
            size += len(data)
            held = [*held, data] if size <= UNPACKED_BYTES else []
    except FAULTS as error:
        return io.BytesIO(), f"{type(error).__name__}: {error}"
    if size <= UNPACKED_BYTES:
        return io.BytesIO(b"".join(held)), ""
    stream.seek(0)
    return unpacked(stream, compression), ""


def unpacked(stream: IO[bytes], compression: str) -> IO[bytes]:
    """The plain bytes of an object; `compression` as `compression_of` returns it."""
    if compression == "gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=stream, mode="rb"), CHUNK_BYTES)
    if compression == "zst":
        return io.BufferedReader(_Zstandard(stream), CHUNK_BYTES)
    return stream


def packed(plain: bytes, compression: str) -> bytes:
    """Bytes packed so that `unpacked` gives them again; equal bytes give equal ones."""
    if compression == "gz":
        return gzip.compress(plain, mtime=0)
    if compression == "zst":
        return zstandard.ZstdCompressor().compress(plain)
    return plain


class _Zstandard(io.RawIOBase):
    """Frames of zstandard as a raw stream that fails at a truncated frame, unlike the library's."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._frame: Any = None
        self._packed = b""
        self._unpacked = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked and self._advance():
            pass
        data, self._unpacked = self._unpacked[: len(buffer)], self._unpacked[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _advance(self) -> bool:
        """Unpack the next piece; false at the end of the source."""
        self._packed = self._packed or self._source.read(ZSTANDARD_PIECE)
        if not self._packed:
            if self._frame is not None:
                raise EOFError("the compressed object ends within a frame")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._unpacked = self._frame.decompress(self._packed)
        self._packed = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame = None
        return True
