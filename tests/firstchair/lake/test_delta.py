"""The lake as its writers and readers meet it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.errors import LakeError, SettingsError
from firstchair.lake import DuckDBEngine, Lake, open_engine
from firstchair.lake import tables as t

JANUARY_1, JANUARY_2, JANUARY_3 = (date(2026, 1, day) for day in (1, 2, 3))


def interactions(as_of: date, *pairs: tuple[str, str]) -> pa.Table:
    rows = [
        {"user_key": user, "artist_id": artist, "as_of": as_of, "confidence": 2.0, "preference": 1}
        for user, artist in pairs
    ]
    return pa.Table.from_pylist(rows, schema=t.INTERACTIONS.schema)


@pytest.mark.parametrize("table", t.ALL_TABLES, ids=lambda table: table.name)
def test_a_table_that_was_never_written_reads_as_empty(lake: Lake, table: t.Table) -> None:
    assert lake.read(table).schema == table.schema
    assert lake.count(table) == 0
    with DuckDBEngine(lake) as engine:
        assert engine.table(table).count().execute() == 0


# Folders that a wildcard, an address or SQL could take for something else.
FOLDERS = (
    "müsik 東京",
    "a b",
    "a#b",
    "a?b",
    "100%",
    "it's",
    "a*b",
    "a+b&c",
    "{a}",
    "~",
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_lake_in_a_folder_of_any_name_is_read_and_no_other(tmp_path: Path, folder: str) -> None:
    pair = interactions(JANUARY_1, ("ana", "a"))
    lakes = [Lake(str(tmp_path / name / "lake")) for name in (folder, "axb", "a", "aab")]
    for number, lake in enumerate(lakes):
        named = pair.set_column(0, "user_key", pa.array([f"user of {number}"]))
        lake.replace_partition(t.INTERACTIONS, named, JANUARY_1)

    with DuckDBEngine(lakes[0]) as engine:
        asked = engine.table(t.INTERACTIONS).select("user_key", "as_of").to_pyarrow().to_pylist()

    assert asked == [{"user_key": "user of 0", "as_of": JANUARY_1}]
    assert lakes[0].partitions(t.INTERACTIONS) == [JANUARY_1]
    lakes[0].delete(t.INTERACTIONS, "user_key = 'user of 0'")
    assert [lake.count(t.INTERACTIONS) for lake in lakes] == [0, 1, 1, 1]


def test_an_engine_that_is_not_there_is_refused_with_those_that_are(lake: Lake) -> None:
    with pytest.raises(SettingsError, match=r"no engine flink\..*Choose one of duckdb, spark"):
        open_engine(replace(lake, engine="flink"))


def test_a_partition_written_twice_holds_its_rows_once(lake: Lake) -> None:
    for _ in range(2):
        lake.replace_partition(
            t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1"), ("u2", "a1")), JANUARY_1
        )

    assert lake.count(t.INTERACTIONS) == 2


def test_replacing_one_day_leaves_the_others(lake: Lake) -> None:
    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1")), JANUARY_1)
    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_2, ("u1", "a2")), JANUARY_2)

    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_2, ("u1", "a3")), JANUARY_2)

    assert lake.read(t.INTERACTIONS, f"as_of = date '{JANUARY_1}'").column(
        "artist_id"
    ).to_pylist() == ["a1"]
    assert lake.read(t.INTERACTIONS, f"as_of = date '{JANUARY_2}'").column(
        "artist_id"
    ).to_pylist() == ["a3"]
    assert lake.partitions(t.INTERACTIONS) == [JANUARY_1, JANUARY_2]


def test_a_range_is_replaced_whole_even_where_it_becomes_empty(lake: Lake) -> None:
    for day in (JANUARY_1, JANUARY_2, JANUARY_3):
        lake.replace_partition(t.INTERACTIONS, interactions(day, ("u1", "a1")), day)

    lake.replace_range(t.INTERACTIONS, interactions(JANUARY_2, ("u9", "a9")), JANUARY_2, JANUARY_3)

    assert lake.partitions(t.INTERACTIONS) == [JANUARY_1, JANUARY_2]


def test_rows_of_another_partition_are_refused(lake: Lake) -> None:
    with pytest.raises(Exception, match="1 rows failed validation check"):
        lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_2, ("u1", "a1")), JANUARY_1)

    assert lake.count(t.INTERACTIONS) == 0


def test_nested_columns_and_utc_instants_come_back_as_written(lake: Lake) -> None:
    played_at = datetime(2026, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)
    row = {
        "user_key": "u1",
        "as_of": JANUARY_2,
        "recent_tracks": [
            {
                "track_id": "t1",
                "artist_id": "a1",
                "played_at": played_at,
                "ms_played": 9,
                "listen_ratio": 0.5,
            }
        ],
        "self_normalised": [("a1", 1.0)],
    }
    lake.replace_partition(
        t.USER_FEATURES, pa.Table.from_pylist([row], schema=t.USER_FEATURES.schema), JANUARY_2
    )

    back = lake.read(t.USER_FEATURES).to_pylist()[0]

    assert back["recent_tracks"][0]["played_at"] == played_at
    assert back["self_normalised"] == [("a1", 1.0)]


def test_the_fingerprint_is_of_the_rows_and_not_of_their_files_or_order(lake: Lake) -> None:
    lake.replace_partition(
        t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1"), ("u2", "a2")), JANUARY_1
    )
    before = lake.fingerprint(t.INTERACTIONS)

    lake.replace_partition(
        t.INTERACTIONS, interactions(JANUARY_1, ("u2", "a2"), ("u1", "a1")), JANUARY_1
    )
    rewritten = lake.fingerprint(t.INTERACTIONS)
    lake.replace_partition(
        t.INTERACTIONS, interactions(JANUARY_1, ("u2", "a2"), ("u1", "a9")), JANUARY_1
    )

    assert rewritten == before
    assert lake.fingerprint(t.INTERACTIONS) != before


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=6))
def test_any_text_survives_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_1, *pairs), JANUARY_1)

    back = lake.read(t.INTERACTIONS)

    assert sorted(
        zip(back.column("user_key").to_pylist(), back.column("artist_id").to_pylist(), strict=True)
    ) == sorted(pairs)


def test_a_table_that_cannot_be_read_says_where_and_what_to_do(lake: Lake) -> None:
    lake.append(t.EVENTS, t.EVENTS.schema.empty_table())
    for commit in Path(lake.url, "silver", "events", "_delta_log").glob("*.json"):
        commit.write_text("not a commit")

    with pytest.raises(LakeError) as fault:
        lake.snapshot(t.EVENTS)

    assert fault.value.where.endswith("silver/events")
    assert "lake_url" in fault.value.remedy


SPILLING = """
import os, signal, tempfile
from pathlib import Path
from firstchair.lake import connect
from firstchair.memory import limit_engine

