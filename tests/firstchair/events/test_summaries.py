"""Summaries of files: what they say equals a count over all records, and no file is read twice."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair import events
from firstchair.events.summaries import repeated_numbers
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIRST = date(2026, 1, 5)
NUMBERS = st.one_of(
    st.integers(-2, 12), st.sampled_from([None, -(2**63), 2**63 - 2, 2**63 - 1]), st.integers(0, 40)
)
RECORD = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["app", "web", None]),
        "source_seq": NUMBERS,
        "event_date": st.integers(0, 3).map(lambda day: FIRST + timedelta(days=day)),
        "batch_id": st.sampled_from(["b1", "b2", None]),
        "read_at": st.integers(0, 2).map(lambda hour: NOW + timedelta(hours=hour)),
        "reason": st.sampled_from(["not_json", "bad_type"]),
        "event_id": st.integers(0, 9).map(str),
    }
)
RECORDS = st.lists(RECORD, min_size=1, max_size=8)
TABLES = st.sampled_from([t.BRONZE_EVENTS, t.QUARANTINE_EVENTS, t.EVENTS])
STEP = st.tuples(st.sampled_from(["append", "append", "delete", "rewrite"]), TABLES, RECORDS)


def rows_of(table: t.Table, records: list[dict[str, Any]]) -> pa.Table:
    """The records in the columns of a table; those of bronze are all of a batch."""
    given = {"event_type": "login", "occurred_at": NOW, "simulated": False, "user_key": "u"}
    rows = [
        given
        | record
        | {"ingested_at": record["read_at"], "quarantined_at": record["read_at"]}
        | ({"batch_id": record["batch_id"] or "b3"} if table is t.BRONZE_EVENTS else {})
        for record in records
    ]
    names = table.schema.names
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in names} for row in rows], schema=table.schema
    )


def holes(lake: Lake, before: date | None) -> dict[str, int]:
    """Missing numbers by source, from the records themselves."""
    records = [
        (row["source"], row["source_seq"], row["event_date"])
        for table in (t.BRONZE_EVENTS, t.QUARANTINE_EVENTS)
        for row in lake.read(table).to_pylist()
        if row["source"] is not None and row["source_seq"] is not None
    ]
    newest: dict[str, int] = {}
    for source, number, day in records:
        if before is None or (day is not None and day < before):
            newest[source] = max(number, newest.get(source, number))
    seen: dict[str, set[int]] = defaultdict(set)
    for source, number, _ in records:
        if 0 <= number <= newest.get(source, -1):
            seen[source].add(number)
    return {
        source: max(numbers) - min(numbers) + 1 - len(numbers) for source, numbers in seen.items()
    }


def waiting(lake: Lake) -> dict[date, int]:
    """Landed records by day, less those that became something."""
    count: Counter[date] = Counter()
    for row in lake.read(t.BRONZE_EVENTS).to_pylist():
        count[row["event_date"]] += 1
    for row in lake.read(t.EVENTS).to_pylist():
        count[row["event_date"]] -= 1
    for row in lake.read(t.QUARANTINE_EVENTS, "batch_id is null").to_pylist():
        count[row["event_date"]] -= 1
    return {day: found for day, found in count.items() if found > 0}


def repeated(lake: Lake) -> set[tuple[str, int]]:
    """Source and number of each number that several landed events have."""
    count = Counter(
        (row["source"], row["source_seq"]) for row in lake.read(t.BRONZE_EVENTS).to_pylist()
    )
    return {pair for pair, found in count.items() if found > 1 and None not in pair}


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=1, max_size=6))
def test_what_is_told_of_history_is_what_its_records_say_whatever_was_done_to_them(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, t.Table, list[dict[str, Any]]]]
) -> None:
    folder = tmp_path_factory.mktemp("summaries")
    lake = Lake(str(folder / "lake"), index=folder / "index")
    for deed, table, records in steps:
        if deed == "append":
            lake.append(table, rows_of(table, records))
        else:
            wanted = f"event_id in ({', '.join(repr(one['event_id']) for one in records)})"
            if deed == "delete":
                lake.delete(table, wanted)
            else:
                lake.update(table, {"source": "'web'"}, wanted)
        # Asked after each step, so that the summaries are of other times than the records.
        for before in (None, FIRST + timedelta(days=2)):
            assert events.sequence_gaps(lake, before=before) == holes(lake, before)
        assert {day.day: day.events for day in events.waiting_days(lake)} == waiting(lake)
        reasons = Counter(lake.read(t.QUARANTINE_EVENTS).column("reason").to_pylist())
        found = events.reconcile(lake)
        assert (found.quarantined, found.accepted) == (dict(reasons), lake.count(t.EVENTS))
        files = lake.scan(t.BRONZE_EVENTS, only=repeated_numbers(lake))
        for source, number in repeated(lake):
            same = f"source = '{source}' and source_seq = {number}"
            assert number_in(files, same) == lake.count(t.BRONZE_EVENTS, same)


def number_in(files: str, where: str) -> int:
    """Rows of some files that SQL names."""
    with connect() as connection:
        return len(connection.execute(f"select 1 from {files} where {where}").fetchall())


def landed(*numbers: int, day: int = 0) -> pa.Table:
    """Landed events of the source `app` with these numbers."""
    record = {"source": "app", "event_date": FIRST + timedelta(days=day), "read_at": NOW}
    return rows_of(
        t.BRONZE_EVENTS,
        [record | {"batch_id": "b", "source_seq": n, "event_id": str(n)} for n in numbers],
    )


def test_a_file_that_was_summarised_is_not_read_again(lake: Lake, tmp_path: Path) -> None:
    lake.append(t.BRONZE_EVENTS, landed(1, 2, 5))
    assert events.sequence_gaps(lake) == {"app": 2}
    (old,) = (tmp_path / "lake").rglob("*.parquet")
    old.unlink()

    lake.append(t.BRONZE_EVENTS, landed(4, 6, day=1))

    assert events.sequence_gaps(lake) == {"app": 1}
    assert [day.events for day in events.waiting_days(lake)] == [3, 2]
    assert repeated_numbers(lake) == set()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(path.read_bytes()[:-300] + b"\1" + path.read_bytes()[-299:]),
    ],
    ids=["missing", "empty", "cut short", "one byte"],
)
def test_summaries_that_are_not_as_they_were_written_are_made_anew(
    lake: Lake, damage: Callable[[Path], Any]
) -> None:
    assert lake.index is not None
    lake.append(t.BRONZE_EVENTS, landed(1, 2, 5))
    before = events.sequence_gaps(lake)
    damage(lake.index / "bronze-events.summary")

    assert events.sequence_gaps(lake) == before == {"app": 2}


def test_tables_are_told_as_they_stood_where_they_are_pinned(lake: Lake) -> None:
    lake.append(t.BRONZE_EVENTS, landed(1, 5))
    version = lake.version(t.BRONZE_EVENTS)
    lake.append(t.BRONZE_EVENTS, landed(2, 3, 4))
    assert events.sequence_gaps(lake) == {"app": 0}

    assert events.sequence_gaps(lake.at({t.BRONZE_EVENTS.name: version})) == {"app": 3}
    assert events.sequence_gaps(lake) == {"app": 0}


def test_where_no_summary_can_be_kept_the_tables_are_read_each_time(
    tmp_path: Path, lake: Lake
) -> None:
    (tmp_path / "a file").touch()
    unkept = Lake(lake.url, index=tmp_path / "a file" / "index")
    lake.append(t.BRONZE_EVENTS, landed(1, 4))

    assert events.sequence_gaps(unkept) == events.sequence_gaps(Lake(lake.url)) == {"app": 2}
