"""The index of event ids: it finds what a look into all of bronze finds, and spares that look."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair.events import ingest
from firstchair.events.known_ids import KnownIds
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIRST = date(2026, 1, 5)
IDS = st.lists(st.integers(0, 60), min_size=1, max_size=12)
STEP = st.one_of(
    st.tuples(st.just("append"), IDS),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("rewrite"), IDS),
    st.tuples(st.just("ask"), IDS),
    st.tuples(st.just("look"), IDS),
)


def add(lake: Lake, ids: list[int]) -> None:
    """Append an event for each id, on one of three days."""
    rows = [
        {
            "event_id": f"e{number}",
            "event_type": "login",
            "occurred_at": NOW,
            "event_date": FIRST + timedelta(days=number % 3),
            "user_key": "u",
            "source": "app",
            "source_seq": number,
            "simulated": False,
            "object_url": "a",
            "line": 1,
            "batch_id": "b",
            "ingested_at": NOW,
        }
        for number in ids
    ]
    lake.append(t.BRONZE_EVENTS, pa.Table.from_pylist(rows, schema=t.BRONZE_EVENTS.schema))


def found(lake: Lake, ids: list[int], files: list[str] | None) -> set[str]:
    """Those of some ids that are in some files of bronze, or in all."""
    query = f"select distinct event_id from {lake.scan(t.BRONZE_EVENTS, only=files)}"
    with connect() as connection:
        return {event_id for (event_id,) in connection.execute(query).fetchall()} & named(ids)


def named(ids: list[int]) -> set[str]:
    """Event ids of some numbers."""
    return {f"e{number}" for number in ids}


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=2, max_size=6))
def test_every_known_id_is_in_a_file_that_is_named_whatever_was_done_to_bronze(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("known")
    lake = Lake(str(folder / "lake"))
    known_ids = KnownIds(lake, folder / "index")
    for deed, ids in [("append", [0, 1]), *steps, ("look", [*range(60)]), ("ask", [*range(60)])]:
        of_them = f"event_id in ({', '.join(map(repr, sorted(named(ids))))})"
        if deed == "append":
            add(lake, ids)
        elif deed == "delete":
            lake.delete(t.BRONZE_EVENTS, of_them)
        elif deed == "rewrite":
            lake.update(t.BRONZE_EVENTS, {"line": "line + 1"}, of_them)
        else:
            ask = known_ids.files_with if deed == "ask" else known_ids.files_to_look_into
            files = ask(pa.chunked_array([sorted(named(ids))]))
            assert found(lake, ids, files) == found(lake, ids, None)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_text('{"engine": "0", "segments": []}'),
        lambda folder: next(folder.glob("*.hashes.npy")).unlink(),
        lambda folder: next(folder.glob("*.places.npy")).write_bytes(b"\x93NUMPY"),
    ],
    ids=["manifest", "engine", "missing", "cut short"],
)
def test_an_index_that_cannot_be_read_is_made_anew(
    lake: Lake, tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    add(lake, [1, 2, 3])
    known_ids, asked = KnownIds(lake, tmp_path / "index"), pa.chunked_array([["e1", "e9"]])
    before = known_ids.files_with(asked)

    damage(tmp_path / "index")

    assert known_ids.files_to_look_into(asked) == sorted(lake.file_rows(t.BRONZE_EVENTS))
    assert known_ids.files_with(asked) == before
    assert len(before) == 1


def test_few_segments_stay_after_many_small_deliveries(lake: Lake, tmp_path: Path) -> None:
    known_ids = KnownIds(lake, tmp_path / "index")
    for number in range(20):
        add(lake, [number])
        known_ids.files_with(pa.chunked_array([["none"]]))

    segments = json.loads((tmp_path / "index" / "index.json").read_text())["segments"]
    arrays = [*(tmp_path / "index").glob("*.npy")]
    assert sum(segment["size"] for segment in segments) == 20
    assert len(segments) <= 3
    assert len(arrays) == 2 * len(segments)


def test_an_ingestion_reads_no_day_before_its_own_unless_an_id_of_it_comes_again(
    lake: Lake, tmp_path: Path, event: Any
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()

    def deliver(name: str, *delivered: dict[str, Any]) -> Any:
        (landing / name).write_text("\n".join(map(json.dumps, delivered)))
        return ingest(lake, events_url=str(landing), pseudonym_key=b"key", now=NOW)

    # The engine opens the first file of a table whatever is asked.
    deliver("first.jsonl", event(0, "login", occurred_at="2026-01-04T10:00:00Z"))
    old = event(1, "login", occurred_at="2026-01-05T10:00:00Z")
    deliver("a.jsonl", old)
    deliver("b.jsonl", event(2, "login", occurred_at="2026-01-06T10:00:00Z"))
    (path,) = (tmp_path / "lake" / "bronze" / "events").glob("event_date=2026-01-05/*.parquet")
    kept = path.read_bytes()
    path.write_bytes(b"not read")

    third = event(3, "login", occurred_at="2026-01-06T11:00:00Z")
    assert deliver("c.jsonl", third).accepted == 1

    path.write_bytes(kept)
    again = deliver("d.jsonl", old, third | {"source_seq": 9})
    assert (again.accepted, again.duplicates, again.conflicting_duplicates) == (0, 2, 1)
