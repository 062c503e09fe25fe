"""Bytes to records: JSON values one after another or in an array, bounded in size and depth."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import orjson

# A record over this many bytes is no event; it is skipped over, not held.
MAX_RECORD_BYTES = 1 << 20
KEPT_OF_LONG_RECORD = 2_000
# What may be told of a name that a sender chose: it looks like a field's, and not like a value.
PLAIN_NAME = re.compile(r"[A-Za-z_$.-]{1,40}")
READ_AT_ONCE = 1 << 19
LINES_AT_ONCE = 1 << 15
USUAL_RECORD_BYTES = 1 << 12
# What walks a record recursively must never run out of stack.
MAX_DEPTH = 64

_BLANK, _SEPARATORS = re.compile(rb"[ \t\r\n]*"), re.compile(rb"[ \t\r\n,]*")
# Unrolled and without possessive repeats, which match wrongly up to CPython 3.11.4
# (https://github.com/python/cpython/issues/106052).
_TEXT = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_SCALAR = re.compile(_TEXT + rb'|[^\s,\[\]{}"]+')
# Outside of texts: up to a bracket, a line end, or the quote of a text that does not end here.
_FLAT = re.compile(rb'(?:[^{}\[\]"\n]+|' + _TEXT + rb")*")
_IN_TEXT = re.compile(rb'[^"\\\n]*(?:\\.[^"\\\n]*)*')


class Record(NamedTuple):
    """One record of an object.

    line: the line on which it begins (1-based); of several records on a line, each after the first
        has the number after the one before, so that no two records of an object have the same.
    text: the JSON, or the first characters of what is refused.
    refused: a stable reason code, or None; detail: what was found, for a person.
    size: bytes of it in the unpacked object.
    """

    line: int
    text: str
    refused: str | None = None
    detail: str = ""
    size: int = 0


def record_of(text: bytes, line: int) -> Record | None:
    """The record that a line is, without blanks around it; None where it is not one JSON value."""
    value = _parsed(text) if len(text) <= MAX_RECORD_BYTES else None
    return None if value is None else _judged(line, text, value)


class Stream(Protocol):
    """Bytes that are read once, in order."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def records_of(stream: Stream) -> Iterator[Record]:
    """The records of plain bytes, in order.

    A record is a JSON value: the only one, one of several with or without newlines between, or an
    element where the object begins with an array. What is no JSON is refused up to the end of its
    brackets or, where they do not close, of its line; what follows is read. So is an object without
    a record, and an array that does not end.
    """
    line = 0
    for record in Splitter(stream).records():
        line = max(record.line, line + 1)
        yield record if record.line == line else record._replace(line=line)


