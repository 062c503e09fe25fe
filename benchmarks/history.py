"""What counts over all of history cost after many days, with the summaries of files and without.

    python -m benchmarks.history --days 30 120 --events 200000

Each day appends its events in one batch, as a complete day of one service with two sources. Then
processor seconds are shown of what `firstchair status` and each look of the alert sensor count
(`events.reconcile`), and of the search for sequence numbers that several events have, which each
build of a day makes: with an index that knows every day but the last, and by reading the tables.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from firstchair import events
from firstchair.events.summaries import repeated_numbers
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

FIRST = date(2025, 1, 1)


def append(lake: Lake, number: int, count: int) -> None:
    """Append a day of events."""
    day = FIRST + timedelta(days=number)
    given = {
        "event_id": "(i + $first)::varchar",
        "event_type": "'play'",
        "occurred_at": f"timestamptz '{day} 00:00:00+00' + i * interval 100 millisecond",
        "event_date": f"date '{day}'",
        "user_key": "md5((i % 5000)::varchar)",
        "source": "case when i % 2 = 0 then 'app' else 'web' end",
        "source_seq": "(i + $first) // 2",
        "simulated": "true",
        "object_url": f"'{day}/' || i // 10000",
        "line": "i % 10000",
        "batch_id": f"'{day}'",
        "ingested_at": f"timestamptz '{day + timedelta(days=1)} 00:00:00+00'",
    }
    columns = ", ".join(
        f"{given.get(name, 'null')} as {name}" for name in t.BRONZE_EVENTS.schema.names
    )
    with connect() as connection:
        rows = connection.sql(
            f"select {columns} from range($count) as numbers(i)",
            params={"first": number * count, "count": count},
        ).to_arrow_table()
    lake.append(t.BRONZE_EVENTS, rows.cast(t.BRONZE_EVENTS.schema))


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print one row for each number of days."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=[30, 120])
    parser.add_argument("--events", type=int, default=200_000, help="events a day")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="firstchair-history-"))
    lake, unindexed = Lake(f"{folder}/lake", index=folder / "index"), Lake(f"{folder}/lake")
    print("days  counts  counts, read whole  repeated numbers  repeated numbers, read whole")
    try:
        for number in range(1, max(asked.days) + 1):
            if number in asked.days:
                events.reconcile(lake)  # the evening before
            append(lake, number, asked.events)
            if number in asked.days:
                found = (
                    seconds_of(lambda: events.reconcile(lake)),
                    seconds_of(lambda: events.reconcile(unindexed)),
                    seconds_of(lambda: repeated_numbers(lake)),
                    seconds_of(lambda: repeated_numbers(unindexed)),
                )
                print(number, *(f"{seconds:.2f}" for seconds in found), sep="  ", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
