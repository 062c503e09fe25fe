"""What only earlier versions of a table hold is gone, and the present one reads as before."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from firstchair.errors import LakeError
from firstchair.lake import Lake, drop_earlier_versions, vacuum
from firstchair.lake import tables as t
from tests.firstchair.lake.test_delta import FOLDERS, JANUARY_1, JANUARY_2, interactions

LEAVES, STAYS = "leaves-0123456789", "stays-0123456789"


def lived(folder: Path) -> Lake:
    """Two days with two users each, of whom one has left the table."""
    lake = Lake(str(folder / "lake"))
    for day in (JANUARY_1, JANUARY_2):
        lake.replace_partition(t.INTERACTIONS, interactions(day, (LEAVES, "a"), (STAYS, "b")), day)
    lake.delete(t.INTERACTIONS, f"user_key = '{LEAVES}'")
    return lake


def holding(folder: Path, text: str) -> list[str]:
    """Names of the files that hold a text, uncompressed or as a column's least or greatest value."""
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
