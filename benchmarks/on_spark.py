"""A service run twice: features, matrix and lists without Spark, and by it.

    python -m benchmarks.on_spark [--users 240] [--artists 160] [--days 30] [--master local[2]]
    python -m benchmarks.on_spark --hetrec ../shared/data/hetrec2011-lastfm-2k

A simulated service, or one of real listeners and artists (`firstchair load`). Needs the extra
`spark`. With `--master 'local-cluster[2,1,1024]'` Spark computes in two worker processes.

Prints the seconds of `firstchair run` with each engine, the tables and their rows, the tables that
differ by a row or a digit, the decisions of the gate and those that differ, and what `doctor` finds
of Spark. Ends with 1 where something differs or Spark is not well.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.service import Service, different

# What an entry of the ledger says of the clock and of the runs, not of the data.
OF_THE_RUN = {"at", "decided_at", "hash", "previous_hash", "run_id", "lake"}


def main() -> None:
    """Run both services and print what is told above."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("users", 240), ("artists", 160), ("days", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--hetrec", type=Path, help="folder of the public data set")
    parser.add_argument("--master", default="local[2]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = compared(Path(folder), asked)
    print(json.dumps(report))
    well = report["spark"]["state"] == "passes"
    sys.exit(bool(report["different"] or report["different_decisions"] or not well))


def compared(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """What both services hold and decided."""
    settings = {"duckdb": {}, "spark": {"engine": "spark", "spark_master": asked.master}}
    seconds, services = {}, []
    for engine, of_engine in settings.items():
        (folder / engine).mkdir()
        service = Service(folder / engine / "home", of_engine)
        fill(service, asked)
        began = time.monotonic()
        service.json("run")
        seconds[engine] = round(time.monotonic() - began, 1)
        services.append(service)
    expected, found = (service.contents() for service in services)
    ledgers = [of_the_data(service.ask("decisions")) for service in services]
    return {
        "seconds": seconds,
        "tables": sum(rows > 0 for rows, _ in expected.values()),
        "rows": sum(rows for rows, _ in expected.values()),
        "different": different(expected, found),
        "decisions": Counter(entry["decision"] for entry in ledgers[0]),
        "different_decisions": differing(*ledgers),
        "spark": next(one for one in services[1].ask("doctor") if one["name"] == "spark"),
    }


def fill(service: Service, asked: argparse.Namespace) -> None:
    """Write both sources of a service."""
    if asked.hetrec is not None:
        service.json("load", "hetrec-lastfm", asked.hetrec.resolve())
        return
    world = [f"--{name}={getattr(asked, name)}" for name in ("users", "artists", "days")]
    service.json("simulate", *world, "--seed=3", "--scenario=imperfect-delivery")


def of_the_data(entry: Any) -> Any:
    """What an entry of the ledger says of the data."""
    if isinstance(entry, dict):
        return {name: of_the_data(value) for name, value in entry.items() if name not in OF_THE_RUN}
    return [of_the_data(one) for one in entry] if isinstance(entry, list) else entry


def differing(one: list[Any], other: list[Any]) -> list[int]:
    """Places of the ledgers at which the entries differ or only one has an entry."""
    both = zip(one, other, strict=False)
    places = [place for place, (entry, twin) in enumerate(both) if entry != twin]
    shorter, longer = sorted((len(one), len(other)))
    return [*places, *range(shorter, longer)]


if __name__ == "__main__":
    main()
