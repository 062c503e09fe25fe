"""Days of small writes to a lake, maintained each day or never: files, log, bytes, time to open.

    python -m benchmarks.upkeep --days 365 [--never]

Each day several batches of events are appended, a day of accepted events is written twice, the
account table is overwritten, and every fourth week an entry of the ledger names the versions of all
tables. The versions of the last seven days and those of the ledger stay readable. The clock of the
machine does not move with the days, so the versions of the last seven days are named instead of
their age.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from firstchair.lake import Lake, Table, maintain_table, size_of
from firstchair.lake import tables as t

FIRST = date(2025, 1, 1)
BATCHES, ROWS = 2, 50
RETENTION_DAYS, LEDGER_DAYS = 7, 28
TABLES = (t.BRONZE_EVENTS, t.OBJECTS, t.EVENTS, t.USERS)
SHOWN = (30, 365)


@dataclass(frozen=True, slots=True)
class Measured:
    """A lake on the evening of a day.

    partitions: days of all partitioned tables, each of which has at least one file. seconds: to
    open every table, and processor time of that day's upkeep.
    """

    day: int
    maintained: bool
    partitions: int
    files: int
    stored_files: int
    stored_mib: float
    log_files: int
    log_kib: float
    open_seconds: float
    upkeep_seconds: float


def rows(table: Table, day: date, first: int, count: int) -> pa.Table:
    """Rows of a day; every column but these is null."""
    names = table.schema.names
    known = {"user_key": "{:032x}", "event_id": "e{}", "object_url": "o{}", "artist_id": "a{}"}
    columns = {
        name: [text.format(first + number) for number in range(count)]
        for name, text in known.items()
        if name in names
    }
    if table.partition_by:
        columns[table.partition_by] = [day] * count
    arrays = [
        pa.array(columns[name], field.type) if name in columns else pa.nulls(count, field.type)
        for name, field in zip(names, table.schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def live(lake: Lake, number: int) -> None:
    """Write what a small service writes in a day."""
    day = FIRST + timedelta(days=number)
    for batch in range(BATCHES):
        first = (number * BATCHES + batch) * ROWS
        lake.append(t.BRONZE_EVENTS, rows(t.BRONZE_EVENTS, day, first, ROWS))
        lake.append(t.OBJECTS, rows(t.OBJECTS, day, first, 1))
    for _ in range(2):  # once more because of a late event
        lake.replace_partition(t.EVENTS, rows(t.EVENTS, day, number * ROWS, ROWS), day)
    lake.overwrite(t.USERS, rows(t.USERS, day, 0, ROWS))


def measured(lake: Lake, day: int, *, maintained: bool, upkeep_seconds: float) -> Measured:
    """The lake as it is now."""
    began = time.process_time()
    partitions = sum(len(lake.partitions(table)) for table in TABLES if table.partition_by)
    open_seconds = time.process_time() - began
    sizes = [size for table in TABLES if (size := size_of(lake, table)) is not None]
    return Measured(
        day=day,
        maintained=maintained,
        partitions=partitions,
        files=sum(size.files for size in sizes),
        stored_files=sum(size.stored_files for size in sizes),
        stored_mib=round(sum(size.stored_bytes for size in sizes) / 2**20, 2),
        log_files=sum(size.log_files for size in sizes),
        log_kib=round(sum(size.log_bytes for size in sizes) / 2**10, 1),
        open_seconds=round(open_seconds, 4),
        upkeep_seconds=round(upkeep_seconds, 3),
    )


def simulated(folder: Path, days: int, *, maintained: bool) -> list[Measured]:
    """The lake on the days that are shown, and on the last one."""
    lake = Lake(str(folder))
    named: dict[str, set[int]] = {table.name: set() for table in TABLES}
    last: deque[dict[str, int]] = deque(maxlen=RETENTION_DAYS)
    found = []
    for number in range(1, days + 1):
        live(lake, number)
        last.append({table.name: lake.version(table) for table in TABLES})
        if number % LEDGER_DAYS == 0:
            for table in TABLES:
                named[table.name].add(last[-1][table.name])
        began = time.process_time()
        for table in TABLES if maintained else ():
            keep = named[table.name] | {versions[table.name] for versions in last}
            maintain_table(lake, table, keep=keep, retention=timedelta(0))
        seconds = time.process_time() - began
        if number in {*SHOWN, days}:
            found.append(measured(lake, number, maintained=maintained, upkeep_seconds=seconds))
    for name, versions in named.items():  # every version of the ledger is there, with its rows
        for version in versions:
            table = next(one for one in TABLES if one.name == name)
            assert lake.at({name: version}).count(table) > 0
    return found


def main() -> None:
    """Print one row for each day that is shown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--never", action="store_true", help="let nothing be maintained")
    parser.add_argument("--json", type=Path, default=None, help="also write the rows there")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="firstchair-upkeep-"))
    try:
        found = simulated(folder, arguments.days, maintained=not arguments.never)
    finally:
        shutil.rmtree(folder)
    records = [asdict(row) for row in found]
    names = list(records[0])
    print("  ".join(names))
    for record in records:
        print("  ".join(f"{record[name]!s:>{len(name)}}" for name in names))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
