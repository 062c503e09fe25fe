"""What only earlier versions hold goes; the present version and every kept one read as before."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair.errors import LakeError
from firstchair.lake import Lake, LakeFiles, drop_earlier_versions, upkeep, vacuum
from firstchair.lake import tables as t
from tests.firstchair.lake.test_delta import FOLDERS, JANUARY_1, JANUARY_2, interactions

LEAVES, STAYS = "leaves-0123456789", "stays-0123456789"
NOTHING = timedelta(0)
DAYS = [date(2026, 1, day) for day in (1, 2, 3)]


def lived(folder: Path) -> Lake:
    """Two days with two users each, of whom one has left the table."""
    lake = Lake(str(folder / "lake"))
    for day in (JANUARY_1, JANUARY_2):
        lake.replace_partition(t.INTERACTIONS, interactions(day, (LEAVES, "a"), (STAYS, "b")), day)
    lake.delete(t.INTERACTIONS, f"user_key = '{LEAVES}'")
    return lake


def holding(folder: Path, text: str) -> list[str]:
    """Names of the files that hold a text, uncompressed or as a column's minimum or maximum."""
    return [p.name for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


@pytest.mark.parametrize("folder", FOLDERS)
def test_neither_files_nor_log_name_a_user_who_has_left(tmp_path: Path, folder: str) -> None:
    lake = lived(tmp_path / folder)
    rows = lake.fingerprint(t.INTERACTIONS)
    assert holding(tmp_path, LEAVES)

    assert vacuum(lake, t.INTERACTIONS) == 2
    assert drop_earlier_versions(lake, t.INTERACTIONS) >= 3

    assert not holding(tmp_path, LEAVES)
    assert lake.fingerprint(t.INTERACTIONS) == rows
    assert lake.partition_rows(t.INTERACTIONS) == {JANUARY_1: 1, JANUARY_2: 1}


def test_a_second_call_finds_nothing_and_makes_no_commit(tmp_path: Path) -> None:
    lake = lived(tmp_path)
    vacuum(lake, t.INTERACTIONS)
    drop_earlier_versions(lake, t.INTERACTIONS)
    version = lake.version(t.INTERACTIONS)

    assert vacuum(lake, t.INTERACTIONS) == 0
    assert drop_earlier_versions(lake, t.INTERACTIONS) == 0
    assert lake.version(t.INTERACTIONS) == version


def test_the_table_is_written_and_read_on_after_its_log_was_rewritten(tmp_path: Path) -> None:
    lake = lived(tmp_path)
    vacuum(lake, t.INTERACTIONS)
    drop_earlier_versions(lake, t.INTERACTIONS)

    third = date(2026, 1, 3)
    lake.replace_partition(t.INTERACTIONS, interactions(third, (STAYS, "c")), third)

    assert lake.partition_rows(t.INTERACTIONS) == {JANUARY_1: 1, JANUARY_2: 1, third: 1}


def test_a_version_that_was_dropped_is_refused_and_not_read_as_empty(tmp_path: Path) -> None:
    lake = lived(tmp_path)
    vacuum(lake, t.INTERACTIONS)
    drop_earlier_versions(lake, t.INTERACTIONS)

    with pytest.raises(LakeError, match="erased or vacuumed"):
        lake.at({t.INTERACTIONS.name: 1}).read(t.INTERACTIONS)


def test_files_that_left_the_table_a_moment_ago_are_kept_where_that_is_asked(
    tmp_path: Path,
) -> None:
    lake = lived(tmp_path)

    assert vacuum(lake, t.INTERACTIONS, older_than=timedelta(days=7)) == 0
    assert lake.at({t.INTERACTIONS.name: 2}).count(t.INTERACTIONS) == 4
    assert vacuum(lake, t.CHURN) == drop_earlier_versions(lake, t.CHURN) == 0


def events(day: date, *users: str) -> pa.Table:
    rows = [
        {name: None for name in t.EVENTS.schema.names} | {"event_date": day, "user_key": user}
        for user in users
    ]
    return pa.Table.from_pylist(rows, schema=t.EVENTS.schema)


def objects(*urls: str) -> pa.Table:
    rows = [{name: None for name in t.OBJECTS.schema.names} | {"object_url": url} for url in urls]
    return pa.Table.from_pylist(rows, schema=t.OBJECTS.schema)


def users(lake: Lake, version: int | None = None) -> list[str]:
    pinned = lake if version is None else lake.at({t.EVENTS.name: version})
    return sorted(pinned.read(t.EVENTS).column("user_key").to_pylist())


def stored(lake: Lake, table: t.Table) -> list[str]:
    folder = Path(lake.url, table.name)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Twelve commits: four appends a day, then a day replaced."""
    for day in DAYS[:2]:
        for number in range(5):
            lake.append(t.EVENTS, events(day, f"{day.day}-{number}"))
    lake.replace_partition(t.EVENTS, events(DAYS[0], "again"), DAYS[0])
    return lake


def test_small_files_become_one_a_day_with_the_same_rows(filled: Lake) -> None:
    before = users(filled)

    upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=NOTHING)

    size = upkeep.size_of(filled, t.EVENTS)
    assert size is not None
    assert (size.files, size.stored_files) == (2, 2)
    assert size.bytes == size.stored_bytes
    assert users(filled) == before


def test_a_kept_version_reads_as_before_and_the_others_are_gone(filled: Lake) -> None:
    as_it_was = users(filled, 4)

    upkeep.maintain_table(filled, t.EVENTS, keep=(4,), retention=NOTHING)
    upkeep.maintain_table(filled, t.EVENTS, keep=(4,), retention=NOTHING)

    assert users(filled, 4) == as_it_was == [f"1-{number}" for number in range(4)]
    with pytest.raises(LakeError):
        users(filled, 5)


def test_upkeep_by_a_process_that_wrote_a_checkpoint_of_deltas_own(lake: Lake) -> None:
    lake.overwrite(t.OBJECTS, objects("0"))
    table = DeltaTable(f"{lake.url}/{t.OBJECTS.name}")
    table.alter.set_table_properties({"delta.checkpointInterval": "12"})  # Delta's default is 100
    for number in range(1, 30):
        lake.overwrite(t.OBJECTS, objects(str(number)))
        newest = lake.version(t.OBJECTS)
        upkeep.maintain_table(lake, t.OBJECTS, keep=(newest - 1, newest), retention=NOTHING)

    before = lake.at({t.OBJECTS.name: newest - 1}).read(t.OBJECTS)

    assert before.column("object_url").to_pylist() == ["28"]


def test_a_kept_version_that_was_erased_is_in_nobodys_way(filled: Lake) -> None:
    drop_earlier_versions(filled, t.EVENTS)
    rows = users(filled)

    upkeep.maintain_table(filled, t.EVENTS, keep=(-1, 4, 999), retention=NOTHING)

    assert users(filled) == rows


def test_what_is_younger_than_the_retention_stays_readable(filled: Lake) -> None:
    found = upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=timedelta(days=7))

    assert (found.removed, found.removed_entries) == (0, 0)
    assert [len(users(filled, version)) for version in range(11)] == list(range(11))


def test_entries_of_the_log_go_once_they_and_a_checkpoint_after_them_are_old(filled: Lake) -> None:
    week = timedelta(days=7)
    upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=week)
    old = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    for path in Path(filled.url, t.EVENTS.name, upkeep.LOG).iterdir():
        os.utime(path, (old, old))
    filled.append(t.EVENTS, events(DAYS[2], "new"))

    found = upkeep.maintain_table(filled, t.EVENTS, keep=(3,), retention=week)

    assert found.removed_entries > 10
    assert "new" in users(filled)
    assert users(filled, 3) == ["1-0", "1-1", "1-2"]


def test_upkeep_changes_no_version_where_nothing_is_small(filled: Lake) -> None:
    for _ in range(2):
        upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=NOTHING)
    version, files = filled.version(t.EVENTS), stored(filled, t.EVENTS)

    upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=NOTHING)

    assert (filled.version(t.EVENTS), stored(filled, t.EVENTS)) == (version, files)


def test_a_table_without_partitions_is_merged_once_it_has_eight_small_files(lake: Lake) -> None:
    counts = []
    for number in range(8):
        lake.append(t.OBJECTS, objects(f"o{number}"))
        if number > 5:
            upkeep.maintain_table(lake, t.OBJECTS, keep=(), retention=NOTHING)
            size = upkeep.size_of(lake, t.OBJECTS)
            assert size is not None
            counts.append(size.files)

    assert counts == [7, 1]
    assert lake.count(t.OBJECTS) == 8


def test_files_of_a_writer_that_was_killed_are_removed(filled: Lake) -> None:
    stray = Path(filled.url, t.EVENTS.name, "event_date=2026-01-01", "killed.parquet")
    stray.write_bytes(b"half")

    upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=timedelta(days=7))
    assert stray.exists()  # its writer may be at work
    upkeep.maintain_table(filled, t.EVENTS, keep=(), retention=NOTHING)
    assert not stray.exists()


def test_a_table_that_was_never_written_stays_so(lake: Lake) -> None:
    found = upkeep.maintain_table(lake, t.EVENTS, keep=(3,), retention=NOTHING)

    assert found == upkeep.TableUpkeep(0, 0, 0)
    assert upkeep.size_of(lake, t.EVENTS) is None
    assert not Path(lake.url).exists()


def test_delta_itself_never_removes_an_entry(lake: Lake) -> None:
    lake.append(t.OBJECTS, objects("a"))

    snapshot = lake.snapshot(t.OBJECTS)
    assert snapshot is not None
    assert snapshot.metadata().configuration["delta.enableExpiredLogCleanup"] == "false"


def steps(lake: Lake, keep: tuple[int, ...]) -> list[Callable[[], object]]:
    """What upkeep does, one after another."""
    some: dict[str, tuple[int, ...]] = {"keep": keep}
    return [
        lambda: upkeep.merge_small_files(lake, t.EVENTS),
        lambda: upkeep.clean_log(lake, t.EVENTS, **some, older_than=NOTHING),
        lambda: upkeep.vacuum(lake, t.EVENTS, **some, older_than=NOTHING),
    ]


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it is run."""


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_killed_at_any_change_of_the_store_and_run_again_it_ends_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("killed")))
    for number in range(4):
        lake.append(t.EVENTS, events(DAYS[number % 2], f"u{number}"))
    kept = data.draw(st.sets(st.integers(1, 4), max_size=2), label="kept")
    rows = {version: users(lake, version) for version in kept} | {None: users(lake)}
    left = data.draw(st.integers(0, 12), label="changes before the kill")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "LakeFiles", dying(left))
        try:
            for step in steps(lake, tuple(kept)):
                step()
        except Killed:
            assert {version: users(lake, version) for version in rows} == rows
    for step in steps(lake, tuple(kept)):
        step()

    assert {version: users(lake, version) for version in rows} == rows
    size = upkeep.size_of(lake, t.EVENTS)
    assert size is not None and size.files == 2


def dying(left: int) -> type[LakeFiles]:
    """The same files, which let `left` of them be removed and then end the process."""
    removals = [left]

    class Dying(LakeFiles):
        def remove(self, name: str) -> None:
            if not removals[0]:
                raise Killed
            removals[0] -= 1
            super().remove(name)

    return Dying
