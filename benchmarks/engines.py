"""The features and the matrix of large days by DuckDB and by Spark: seconds, memory, rows.

    python -m benchmarks.engines [--events 1000000 4000000 20000000] [--master local[2]]

Events are drawn into silver: a hundred of a user, over ten days, of 20,000 artists. Then
`build_user_features` and `build_interactions` run on each engine in a process of its own. Prints a
row for each number of events and engine: seconds that passed, processor seconds of the process and
of its Java, the most memory that each of them held, and whether both engines' tables are the same.
Needs the extra `spark`.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from benchmarks.monitoring_scale import START, draw_accounts, draw_day
from firstchair.features import build_interactions, build_user_features
from firstchair.lake import Lake, SparkSettings
from firstchair.lake import tables as t

DAYS, EVENTS_A_USER = 10, 100
# Events of a drawn day for each impression: clicks, two plays a slate of ten, a login.
EVENTS_AN_IMPRESSION = 1 + 1 / 12 + 2 / 10 + 1 / 10
AS_OF = START + timedelta(days=DAYS)


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine took for both tables.

    peak_mib: of the process. java_mib: of the Java processes that it started, 0 without any.
    contents: fingerprint of both tables.
    """

    events: int
    engine: str
    seconds: float
    processor_seconds: float
    peak_mib: int
    java_mib: int
    rows: int
    contents: str


def main() -> None:
    """Print a row for each number of events and engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 4_000_000, 20_000_000])
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--memory", default="8g", help="of Spark's driver")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for events in asked.events:
        with tempfile.TemporaryDirectory() as folder:
            draw(Lake(f"{folder}/lake"), events)
            spark = SparkSettings(
                asked.master, (("spark.driver.memory", asked.memory),), Path(folder, "spark")
            )
            both = [alone(folder, engine, spark, events) for engine in ("duckdb", "spark")]
        for measured in both:
            print(json.dumps(asdict(measured)) if asked.json else shown(measured, both), flush=True)


def draw(lake: Lake, events: int) -> None:
    """Fill silver with about so many events."""
    users = events // EVENTS_A_USER
    draw_accounts(lake, users)
    for number in range(DAYS):
        draw_day(lake, number, users, round(events / DAYS / EVENTS_AN_IMPRESSION))


def shown(measured: Measured, both: Sequence[Measured]) -> str:
    """One row, in words."""
    same = "same rows" if len({one.contents for one in both}) == 1 else "OTHER ROWS"
    return (
        f"{measured.events:>11,} events, {measured.engine:6}: {measured.seconds:7.1f} s, "
        f"{measured.processor_seconds:7.1f} processor s, {measured.peak_mib:6,} MiB and "
        f"{measured.java_mib:6,} MiB of Java, {measured.rows:,} rows ({same})"
    )


def alone(folder: str, engine: str, spark: SparkSettings, events: int) -> Measured:
    """What the engine takes in a process that does nothing else."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    lake = Lake(f"{folder}/lake", engine=engine, spark=spark)
    process = context.Process(target=_measure, args=(theirs, lake, events))
    process.start()
    theirs.close()
    measured: Measured = ours.recv()
    process.join()
    return measured


def _measure(answer: Connection, lake: Lake, events: int) -> None:
    began, used = time.perf_counter(), time.process_time()
    rows = build_user_features(lake, as_of=AS_OF).rows
    rows += build_interactions(lake, as_of=AS_OF).rows
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    java = [child for child in psutil.Process().children(recursive=True) if "java" in child.name()]
    times = [child.cpu_times() for child in java]
    whole = f"as_of = date '{AS_OF}'"
    answer.send(
        Measured(
            events=events,
            engine=lake.engine,
            seconds=round(seconds, 1),
            processor_seconds=round(processor + sum(one.user + one.system for one in times), 1),
            peak_mib=_peak_mib(psutil.Process()),
            java_mib=sum(map(_peak_mib, java)),
            rows=rows,
            contents=" ".join(
                lake.fingerprint(x, whole) for x in (t.USER_FEATURES, t.INTERACTIONS)
            ),
        )
    )


def _peak_mib(process: psutil.Process) -> int:
    """The most memory that a process has held."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    main()
