"""What ingestion costs beside DuckDB's parse of the same objects, in processor seconds.

`python -m benchmarks.ingest [--events N] [--objects N] [--events-per-object N] [--seed S]` writes
gzip objects of made-up events (3 % repeated soon after, 1 % faulty) in the mix of a service of
recommendations. Then, each in a process of its own:

- DuckDB parses the objects: `read_json` with the contract's columns, one thread, every field
  counted;
- `firstchair.events.ingest` takes them to bronze and quarantine;
- `firstchair.events.build_events` takes bronze to silver.

Prints processor seconds of each with all its threads, the ratio to DuckDB's parse, and the peak
memory of the process. `--json` prints one document instead.
"""

import argparse
import gzip
import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import orjson
import pyarrow as pa

from firstchair.events import IngestReport, build_events, ingest
from firstchair.lake import Lake
from firstchair.lake import tables as t

KEY = b"a benchmark's key"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST_DAY, DAYS = datetime(2026, 1, 5, tzinfo=UTC), 30
ARTISTS, TRACKS_EACH = 2_000, 10
EVENTS_A_USER = 40
REPEATED, FAULTY = 0.03, 0.01
# A sender that gets no answer delivers again soon: within so many events, one in `EVERY` of them.
REPEATED_WITHIN, EVERY = 20_000, 50
SLATE = 10
KINDS = ("impression", "play", "click", "login", "follow", "unfollow")
SHARES = (70, 15, 6, 6, 2, 1)
FAULTS: tuple[dict[str, Any], ...] = (
    {"user_id": 5},
    {"occurred_at": "yesterday"},
    {"source": None},
    {"source_seq": "7"},
    {"artist_id": "nobody's"},
)
COLUMNS = {
    **dict.fromkeys(("event_id", "event_type", "occurred_at", "user_id", "source"), "VARCHAR"),
    **dict.fromkeys(("slate_id", "artist_id", "track_id", "model_version", "surface"), "VARCHAR"),
    **dict.fromkeys(("source_seq", "position", "ms_played"), "BIGINT"),
    "simulated": "BOOLEAN",
    "propensity": "DOUBLE",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Processor seconds of a piece of work, and the peak memory of its process in MiB."""

    name: str
    seconds: float
    peak_mib: float


def main() -> None:
    """Print what each way costs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=300_000)
    arguments.add_argument("--objects", type=int, default=0, help="default: events / 16,500")
    arguments.add_argument("--events-per-object", type=int, default=16_500)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    each = options.events_per_object
    events = options.objects * each if options.objects else options.events
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = lines_of(events, random.Random(options.seed))
        objects = write_objects(folder / "landing", lines, events=events, each=each)
        work = (("DuckDB's parse", _parse), ("to bronze", to_bronze), ("bronze to silver", _build))
        measured = [alone(name, piece, folder) for name, piece in work]
        report = _report(measured, events=events, objects=objects)
    print(json.dumps(report) if options.json else _shown(report))


def _report(measured: list[Measured], *, events: int, objects: int) -> dict[str, Any]:
    parse, bronze, silver = measured
    return {
        "events": events,
        "objects": objects,
        "processor_seconds": {one.name: round(one.seconds, 2) for one in measured},
        "peak_mib": {one.name: round(one.peak_mib) for one in measured},
        "ratio_to_bronze": round(bronze.seconds / parse.seconds, 2),
        "ratio_to_silver": round((bronze.seconds + silver.seconds) / parse.seconds, 2),
        "us_per_object_to_bronze": round(1e6 * bronze.seconds / objects),
        "us_per_event_to_bronze": round(1e6 * bronze.seconds / events, 2),
    }


def _shown(report: dict[str, Any]) -> str:
    lines = [f"{report['events']:,} events in {report['objects']:,} objects"]
    for name, seconds in report["processor_seconds"].items():
        lines.append(f"{name:17} {seconds:8.2f} processor s, {report['peak_mib'][name]:6,} MiB")
    lines.append(
        f"to bronze: {report['ratio_to_bronze']} times DuckDB's parse, "
        f"{report['us_per_event_to_bronze']} us an event, "
        f"{report['us_per_object_to_bronze']:,} us an object"
    )
    lines.append(f"to silver: {report['ratio_to_silver']} times DuckDB's parse")
    return "\n".join(lines)


