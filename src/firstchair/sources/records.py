"""Bytes to records: line by line, each bounded in size and depth, or refused with a stable reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import orjson

# A record over this many bytes is no event; it is skipped over, not held.
MAX_RECORD_BYTES = 1 << 20
KEPT_OF_LONG_RECORD = 2_000
SKIPPED_AT_ONCE = 1 << 20
# What walks a record recursively must never run out of stack.
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an object: its line (1-based) and text, or why it has no text that can be parsed.

    refused: a stable reason code, or None; detail: what was found, for a person.
    """

    line: int
    text: str
    refused: str | None = None
    detail: str = ""


def records_of(stream: IO[bytes]) -> Iterator[Record]:
    """The records of plain bytes: one JSON value a line, or one value over all lines; blank lines are none."""
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
    while chunk := stream.readline(SKIPPED_AT_ONCE):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            return skipped - 1
    return skipped


def _record(line: int, text: bytes, length: int) -> Record:
    if length:
        shown = text.decode("utf-8", "replace")
        return Record(line, shown, "out_of_range", f"the record has {length:,} bytes, over {MAX_RECORD_BYTES:,}")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Record(line, text.decode("utf-8", "replace"), "not_json", _fault(text, error))
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _is_deep(value):
        return Record(line, text[:KEPT_OF_LONG_RECORD].decode("utf-8", "replace"), "out_of_range", "nested too deep")
    return Record(line, text.decode())


def _fault(text: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as encoding:
        return f"not UTF-8 at byte {encoding.start}"
    return f"not JSON by RFC 8259: {error.msg} at character {error.pos}"


def _is_deep(value: Any) -> bool:
    """Whether lists and objects stand in one another more than `MAX_DEPTH` times."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [item for items in inner for item in items]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
