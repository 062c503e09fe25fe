"""Count retraining triggers in worlds with a change of tastes, and in worlds without one.

Run with `python -m benchmarks.drift_scenarios [--seeds N] [--users N]`. Worlds are lived with the
seeded policy straight into silver tables; the champion is taken as fitted on the day before the
change, and after each trigger on its day, as if the gate had let the new one in at once. Triggers
are those of monitoring/rules.toml.
"""

import argparse
import sys
import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lives import START, LivedLake

from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.platform.causes import outcome
from firstchair.platform.triggers import of_tables
from monitoring import Champion, build_drift, build_engagement, load_rules

DAYS, FIRST = 60, 21


def main() -> None:
    """Print the triggers of each seed, and how many worlds came out as they should."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--first-seed", type=int, default=1)
    arguments.add_argument("--users", type=int, default=600)
    arguments.add_argument("--artists", type=int, default=300)
    arguments.add_argument("--scenario", choices=["taste-shift", "no-difference"], action="append")
    asked = arguments.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    for scenario in asked.scenario or ["taste-shift", "no-difference"]:
        found = {seed: watch(scenario, seed, asked.users, asked.artists) for seed in seeds}
        (report_shift if scenario == "taste-shift" else report_calm)(found)


Fired = list[tuple[int, str, str]]
CHANGE_ON = 40


def watch(scenario: str, seed: int, users: int, artists: int) -> Fired:
    """Triggers of one world: as_of as days since the world began, the cause, and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        world = LivedLake(
            lake,
            users=users,
            artists=artists,
            days=DAYS,
            seed=seed,
            name=scenario,
            change_on=CHANGE_ON,
        )
        days = DAYS if scenario == "no-difference" else CHANGE_ON + 2
        for _ in range(days):
            world.live()
        last = START + timedelta(days=days - 1)
        build_engagement(lake, first=START, last=last, k_anonymity=20)
        first = FIRST if scenario == "no-difference" else CHANGE_ON
        return _triggers(lake, first, days)


def _triggers(lake: Lake, first: int, days: int) -> Fired:
    rules, fired = load_rules(), []
    fired_on: dict[str, list[date]] = {}
    champion = Champion("1", START + timedelta(days=first))
    for number in range(first, days + 1):
        as_of = START + timedelta(days=number)
        build_drift(lake, as_of=as_of, champion=champion, report_folder=None, k_anonymity=20)
        for condition in of_tables(lake, as_of, rules):
            past = fired_on.setdefault(condition.cause, [])
            if outcome(condition.rule, condition.held, past, as_of=as_of) == "fired":
                past.append(as_of)
                fired.append((number, condition.cause, condition.detail))
                champion = Champion("1", as_of)
    drifted = Counter(row["as_of"] for row in lake.read(t.DRIFT, "drifted").to_pylist())
    print(
        f"  days with a drifted column: {len(drifted)} of {days + 1 - first}; fired: {fired}",
        flush=True,
    )
    return fired


def report_shift(found: dict[int, Fired]) -> None:
    """Seeds in which drift fired within two days of the change, and how often it did before."""
    delays = {
        seed: [
            (number - CHANGE_ON, cause) for number, cause, _ in fired if cause.startswith("drift")
        ]
        for seed, fired in found.items()
    }
    in_time = [seed for seed, days in delays.items() if any(0 < day <= 2 for day, _ in days)]
    answers = [
        seed
        for seed, days in delays.items()
        if any(day > 0 and cause == "drift:response" for day, cause in days)
    ]
    early = [seed for seed, days in delays.items() if any(day <= 0 for day, _ in days)]
    print(f"taste-shift: a drift trigger within 2 days in {len(in_time)} of {len(found)} worlds;")
    print(
        f"  of what listeners answer in {len(answers)}; on the day before the change, of "
        f"anything, in {len(early)}."
    )
    print(f"  days from the change to each trigger: {delays}")


def report_calm(found: dict[int, Fired]) -> None:
    """Triggers by world, and how often a cause fired twice."""
    counts = [len(fired) for fired in found.values()]
    twice = sum(
        any(n > 1 for n in Counter(cause for _, cause, _ in fired).values())
        for fired in found.values()
    )
    print(
        f"no-difference, {DAYS} days: triggers by world {counts}; most {max(counts)}; total "
        f"{sum(counts)};"
    )
    print(
        f"  worlds with at most one: {sum(n <= 1 for n in counts)} of {len(counts)}; with a cause "
        f"twice: {twice}."
    )


if __name__ == "__main__":
    main()