class Splitter:
    """Cuts a stream into JSON values, and into lines where there is none.

    At least the longest record that is allowed is held from `_at` on, or what the stream has left.

    Args:
        stream: Plain bytes.
        line: The line of the object on which they begin.
        one_line: Values over several lines were given up before.
        is_start: They are the beginning of the object.
    """

    def __init__(
        self, stream: Stream, *, line: int = 1, one_line: bool = False, is_start: bool = True
    ) -> None:
        self._stream, self._is_start = stream, is_start
        self._data, self._at, self._ended = b"", 0, False
        self._line = line
        self._newline = -1  # place of the next one, once it was looked for
        self._mixed_line = 0  # the line that is no single value
        self.one_line = one_line

    def records(self) -> Iterator[Record]:
        """Every value and every line that is none; lines may repeat."""
        self._fill()
        if self._is_start and self._data.startswith(b"\xef\xbb\xbf"):
            self._at = 3
        if not self._skip(_BLANK) and self._is_start:
            yield Record(1, "", "not_json", "the object is empty")
        arrays, open_array = self._is_start and self._byte() == b"[", False
        last: Record | None = None
        while self._skip(_SEPARATORS if open_array else _BLANK):
            if arrays and self._byte() == (b"]" if open_array else b"["):
                self._move(self._at + 1)
                open_array, last = not open_array, None
                continue
            line = self._line
            if not arrays:
                yield from self._plain_lines()
            if self._line > line:
                continue
            last = self._value(open_array)
            yield last
        if open_array and (last is None or last.refused is None):
            yield Record(self._line, "", "not_json", "the array is not closed")

    def _plain_lines(self) -> Iterator[Record]:
        """The next whole lines, up to the first that is not one value: the usual case, and fast."""
        end = max(self._at, self._data.rfind(b"\n", self._at, self._at + LINES_AT_ONCE))
        for text in self._data[self._at : end].split(b"\n"):
            record = record_of(text.strip(b"\r\t "), self._line)
            if record is None:
                return
            self._line += 1
            self._at += len(text) + 1
            yield record

    def _value(self, in_array: bool) -> Record:
        """The record at this place."""
        if self._line != self._mixed_line:
            end = self._line_end()
            text = self._data[self._at : end].rstrip(b"\r\t ," if in_array else b"\r\t ")
            if (record := record_of(text, self._line)) is not None:
                self._at = end  # before the newline
                return record
            self._mixed_line = self._line
        if self._byte() in {b"{", b"["}:
            # Most events hold no other object, so they end at the first bracket.
            end = self._data.find(b"}", self._at, self._at + USUAL_RECORD_BYTES) + 1
            text = self._data[self._at : end]
            value = _parsed(text)
            return self._bracketed() if value is None else self._taken(end, text, value)
        scalar = _SCALAR.match(self._data, self._at) if in_array else None
        if scalar is not None and scalar.end() - self._at <= MAX_RECORD_BYTES:
            return self._taken(scalar.end())
        if self._line_end() - self._at <= MAX_RECORD_BYTES:
            return self._taken(self._line_end())
        return self._skipped(self._at, _to_line_end)

    def _bracketed(self) -> Record:
        """An object or array up to its last bracket, or its line where there is none."""
        brackets = _Brackets(one_line=self.one_line)
        stop = min(len(self._data), self._at + MAX_RECORD_BYTES)
        place, done = brackets.advance(self._data, self._at, stop)
        if done:
            return self._taken(place if brackets.closed else self._line_end(place))
        if self._line_end() - self._at <= MAX_RECORD_BYTES:
            # Many such values must not each be looked for to the end of the object.
            self.one_line = True
            return self._taken(self._line_end())
        brackets.one_line = True
        return self._skipped(place, lambda data, at: brackets.advance(data, at, len(data)))

    def _taken(self, end: int, text: bytes | None = None, value: Any = None) -> Record:
        """What lies before `end` as one record; `value`: as parsed, where it was."""
        text = self._data[self._at : end].strip() if text is None else text
        line = self._line
        self._move(end)
        if value is None and text != b"null":
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                shown = text.decode("utf-8", "replace")
                return Record(line, shown, "not_json", _fault(text, error), len(text))
        return _judged(line, text, value)

    def _skipped(self, place: int, advance: Callable[[bytes, int], tuple[int, bool]]) -> Record:
        """A record that is too long to be held; `advance` as `_Brackets.advance`, to the end."""
        line, shown = self._line, self._data[self._at : self._at + KEPT_OF_LONG_RECORD]
        size, done = 0, False
        while True:
            size += place - self._at
            self._move(place)
            if done or (self._at == len(self._data) and not self._more()):
                break
            place, done = advance(self._data, self._at)
            if place == self._at and not done:  # what is left depends on what follows
                place = self._at if self._more() else len(self._data)
        detail = f"the record has {size:,} bytes, over {MAX_RECORD_BYTES:,}"
        return Record(line, shown.decode("utf-8", "replace"), "out_of_range", detail, size)

    def _byte(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _skip(self, pattern: "re.Pattern[bytes]") -> bool:
        """Go to the next byte that is none of the pattern's; false at the end of the stream."""
        while True:
            self._fill()
            match = pattern.match(self._data, self._at)
            self._move(self._at if match is None else match.end())
            if self._at < len(self._data):
                self._fill()
                return True
            if not self._more():
                return False

    def _line_end(self, place: int | None = None) -> int:
        """Place of the next newline from here or from `place`, else the end of what is held."""
        if place is not None:
            found = self._data.find(b"\n", place)
            return len(self._data) if found < 0 else found
        if self._newline < self._at:
            self._newline = self._line_end(self._at)
        return self._newline

    def _move(self, place: int) -> None:
        self._line += self._data.count(b"\n", self._at, place)
        self._at = place

    def _fill(self) -> None:
        while len(self._data) - self._at <= MAX_RECORD_BYTES and not self._ended:
            self._more()

    def _more(self) -> bool:
        chunk = b"" if self._ended else self._stream.read(READ_AT_ONCE)
        self._ended = not chunk
        if chunk:
            self._data, self._at, self._newline = self._data[self._at :] + chunk, 0, -1
        return bool(chunk)


class _Brackets:
    """Follows the brackets of one value, over as many pieces of it as there are.

    one_line: the value may not go on after its line.
    """

    def __init__(self, *, one_line: bool) -> None:
        self.one_line = one_line
        self.closed = False
        self._depth, self._in_text = 0, False

    def advance(self, data: bytes, place: int, stop: int) -> tuple[int, bool]:
        """Where the value ends before `stop`, and true; else how far it is known, and false.

        A value ends after its last bracket (`closed`), or at a line end that no value can hold: in
        a text, or where the next line begins with an object while this one is open.
        """
        while place < stop:
            match = (_IN_TEXT if self._in_text else _FLAT).match(data, place, stop)
            place = place if match is None else match.end()
            byte = data[place : place + 1] if place < stop else b""
            if byte == b"":
                break
            if byte == b'"':
                self._in_text = not self._in_text
            elif self._in_text:
                is_cut = byte == b"\\" and place + 1 == stop
                return place, not is_cut
            elif byte == b"\n":
                if self.one_line or data[place + 1 : place + 2] == b"{":
                    return place, True
                if place + 1 == stop:
                    return place, False
            else:
                self._depth += 1 if byte in b"{[" else -1
                self.closed = self._depth <= 0
                if self.closed:
                    return place + 1, True
            place += 1
        return place, False


def _to_line_end(data: bytes, at: int) -> tuple[int, bool]:
    found = data.find(b"\n", at)
    return (len(data), False) if found < 0 else (found, True)


def _parsed(text: bytes) -> Any:
    """The value, or None where the text is no JSON (or null)."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _judged(line: int, text: bytes, value: Any) -> Record:
    """The record of a JSON value, refused where readers may take it for different things."""
    size = len(text)
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _is_deep(value):
        shown = text[:KEPT_OF_LONG_RECORD].decode("utf-8", "replace")
        return Record(line, shown, "out_of_range", "nested too deep", size)
    if not _has_distinct_names(text, value) and (name := _repeated(text)) is not None:
        return Record(line, text.decode(), "not_json", f"{name} is repeated", size)
    return Record(line, text.decode(), size=size)


def _fault(text: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as encoding:
        return f"not UTF-8 at byte {encoding.start}"
    return f"not JSON by RFC 8259: {error.msg} at character {error.pos}"


def _has_distinct_names(text: bytes, value: Any) -> bool:
    """Whether surely no object has a name twice; false where that has to be looked into."""
    # Every name has a colon behind it. Those in texts are as many in any JSON of the same value,
    # where none is escaped.
    return b"\\u003" not in text and text.count(b":") == orjson.dumps(value).count(b":")


def is_plain_name(name: str) -> bool:
    """Whether a name looks like that of a field: letters, `_`, `$`, `.`, `-`.

    A name with digits or other characters may be a value, such as the key of an account.
    """
    return PLAIN_NAME.fullmatch(name) is not None


def _repeated(text: bytes) -> str | None:
    """Which name one object has twice: some readers take the first value, some the last."""
    repeated: list[str] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in pairs)
        repeated.extend(name for name, count in counts.items() if count > 1)

    json.loads(text, object_pairs_hook=keep)
    if not repeated:
        return None
    return f"the name {repeated[0]}" if is_plain_name(repeated[0]) else "a name"


def _is_deep(value: Any) -> bool:
    """Whether lists and objects stand in one another more than `MAX_DEPTH` times."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = (
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        )
        level = [item for items in inner for item in items]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)
