"""Tables that stay open in a process are never older than what is on disk."""

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.lake import Lake
from firstchair.lake import tables as t

DAY = date(2026, 1, 1)


def pairs(*users: str) -> pa.Table:
    rows = [
        {"user_key": user, "artist_id": "a", "as_of": DAY, "confidence": 2.0, "preference": 1}
        for user in users
    ]
    return pa.Table.from_pylist(rows, schema=t.INTERACTIONS.schema)


def users(lake: Lake) -> list[str]:
    return sorted(lake.read(t.INTERACTIONS).column("user_key").to_pylist())


def another_process_appends(lake: Lake, user: str) -> None:
    write_deltalake(DeltaTable(lake.location(t.INTERACTIONS)), pairs(user), mode="append")


STEPS = st.lists(st.sampled_from(["read", "append", "replace", "delete", "elsewhere", "remade"]))


@settings(max_examples=12, deadline=None)
@given(steps=STEPS)
def test_whoever_writes_the_next_read_sees_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("opened") / "lake"))
    lake.append(t.INTERACTIONS, pairs("first"))
    expected = ["first"]
    for number, step in enumerate(steps):
        user = f"user {number:03d}"
        match step:
            case "append":
                lake.append(t.INTERACTIONS, pairs(user))
                expected = [*expected, user]
            case "replace":
                lake.replace_partition(t.INTERACTIONS, pairs(user), DAY)
                expected = [user]
            case "delete":
                lake.delete(t.INTERACTIONS, "true")
                expected = []
            case "elsewhere":
                another_process_appends(lake, user)
                expected = [*expected, user]
            case "remade":
                shutil.rmtree(lake.url)
                lake.append(t.INTERACTIONS, pairs(user))
                expected = [user]
            case "read":
                assert users(lake) == sorted(expected)
    assert users(lake) == sorted(expected)


def test_a_table_without_a_new_entry_is_not_opened_again(lake: Lake) -> None:
    lake.append(t.INTERACTIONS, pairs("ana"))

    first = lake.snapshot(t.INTERACTIONS)
    again = Lake(lake.url).snapshot(t.INTERACTIONS)
    another_process_appends(lake, "bob")

    assert again is first
    assert lake.snapshot(t.INTERACTIONS) is not first


def test_a_write_that_fails_leaves_the_table_as_it_is_on_disk(lake: Lake) -> None:
    lake.append(t.INTERACTIONS, pairs("ana"))

    with pytest.raises(Exception, match="failed validation check"):
        lake.replace_partition(t.INTERACTIONS, pairs("bob"), date(2026, 1, 2))

    assert users(lake) == ["ana"]


def test_more_tables_than_stay_open_are_read_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstchair.lake.opened.MOST", 2)
    lakes = [Lake(str(tmp_path / str(number))) for number in range(3)]
    for lake in lakes:
        lake.append(t.INTERACTIONS, pairs(lake.url))

    assert [users(lake) for lake in lakes] == [[lake.url] for lake in lakes]
