"""The event store as a stream of records: which objects exist, and how much of one is held."""

import gzip
import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.errors import SourceError
from firstchair.sources import EventStore
from tests.s3 import serving

BUCKET = "events-of-a-test"


def store(folder: Path) -> EventStore:
    return EventStore(str(folder), {})


def lines(folder: Path, name: str, data: bytes) -> list[tuple[int, str]]:
    (folder / name).write_bytes(data)
    return [(record.line, record.text) for record in store(folder).records(name)]


def test_objects_are_named_relative_to_the_url_with_their_size(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.jsonl").write_bytes(b"{}")
    (tmp_path / "a.json.gz").write_bytes(b"1234")
    (tmp_path / "notes.txt").write_bytes(b"")

    assert store(tmp_path).objects() == {"a.json.gz": 4, "deep/b.jsonl": 2}
    assert EventStore(f"file://{tmp_path}/", {}).objects() == store(tmp_path).objects()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_an_object_is_replaced_packed_as_it_was(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    before = pack(b'{"a":1}\n')
    (tmp_path / "a.json").write_bytes(before)

    state = store(tmp_path).replace("a.json", b'{"b":2}\n')

    assert store(tmp_path).states() == {"a.json": state}
    assert (tmp_path / "a.json").read_bytes()[:1] == before[:1]
    assert [record.text for record in store(tmp_path).records("a.json")] == ['{"b":2}']
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]
    with pytest.raises(SourceError, match="cannot be written"):
        store(tmp_path).replace("gone.json", b"")


def test_objects_that_came_since_an_instant_are_told_apart(tmp_path: Path) -> None:
    for name, changed in (("old.json", 100), ("new.json", 200)):
        (tmp_path / name).write_bytes(b"{}")
        os.utime(tmp_path / name, (changed, changed))

    assert store(tmp_path).changed_since(150) == ["new.json"]
    assert store(tmp_path / "nowhere").changed_since(150) == []


def test_a_folder_whose_name_begins_alike_is_another_folder(tmp_path: Path) -> None:
    for name in ("events", "events-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_bytes(b"{}")

    assert list(store(tmp_path / "events").objects()) == ["events.json"]


def test_lines_keep_their_number_in_the_object(tmp_path: Path) -> None:
    assert lines(tmp_path, "a.jsonl", b'\n{"a":1}\n\n  {"b":2}  \r\n') == [
        (2, '{"a":1}'),
        (4, '{"b":2}'),
    ]


def test_an_object_printed_over_several_lines_is_one_record(tmp_path: Path) -> None:
    printed = json.dumps({"a": [1, {"b": 2}]}, indent=2)

    assert lines(tmp_path, "a.json", f"\n{printed}\n".encode()) == [(2, printed)]


def test_objects_that_are_no_event_objects_by_name_are_counted_by_ending(tmp_path: Path) -> None:
    names = (
        "a.json",
        "b.JSON",
        "c.csv",
        "deep/d.csv",
        "_SUCCESS",
        "e.jsonl.gz.partial",
        "f.json.bz2",
    )
    (tmp_path / "deep").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"{}")

    listing = store(tmp_path).listing()

    assert list(listing.states) == ["a.json"]
    assert [(of.ending, of.objects, of.size, of.first) for of in listing.skipped] == [
        ("", 1, 2, "_SUCCESS"),
        (".JSON", 1, 2, "b.JSON"),
        (".bz2", 1, 2, "f.json.bz2"),
        (".csv", 2, 4, "c.csv"),
    ]


PLAIN = b'\n {"a":1}{"b":2}'
PACKED = {"gzip": gzip.compress(PLAIN), "zstandard": zstandard.ZstdCompressor().compress(PLAIN)}


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("content", [*PACKED, "plain"])
def test_the_content_says_how_an_object_is_compressed(
    tmp_path: Path, suffix: str, content: str
) -> None:
    found = lines(tmp_path, f"a.json{suffix}", PACKED.get(content, PLAIN))

    assert found == [(2, '{"a":1}'), (3, '{"b":2}')]


def test_a_broken_first_line_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a":\n{"b":2}\n{"c":3}')

    found = list(store(tmp_path).records("a.jsonl"))

    assert [(record.line, record.refused) for record in found] == [
        (1, "not_json"),
        (2, None),
        (3, None),
    ]


def test_frames_of_zstandard_that_follow_one_another_are_one_object(tmp_path: Path) -> None:
    pack = zstandard.ZstdCompressor().compress

    assert lines(tmp_path, "a.jsonl.zst", pack(b'{"a":1}\n{"b"') + pack(b":2}\n")) == [
        (1, '{"a":1}'),
        (2, '{"b":2}'),
    ]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@settings(max_examples=25, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True, exclude_min=True))
