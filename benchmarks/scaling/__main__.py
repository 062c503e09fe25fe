"""How a daily run grows: the second day of services of several sizes, asset by asset.

    python -m benchmarks.scaling --users 5000 20000 --artists 2000 --days 7 [--json FILE]

For each number of users a service is made: accounts, a catalogue, and gzip objects of events in the
shape of the simulated world's, with skewed popularity. The first run builds its history, with
models and lists of its last day. Then the objects of one more day land, and the second run makes
everything from them to the published lists, as `firstchair run` does, through Dagster's assets.

Prints processor seconds and peak memory of each asset on that second day, and the exponent by
which each grows with users (least squares of the logarithms, from two sizes on). Processor seconds
are those of the run's process with all its threads; Postgres is another one. `--json` adds the
results to those that the file holds, and the table is of all of them.
"""

import argparse
import json
import math
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.scaling.daily import lake_of, run_day
from benchmarks.scaling.made import Size, land_another, make_service

Result = dict[str, Any]
ALL = "all of it"
# Less is not told apart from the clock's own steps and from what another process leaves of a core.
LEAST_SECONDS = 0.2


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="*", default=[5_000])
    parser.add_argument("--artists", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=7, help="of history, before the measured day")
    parser.add_argument("--events", type=float, default=8, help="a user and day, on average")
    parser.add_argument("--json", type=Path, help="file of results, which is added to")
    parser.add_argument("--folder", type=Path, help="where the services are; each is removed")
    asked = parser.parse_args()
    known = asked.json is not None and asked.json.exists()
    results: list[Result] = json.loads(asked.json.read_text()) if known else []
    for users in asked.users:
        results.append(measured(Size(users, asked.artists, asked.days, asked.events), asked.folder))
        if asked.json is not None:
            asked.json.write_text(json.dumps(results, indent=1))
    print(table(results))


def measured(size: Size, parent: Path | None) -> Result:
    """Make a service, build its history, and measure the day after it."""
    folder = Path(tempfile.mkdtemp(prefix="firstchair-scaling-", dir=parent))
    folder.chmod(0o755)  # where root runs this, Postgres runs as another user
    home = folder / "home"
    try:
        began = time.monotonic()
        events = alone(make_service, home, size)
        made = time.monotonic() - began
        first = alone(run_day, home, size.days - 1)
        alone(land_another, home, size, events["next"])
        second = alone(run_day, home, size.days)
        return {
            **asdict(size),
            "events_before": events["events"],
            "made_seconds": made,
            "first": first,
            "second": second,
            "lake": alone(lake_of, home),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alone(work: Callable[..., Any], *given: Any) -> Any:
    """The answer of a process that does nothing else."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawning) as pool:
        return pool.submit(work, *given).result()


def table(results: Sequence[Result]) -> str:
    """Processor seconds and peak MiB of each asset by size, and how they grow with users."""
    ordered = sorted(results, key=lambda one: one["users"])
    names = list(dict.fromkeys(name for one in ordered for name in one["second"]["assets"]))
    heads = [f"{one['users']:,} × {one['artists']:,}, {one['days']} d" for one in ordered]
    lines = ["| asset | " + " | ".join(heads) + " | time | memory |"]
    lines.append("|---|" + "---|" * (len(heads) + 2))
    for name in (*names, ALL):
        taken = [
            one["second"]["whole"] if name == ALL else one["second"]["assets"].get(name)
            for one in ordered
        ]
        cells = [
            "" if one is None else f"{one['processor_seconds']:.1f} s, {one['peak_mib']:,.0f} MiB"
            for one in taken
        ]
        users = [one["users"] for one in ordered]
        growth = [exponent(users, taken, key) for key in ("processor_seconds", "peak_mib")]
        lines.append(f"| {name} | " + " | ".join([*cells, *growth]) + " |")
    return "\n".join(lines)


def exponent(users: Sequence[int], taken: Sequence[Result | None], key: str) -> str:
    """The power of the users by which a figure grows; empty where it cannot be told."""
    points = [
        (math.log(count), math.log(one[key]))
        for count, one in zip(users, taken, strict=True)
        if one is not None and one[key] >= LEAST_SECONDS
    ]
    if len({x for x, _ in points}) < 2:
        return ""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return f"{sum((x - mean_x) * (y - mean_y) for x, y in points) / spread:.2f}"


if __name__ == "__main__":
    main()
