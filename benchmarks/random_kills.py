"""Kills at random instants of everything that writes: does any change what is there in the end?

    python -m benchmarks.random_kills --kills 1000 [--deeds ingest forget] [--minutes 30]

A small service is simulated and run. Then, again and again, it is copied, one of its deeds is
started in a process of its own and killed by SIGKILL at a random instant, up to `--in-a-row` times,
and then done to its end. Tables, ledger, aliases, lists and the forms of the databases must be
those of the deed without a break.

Prints the kills by deed and by the function of ours that they met, and what differed. Ends with 1
where anything did.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import running
from tests.faults.deeds import DEEDS
from tests.faults.kills import LONG, Killed, Killer
from tests.service import simulated

WORLD = ("--days=8", "--seed=3", "--scenario=imperfect-delivery", "--start=2026-01-01")
# How often a deed is drawn beside one of those that fit models.
OFTEN = 12
SHOWN = 12


def main() -> None:
    """Kill as often as is asked, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = {"kills": 1000, "in-a-row": 5, "seed": 1, "users": 60, "artists": 40}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none after them")
    parser.add_argument("--deeds", nargs="+", choices=DEEDS, default=list(DEEDS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = list(killed(Path(folder), asked))
    report = summary(done) | {"seconds": round(time.monotonic() - began)}
    print(json.dumps(report) if asked.json else _as_text(report))
    sys.exit(bool(report["different"]))


def killed(folder: Path, asked: argparse.Namespace) -> Iterator[Killed]:
    """Rows of kills of deeds drawn by the seed, until there were so many kills."""
    rng = random.Random(asked.seed)
    home, copies = folder / "service" / "home", folder / "copies"
    home.parent.mkdir()
    copies.mkdir()
    with running(home) as server:
        world = (f"--users={asked.users}", f"--artists={asked.artists}", *WORLD)
        service = simulated(home, world)
        service.run("run")
        key = service.environment()["FIRSTCHAIR_PSEUDONYM_KEY"]
        killer, kills = Killer(home, server, copies, key), 0
        weights = [1 if name in LONG else OFTEN for name in asked.deeds]
        end = time.monotonic() + 60 * asked.minutes
        while kills < asked.kills and time.monotonic() < end:
            deed = rng.choices(asked.deeds, weights)[0]
            most = min(rng.randint(1, asked.in_a_row), asked.kills - kills)
            found = killer.kill(deed, rng, kills=most)
            kills += len(found.places)
            if found.different:
                print(f"After {kills} kills: {found}", file=sys.stderr, flush=True)
            yield found


def summary(done: Sequence[Killed]) -> dict[str, Any]:
    """Kills by deed and by place, and what differed."""
    deeds, places = Counter[str](), Counter[str]()
    for row in done:
        deeds[row.deed] += len(row.places)
        places.update(row.places)
    return {
        "kills": deeds.total(),
        "outcomes": len(done),
        "by_deed": dict(deeds.most_common()),
        "by_place": dict(places.most_common()),
        "different": [[row.deed, row.places, row.different] for row in done if row.different],
    }


def _as_text(report: dict[str, Any]) -> str:
    places = report["by_place"]
    shown = [*report["by_deed"].items(), ("", ""), *list(places.items())[:SHOWN]]
    lines = [f"{name:45} {number:>5}" for name, number in shown]
    rest = sum(list(places.values())[SHOWN:])
    lines.append(f"{len(places) - min(SHOWN, len(places))} other places{rest:>36}")
    lines.append(
        f"{report['kills']:,} kills, {report['outcomes']:,} outcomes, {report['seconds']:,} s, "
        f"{len(report['different'])} differences: {report['different']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