def test_a_compressed_object_that_is_cut_anywhere_is_refused_whole(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, cut: float
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    data = b"\n".join(json.dumps({"number": number}).encode() for number in range(20_000))
    packed = gzip.compress(data) if suffix == ".gz" else zstandard.ZstdCompressor().compress(data)
    name = f"a.jsonl{suffix}"
    (folder / name).write_bytes(packed[: max(1, int(len(packed) * cut))])

    found = list(store(folder).records(name))

    assert [(record.line, record.refused) for record in found] == [(1, "not_json")]


def test_a_line_of_100_mb_is_not_held(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(b'{"a":1}\n')
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'\n{"b":2}\n')

    tracemalloc.start()
    found = [
        (record.line, record.refused, len(record.text))
        for record in store(tmp_path).records("a.jsonl.gz")
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found == [(1, None, 7), (2, "out_of_range", 2_000), (3, None, 7)]
    assert peak < 20_000_000


def test_records_of_an_object_are_a_stream(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"number":1}\n' * 100_000)

    tracemalloc.start()
    count = sum(1 for _ in store(tmp_path).records("a.jsonl"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 100_000
    assert peak < 5_000_000


def test_a_store_in_memory_is_read_like_a_folder() -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/landing/2026/a.jsonl.gz", gzip.compress(b'{"a":1}'))
    memory = EventStore("memory://landing", {})

    assert list(memory.objects()) == ["2026/a.jsonl.gz"]
    assert [record.text for record in memory.records("2026/a.jsonl.gz")] == ['{"a":1}']


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Storage options of an S3 server on this machine, with one empty bucket."""
    with serving(tmp_path / "requests.log") as server:
        options = {
            "key": "test",
            "secret": "test",  # pragma: allowlist secret
            "client_kwargs": {"endpoint_url": server.endpoint, "region_name": "eu-central-1"},
            "skip_instance_cache": True,
        }
        fsspec.filesystem("s3", **options).mkdir(BUCKET)
        yield options


def test_a_bucket_is_read_like_a_folder(s3: dict[str, Any]) -> None:
    bucket = fsspec.filesystem("s3", **s3)
    bucket.pipe(f"{BUCKET}/landing/2026/01/a.jsonl.gz", gzip.compress(b'{"a":1}\nno event'))
    bucket.pipe(f"{BUCKET}/landing-old/b.json", b"{}")
    landing = EventStore(f"s3://{BUCKET}/landing", s3)

    found = list(landing.records("2026/01/a.jsonl.gz"))

    assert (
        list(landing.objects())
        == landing.changed_since(time.time() - 600)
        == ["2026/01/a.jsonl.gz"]
    )
    assert landing.changed_since(time.time() + 600) == []
    assert [(record.text, record.refused) for record in found] == [
        ('{"a":1}', None),
        ("no event", "not_json"),
    ]
    assert EventStore(f"s3://{BUCKET}/nothing/here", s3).objects() == {}

    bucket.pipe(f"{BUCKET}/landing/b[1]*.json", b'{"b":1}')
    bucket.pipe(f"{BUCKET}/landing/c.json.gz", gzip.compress(b'{"c":1}')[:-4])
    bucket.pipe(f"{BUCKET}/landing/d.json", b"")
    sizes = landing.objects()
    pieces = landing.pieces(sizes, lambda lines: np.ones(len(lines), bool))
    rows = [row for piece in pieces for row in piece.lines.to_pylist()]
    refused = [
        (name, record.refused)
        for piece in landing.pieces(sizes, lambda lines: np.zeros(len(lines), bool))
        for name, record in piece.records
    ]

    assert [(row["object_url"], row["raw"]) for row in rows] == [
        ("2026/01/a.jsonl.gz", '{"a":1}\n'),
        ("2026/01/a.jsonl.gz", "no event\n"),
        ("b[1]*.json", '{"b":1}\n'),
    ]
    assert sorted(refused, key=str) == sorted(
        [(n, record.refused) for n in sizes for record in landing.records(n)], key=str
    )


def test_a_store_that_does_not_answer_is_a_source_error() -> None:
    away = {
        "key": "test",
        "secret": "test",  # pragma: allowlist secret
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-central-1"},
        "config_kwargs": {"retries": {"max_attempts": 0}},
        "skip_instance_cache": True,
    }

    with pytest.raises(SourceError, match="cannot be read"):
        EventStore("s3://bucket/landing", away).objects()


def test_an_object_that_is_gone_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.json"):
        list(store(tmp_path).records("gone.json"))
