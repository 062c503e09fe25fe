"""Whatever separates records, each is read once, and damage costs no more than itself."""

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.sources import Record, records_of
from firstchair.sources.records import MAX_RECORD_BYTES, READ_AT_ONCE

TEXT = st.text(max_size=12) | st.sampled_from(['"', "\\", "}{", "[", '{"a":', "\n", 'x"}'])
INNER = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
EVENT = st.dictionaries(TEXT, INNER, max_size=4)


def read(data: bytes) -> list[Record]:
    return list(records_of(io.BytesIO(data)))


def sound(data: bytes) -> list[Any]:
    found = read(data)
    assert [record.detail for record in found if record.refused] == []
    return [json.loads(record.text) for record in found]


def printed(event: dict[str, Any], indent: int | None) -> str:
    return json.dumps(event, indent=indent, ensure_ascii=False)


@settings(max_examples=40, deadline=None)
@given(
    events=st.lists(EVENT, min_size=1, max_size=6),
    indent=st.sampled_from([None, 1, 2]),
    separator=st.sampled_from(["", " ", "\n", "\r\n", "\n\n  "]),
)
def test_objects_one_after_another_are_read_whatever_stands_between(
    events: list[dict[str, Any]], indent: int | None, separator: str
) -> None:
    data = separator.join(printed(event, indent) for event in events).encode()

    found = read(data)

    assert [json.loads(record.text) for record in found] == events
    assert [record.refused for record in found] == [None] * len(events)
    assert len({record.line for record in found}) == len(events)


@settings(max_examples=40, deadline=None)
@given(events=st.lists(EVENT, max_size=6), indent=st.sampled_from([None, 1, 2]))
def test_an_array_of_events_is_its_elements(
    events: list[dict[str, Any]], indent: int | None
) -> None:
    data = json.dumps(events, indent=indent, ensure_ascii=False).encode()

    assert sound(data) == events
    assert sound(data + b"\n" + data) == events * 2


def test_lines_of_an_array_and_its_commas_are_read() -> None:
    data = b'[\n{"a":1},\n{"b":2},{"c":3}\n, {"d":4}\n]\n'

    assert [(record.line, record.text) for record in read(data)] == [
        (2, '{"a":1}'),
        (3, '{"b":2}'),
        (4, '{"c":3}'),
        (5, '{"d":4}'),
    ]


@pytest.mark.parametrize(
    ("data", "refused", "kept"),
    [
        (b'{"a":1,}{"b":2}', ['{"a":1,}'], 1),
        (b'{"a":1}}\n{"b":2}', ["}"], 2),
        (b'{"a":1}{"b":\n{"c":3}', ['{"b":'], 2),
        (b'{"a":"x\n{"b":2}\n{"c":3}', ['{"a":"x'], 2),
        (b'{"a":"\\\n{"b":2}', ['{"a":"\\'], 1),
        (b'{"a":\n  {"b":2}\n {"c":3}', ['{"a":'], 2),
        (b'{\n "a": 1,\n "b": [\n{\n "c": 3\n}\n', ['{\n "a": 1,\n "b": ['], 1),
        (b'noise {"a":1}\n{"b":2}', ['noise {"a":1}'], 1),
        (b'[{"a":1},{"b":', ['{"b":'], 1),
        (b'[{"a":1},', [""], 1),
        (b"[", [""], 0),
        (b'{"a":1}\n[1, 2]\n{"b":2}', [], 3),
        (b"", [""], 0),
        (b"\xef\xbb\xbf \n", [""], 0),
        (b"\xef\xbb\xbf[]", [], 0),
    ],
)
def test_what_is_no_json_takes_nothing_else_with_it(
    data: bytes, refused: list[str], kept: int
) -> None:
    found = read(data)

    assert [record.text for record in found if record.refused == "not_json"] == refused
    assert sum(record.refused is None for record in found) == kept


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a":1,"a":2}', "a"),
        ('{"a":1,"\\u0061":1}', "a"),
        ('{"b":{"a" :1,"a"\t:1}}', "a"),
        ('[[{"ü":[{"x":0,"ü":0,"x":0}]}]]', "x"),
        ('{"a":1,"a":2,"b":"\\u003a"}', "a"),
        ('{"a":1,"a":2,"b":"\\u003A:"}', "a"),
        ('{"a":{"b":":"},"a":1}', "a"),
        ('{"user-ann-7781":1,"user-ann-7781":2}', None),
    ],
)
def test_a_name_that_stands_twice_in_one_object_is_refused(text: str, name: str | None) -> None:
    [found] = read(text.encode())

    assert (found.refused, found.detail) == (
        "not_json",
        f"the name {name} is repeated" if name else "a name is repeated",
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\"a\\":","b":":"}',
        '{"a":{"a":[{"a":1},{"a":1}]}}',
        '{"a":"\\u003a","b" : "\\u0022:"}',
    ],
)
def test_a_name_may_stand_in_many_objects_and_in_texts(text: str) -> None:
    assert [record.refused for record in read(text.encode())] == [None]


@pytest.mark.parametrize("filler", [b"x", b'\\"', b"}{"])
@pytest.mark.parametrize("extra", [-8, -7, 7, READ_AT_ONCE + 1])
def test_a_record_at_the_limit_is_read_and_a_longer_one_is_passed_over(
    filler: bytes, extra: int
) -> None:
    times = (MAX_RECORD_BYTES + extra) // len(filler)
    long = b'{"a":"' + filler * times + b'"}'

    first, middle, last = read(b'{"first":1}' + long + b'{"last":1}')

    assert (first.text, last.text) == ('{"first":1}', '{"last":1}')
    assert middle.size == len(long)
    if len(long) <= MAX_RECORD_BYTES:
        assert middle.text == long.decode()
    else:
        assert (middle.refused, len(middle.text.encode()) <= 4_000) == ("out_of_range", True)


def test_objects_without_a_line_break_are_a_stream() -> None:
    data = io.BytesIO((b'{"a":{"text":"' + b"x" * 4_000 + b'"}}') * 3_000)

    tracemalloc.start()
    count = sum(1 for record in records_of(data) if record.refused is None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 3_000
    assert peak < 6_000_000


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(
        st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b"\n", b",", b":", b"1", b"a", b" "])
    )
)
def test_whatever_the_bytes_nothing_of_them_is_lost(data: list[bytes]) -> None:
    whole = b"".join(data)

    found = read(whole)

    assert len({record.line for record in found}) == len(found)
    told = "".join(record.text for record in found)
    for character in '{}"\\:1a':
        missing = whole.decode().count(character) - told.count(character)
        assert missing == 0