limit_engine(64 * 2**20)
with connect() as connection:
    connection.execute(
        "create temp table kept as select md5(i::varchar) as text from range(2_000_000) r(i)"
    )
    (folder,) = Path(tempfile.gettempdir()).iterdir()
    assert list(folder.iterdir())
    numbers = "select sum(i) from (select i, md5(i::varchar) as text from range(500_000) r(i) "
    assert connection.execute(f"{numbers} order by text)").fetchall() == [(124_999_750_000,)]
    if KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def spilling(folder: Path, *, killed: bool) -> int:
    """Exit code of a process that needs more memory than it is allowed."""
    command = [sys.executable, "-c", f"KILLED = {killed}\n{SPILLING}"]
    return subprocess.run(command, env=os.environ | {"TMPDIR": str(folder)}, check=False).returncode


def test_what_exceeds_the_memory_allowed_goes_to_disk_and_a_kill_leaves_it_to_the_next(
    tmp_path: Path,
) -> None:
    assert spilling(tmp_path, killed=True) == -signal.SIGKILL
    assert list(tmp_path.iterdir())

    assert spilling(tmp_path, killed=False) == 0

    assert list(tmp_path.iterdir()) == []


def test_a_pinned_table_is_read_as_it_stood_and_others_as_they_stand(lake: Lake) -> None:
    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1")), JANUARY_1)
    pinned = lake.at({t.INTERACTIONS.name: lake.version(t.INTERACTIONS)})
    before = pinned.fingerprint(t.INTERACTIONS)

    lake.replace_partition(
        t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1"), ("u2", "a2")), JANUARY_1
    )

    assert pinned.count(t.INTERACTIONS) == 1
    assert pinned.fingerprint(t.INTERACTIONS) == before
    assert lake.count(t.INTERACTIONS) == 2


def test_a_table_pinned_before_it_was_written_is_empty(lake: Lake) -> None:
    pinned = lake.at({t.INTERACTIONS.name: lake.version(t.INTERACTIONS)})

    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1")), JANUARY_1)

    assert pinned.count(t.INTERACTIONS) == 0
    assert pinned.version(t.INTERACTIONS) == -1


def test_a_file_that_is_gone_is_a_fault_of_the_lake(lake: Lake) -> None:
    lake.replace_partition(t.INTERACTIONS, interactions(JANUARY_1, ("u1", "a1")), JANUARY_1)
    for file in Path(lake.url, t.INTERACTIONS.name).rglob("*.parquet"):
        file.unlink()

    with pytest.raises(LakeError, match="is gone"), lake.reading():
        lake.count(t.INTERACTIONS)


def artists(*names: str) -> pa.Table:
    return pa.Table.from_pylist([{"artist_id": name} for name in names], schema=t.ARTISTS.schema)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_table_whose_last_log_entry_is_cut_is_neither_read_nor_written(
    lake: Lake, share: float
) -> None:
    for name in ("a", "b"):
        lake.append(t.ARTISTS, artists(name))
    entry = max(Path(lake.location(t.ARTISTS), "_delta_log").glob("*.json"))
    whole = entry.read_bytes()
    entry.write_bytes(whole[: int(len(whole) * share)])

    for deed in (lambda: lake.count(t.ARTISTS), lambda: lake.append(t.ARTISTS, artists("c"))):
        with pytest.raises(LakeError, match=r"silver/artists cannot be opened.*restore") as fault:
            deed()
        assert "\n" not in str(fault.value)

    entry.write_bytes(whole)
    lake.append(t.ARTISTS, artists("c"))
    assert sorted(lake.read(t.ARTISTS)["artist_id"].to_pylist()) == ["a", "b", "c"]
