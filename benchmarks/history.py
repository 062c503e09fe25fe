"""What counts over all of history cost after many days, with the summaries of files and without.

    python -m benchmarks.history --days 30 120 --events 200000

Each day appends its events in one batch, as a complete day of one service with two sources; one
record in a hundred more is refused. Then processor seconds are shown of what `firstchair status`
and each look of the alert sensor count (`events.reconcile`), of the search for sequence numbers
that several events have, which each build of a day makes, and of what was lost of all days, which
each run asks: with an index that knows every day but the last, and by reading the tables.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from firstchair import events
from firstchair.events.known_ids import KnownIds
from firstchair.events.summaries import repeated_numbers
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

FIRST = date(2025, 1, 1)


def append(lake: Lake, number: int, count: int) -> None:
    """Append a day of events."""
    day = FIRST + timedelta(days=number)
    given = {
        "event_id": "md5((i + $first)::varchar)",
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
    of_day = {"first": number * count, "count": count}
    columns = columns_of(t.BRONZE_EVENTS.schema.names, given)
    with connect() as connection:
        rows = connection.sql(
            f"select {columns} from range($count) as numbers(i)", params=of_day
        ).to_arrow_table()
        lake.append(t.BRONZE_EVENTS, rows.cast(t.BRONZE_EVENTS.schema))
        names = t.QUARANTINE_EVENTS.schema.names
        given |= {"reason": "'bad_type'", "quarantined_at": given["ingested_at"]}
        given |= {
            "event_id": "md5('r' || (i + $first))",
            "event_date": "null",
            "source_seq": "null",
        }
        refused = connection.sql(
            f"select {columns_of(names, given)} from range(0, $count, 100) as numbers(i)",
            params=of_day,
        ).to_arrow_table()
        lake.append(t.QUARANTINE_EVENTS, refused.cast(t.QUARANTINE_EVENTS.schema))


def columns_of(names: Sequence[str], given: Mapping[str, str]) -> str:
    """Columns (SQL), null where nothing is given."""
    return ", ".join(f"{given.get(name, 'null')} as {name}" for name in names)


def compared(lake: Lake, unindexed: Lake, as_of: date) -> Iterator[str]:
    """Processor seconds of each question, and those of reading the tables for it."""
    questions: tuple[Callable[[Lake, date], object], ...] = (
        lambda lake, _: events.reconcile(lake),
        lambda lake, _: repeated_numbers(lake),
        lambda lake, as_of: events.unusable(lake, as_of=as_of, limit=0.5),
    )
    for question in questions:
        both = []
        # A day later no answer is kept, and the same records are read.
        for one, day in ((lake, as_of), (unindexed, as_of + timedelta(days=1))):
            began = time.process_time()
            question(one, day)
            both.append(time.process_time() - began)
        yield "{:.2f} ({:.2f})".format(*both)


def main() -> None:
    """Print one row for each number of days."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=[30, 120])
    parser.add_argument("--events", type=int, default=200_000, help="events a day")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="firstchair-history-"))
    lake, unindexed = Lake(f"{folder}/lake", index=folder / "index"), Lake(f"{folder}/lake")
    print("days  counts (read whole)  repeated numbers (read whole)  lost (read whole)")
    try:
        for number in range(1, max(asked.days) + 1):
            if number in asked.days:
                # As the day before did.
                events.reconcile(lake)
                events.unusable(lake, as_of=FIRST, limit=0.5)
                KnownIds(lake, folder / "index").files_with(pa.chunked_array([["none"]]))
            append(lake, number, asked.events)
            if number in asked.days:
                as_of = FIRST + timedelta(days=number + 1)
                print(number, *compared(lake, unindexed, as_of), sep="  ", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
