"""Records read in bulk are those that are read one by one, whatever lies between them."""

import io
import re
from typing import IO
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.sources import Record, records_of
from firstchair.sources.lines import Flags, pieces_of

PLAIN = re.compile(rb'\{"a": ?"[^"\\\x00-\x1f]*"\}\r?\n')
BYTES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\n",
    b",",
    b":",
    b"1",
    b" ",
    b"\xc3",
    b"\xef\xbb\xbf",
]
LINES = [b'{"a": "b"}\n', b'{"a":"\xc3\xa9"}\r\n', b'{"a":"b"}', b'{"a":\n', b"\n{}", b'\n{"a":"']
OBJECT = st.lists(st.sampled_from([*LINES, *LINES, *BYTES])).map(b"".join)


def is_plain(lines: pa.LargeBinaryArray) -> Flags:
    return np.array([PLAIN.fullmatch(line) is not None for line in lines.to_pylist()], bool)


def in_bulk(objects: list[tuple[str, IO[bytes]]]) -> tuple[list[tuple[str, Record]], int]:
    """The records by object and line, and how many of them were plain lines."""
    found: list[tuple[str, Record]] = []
    plain = 0
    for piece in pieces_of(iter(objects), is_plain):
        found += piece.records
        plain += piece.lines.num_rows
        found += [
            (row["object_url"], Record(row["line"], row["raw"].rstrip("\r\n"), size=row["size"]))
            for row in piece.lines.to_pylist()
        ]
    return sorted(found, key=lambda one: (one[0], one[1].line)), plain


def one_by_one(objects: list[tuple[str, IO[bytes]]]) -> list[tuple[str, Record]]:
    return [(name, record) for name, stream in objects for record in records_of(stream)]


@settings(max_examples=200, deadline=None)
@given(objects=st.lists(OBJECT, max_size=4), part_bytes=st.sampled_from([8, 40, 1_000]))
def test_every_record_is_the_same_as_read_one_by_one(objects: list[bytes], part_bytes: int) -> None:
    def streams() -> list[tuple[str, IO[bytes]]]:
        return [(str(number), io.BytesIO(data)) for number, data in enumerate(objects)]

    with patch("firstchair.sources.lines.PART_BYTES", part_bytes):
        assert in_bulk(streams())[0] == one_by_one(streams())


def test_lines_around_a_fault_stay_plain() -> None:
    data = b'{"a":"1"}\n{"a":\n1}\n{"a":"2"}\n{"a":"3"}{"a":"4"}\n{"a":"5"}\n{"a":"6"}'

    found, plain = in_bulk([("one", io.BytesIO(data))])

    assert found == one_by_one([("one", io.BytesIO(data))])
    assert plain == 4
    assert [record.line for _, record in found] == [1, 2, 4, 5, 6, 7, 8]