def alone(name: str, work: Callable[[Path], float], folder: Path) -> Measured:
    """The work in a process that does nothing else; it returns its processor seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measured, args=(theirs, work, folder))
    process.start()
    theirs.close()
    seconds, peak = ours.recv()
    process.join()
    return Measured(name, seconds, peak)


def _measured(answer: Any, work: Callable[[Path], float], folder: Path) -> None:
    answer.send((work(folder), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _parse(folder: Path) -> float:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set enable_progress_bar = false")
        began = time.process_time()
        connection.execute(
            "select count(columns(*)) from read_json($files, columns=$columns, "
            "format='newline_delimited', ignore_errors=true)",
            {"files": f"{folder}/landing/**/*.jsonl.gz", "columns": COLUMNS},
        ).fetchall()
        return time.process_time() - began


def to_bronze(folder: Path) -> float:
    """Ingest the objects of a folder; processor seconds."""
    report, seconds = ingested(folder)
    assert report.balanced
    return seconds


def ingested(folder: Path) -> tuple[IngestReport, float]:
    """The report of ingesting the objects of a folder, and its processor seconds."""
    began = time.process_time()
    report = ingest(
        lake_in(folder),
        events_url=f"{folder}/landing",
        pseudonym_key=KEY,
        now=NOW,
    )
    return report, time.process_time() - began


def _build(folder: Path) -> float:
    lake = lake_in(folder)
    know(lake, lake.read(t.BRONZE_EVENTS).column("user_key").unique().to_pylist())
    began = time.process_time()
    assert build_events(lake, FIRST_DAY.date(), NOW.date()).balanced
    return time.process_time() - began


def know(lake: Lake, user_keys: Sequence[str]) -> None:
    """Write the accounts and the catalogue that the events are of."""
    artists = [artist(number) for number in range(ARTISTS)]
    tracks = [track(chosen, n) for chosen in range(ARTISTS) for n in range(TRACKS_EACH)]
    known = ((t.USERS, "user_key", user_keys), (t.ARTISTS, "artist_id", artists))
    for table, column, names in (*known, (t.TRACKS, "track_id", tracks)):
        rows = [{column: name} for name in names]
        lake.overwrite(table, pa.Table.from_pylist(rows, schema=table.schema))


def lake_in(folder: Path) -> Lake:
    """The lake beside the objects of a folder."""
    return Lake(str(folder / "lake"), index=folder / "event-index")


def write_objects(folder: Path, lines: Iterator[bytes], *, events: int, each: int) -> int:
    """Gzip objects of JSON Lines in a folder a day, `each` lines an object; how many there are."""
    number = 0
    while some := list(islice(lines, each)):
        day = FIRST_DAY + timedelta(days=DAYS * number * each // events)
        path = folder / f"{day:%Y/%m/%d}" / f"{number:07}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"".join(some), compresslevel=6, mtime=0))
        number += 1
    return number


def lines_of(events: int, draw: random.Random) -> Iterator[bytes]:
    """Events in order of time as JSON Lines, some repeated soon and some faulty."""
    earlier: deque[bytes] = deque(maxlen=REPEATED_WITHIN // EVERY)
    for number in range(events):
        if earlier and draw.random() < REPEATED:
            yield draw.choice(earlier)
            continue
        event = _event(number, events, draw)
        if draw.random() < FAULTY:
            event |= draw.choice(FAULTS)
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        if number % EVERY == 0:
            earlier.append(line)
        yield line


def _event(number: int, events: int, draw: random.Random) -> dict[str, Any]:
    kind = draw.choices(KINDS, SHARES)[0]
    at = FIRST_DAY + DAYS * timedelta(days=1) * (number / events)
    chosen = int(ARTISTS * draw.random() ** 2)
    event: dict[str, Any] = {
        "event_id": str(UUID(int=draw.getrandbits(128))),
        "event_type": kind,
        "occurred_at": at.isoformat(timespec="milliseconds"),
        "user_id": f"user-{draw.randrange(max(1, events // EVENTS_A_USER)):07}",
        "source": f"app-{number % 4}",
        "source_seq": number // 4,
    }
    if kind in {"impression", "click"}:
        slate = str(UUID(int=draw.getrandbits(128)))
        event |= {"slate_id": slate, "position": 1 + number % SLATE}
    if kind == "play":
        event |= {"track_id": track(chosen, number % TRACKS_EACH), "slate_id": None}
        event |= {"ms_played": draw.randrange(300_000)}
    if kind != "login":
        event["artist_id"] = artist(chosen)
    if kind == "impression":
        event |= {"model_version": "7", "propensity": round(0.1 + 0.9 * draw.random(), 4)}
    return event


def artist(number: int) -> str:
    """Id of an artist."""
    return str(UUID(int=number + 1))


def track(of: int, number: int) -> str:
    """Id of a track of an artist."""
    return str(UUID(int=(of + 1) * 1_000_000 + number))


if __name__ == "__main__":
    main()
