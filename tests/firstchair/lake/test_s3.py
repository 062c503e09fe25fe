"""A lake on S3 is written, read, contended for, maintained and erased as one in a folder."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest

from firstchair.commands.doctor import Finding, examine
from firstchair.definitions.checks import CheckState
from firstchair.errors import LakeError
from firstchair.lake import Lake, LakeFiles, drop_earlier_versions, trial, vacuum
from firstchair.lake import tables as t
from firstchair.lake.upkeep import maintain_table, size_of
from firstchair.settings import Settings
from tests.firstchair.lake.test_delta import JANUARY_1, JANUARY_2, interactions
from tests.firstchair.lake.test_opened import another_process_appends, pairs, users
from tests.firstchair.lake.test_upkeep import LEAVES, STAYS
from tests.s3 import S3

TABLE = t.INTERACTIONS
NOTHING = timedelta(0)


def test_rows_days_and_digest_are_those_of_a_lake_in_a_folder(on_s3: Lake, lake: Lake) -> None:
    for each in (on_s3, lake):
        each.replace_partition(TABLE, interactions(JANUARY_1, ("ana", "a")), JANUARY_1)
        each.replace_partition(TABLE, interactions(JANUARY_2, ("bob", "b")), JANUARY_2)
        each.replace_partition(TABLE, interactions(JANUARY_1, ("eve", "c")), JANUARY_1)
        each.append(TABLE, interactions(JANUARY_2, ("dan", "d")))
        each.delete(TABLE, "user_key = 'bob'")

    assert sorted(on_s3.read(TABLE).column("user_key").to_pylist()) == ["dan", "eve"]
    assert on_s3.partition_rows(TABLE) == lake.partition_rows(TABLE) == {JANUARY_1: 1, JANUARY_2: 1}
    assert on_s3.fingerprint(TABLE) == lake.fingerprint(TABLE)
    assert on_s3.version(TABLE) == lake.version(TABLE)
    assert on_s3.at({TABLE.name: 2}).count(TABLE) == 2
    assert on_s3.count(t.CHURN) == 0


def test_whoever_writes_the_next_read_sees_it_and_an_unchanged_table_is_not_opened_again(
    on_s3: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # for the other process
    on_s3.append(TABLE, pairs("ana"))

    first = on_s3.snapshot(TABLE)
    assert Lake(on_s3.url).snapshot(TABLE) is first
    another_process_appends(on_s3, "bob")
    assert users(on_s3) == ["ana", "bob"]

    LakeFiles(on_s3.url).remove_all()
    on_s3.append(TABLE, pairs("eve"))
    assert users(on_s3) == ["eve"]


def test_the_engine_reads_no_other_day_and_nothing_twice(on_s3: Lake, s3: S3) -> None:
    days = [JANUARY_1 + timedelta(days=number) for number in range(3)]
    for day in days:
        on_s3.replace_partition(TABLE, interactions(day, ("ana", "a")), day)

    def read_of(day: date) -> list[int]:
        """How often each day's file is read when one day is asked for."""
        before = len(s3.requests())
        assert on_s3.count(TABLE, f"as_of = '{day}' and user_key = 'ana'") == 1
        answered = [line for line in s3.requests()[before:] if "GET" in line]
        return [sum(f"as_of={of}" in line for line in answered) for of in days]

    # DuckDB takes the columns of a table from the end of its first file.
    columns, *rows = sorted(read_of(JANUARY_2))
    first = read_of(JANUARY_2)

    assert columns == 0 and sum(rows) <= 3
    assert first == [0, 0, 0]


def test_of_two_writers_of_the_same_rows_one_is_refused(on_s3: Lake) -> None:
    on_s3.append(TABLE, pairs("ana"))

    def while_another_writes() -> Iterator[pa.RecordBatch]:
        other = Thread(target=on_s3.overwrite, args=(TABLE, pairs("bob")))
        other.start()
        other.join()
        yield from pairs("eve").to_batches()

    late = pa.RecordBatchReader.from_batches(TABLE.schema, while_another_writes())
    with pytest.raises(LakeError, match="Another process wrote table gold/interactions"):
        on_s3.overwrite(TABLE, late)

    assert users(on_s3) == ["bob"]


def test_a_user_who_has_left_is_in_no_object_after_upkeep_and_a_kept_version_reads_as_before(
    on_s3: Lake,
) -> None:
    for number in range(3):
        on_s3.append(TABLE, interactions(JANUARY_1, (STAYS, str(number)), (LEAVES, str(number))))

    upkeep = maintain_table(on_s3, TABLE, keep=(2,), retention=NOTHING)
    assert (upkeep.merged, on_s3.at({TABLE.name: 2}).count(TABLE)) == (3, 4)

    on_s3.delete(TABLE, f"user_key = '{LEAVES}'")
    rows = on_s3.fingerprint(TABLE)
    assert vacuum(on_s3, TABLE) > 0
    assert drop_earlier_versions(on_s3, TABLE) > 0

    files = LakeFiles(on_s3.url)
    named = [
        file.name for file in files.listed() if LEAVES.encode() in files.open(file.name).read()
    ]
    assert named == []
    assert on_s3.fingerprint(TABLE) == rows
    size = size_of(on_s3, TABLE)
    assert size is not None and size.files == size.stored_files == 1


def test_an_object_that_is_gone_is_a_fault_of_the_lake(on_s3: Lake) -> None:
    on_s3.append(TABLE, pairs("ana"))
    files = LakeFiles(on_s3.url)
    for file in files.listed():
        if file.name.endswith(".parquet"):
            files.remove(file.name)

    with pytest.raises(LakeError, match="is gone: FileNotFoundError"), on_s3.reading():
        on_s3.count(TABLE)


def finding(lake: Lake, home: Path) -> Finding:
    settings = Settings(
        home=home,
        lake_url=lake.url,
        # Nothing else is tried.
        database_url="postgresql://nobody@127.0.0.1:9/x",
        source_database_url="postgresql://nobody@127.0.0.1:9/x",
    )
    return next(found for found in examine(settings) if found.name == "lake")


def test_doctor_tries_the_lake_and_leaves_nothing(on_s3: Lake, tmp_path: Path) -> None:
    on_s3.append(TABLE, pairs("ana"))
    before = LakeFiles(on_s3.url).listed()

    found = finding(on_s3, tmp_path)

    assert found.state is CheckState.PASSES
    assert "a trial table was written, read and removed" in found.detail
    assert LakeFiles(on_s3.url).listed() == before


def test_doctor_refuses_a_bucket_that_is_missing_and_a_store_that_lets_both_writers_through(
    on_s3: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = finding(Lake("s3://nobody-made-it/lake"), tmp_path)
    monkeypatch.setattr(trial, "write_deltalake", lambda *_, **__: None)
    careless = finding(on_s3, tmp_path)

    assert missing.state is careless.state is CheckState.FAILS
    assert "credentials" in missing.remedy
    assert "both were let through" in careless.detail
    assert LakeFiles(on_s3.url).listed() == []
