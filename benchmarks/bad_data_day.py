"""A day on which a sender breaks a third of its records: is it found, and is it the only one?

Run with `python -m benchmarks.bad_data_day [--seeds N] [--users N]`. Both sources are written and
read by the code of the pipeline, without Dagster and MLflow; each day is ingested on the morning
after it.
"""

import argparse
import os
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

START, DAYS = date(2026, 1, 1), 24
KEY = b"a benchmark's key"


def main() -> None:
    """Print for each seed which days are blocked, and which one was broken."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--users", type=int, default=300)
    asked = arguments.parse_args()
    found = [watch(seed, asked.users) for seed in range(1, asked.seeds + 1)]
    right = sum(blocked == [broken] for broken, blocked in found)
    print(
        f"bad-data-day: the broken day and no other blocks decisions in {right} of {len(found)} "
        "worlds."
    )


def watch(seed: int, users: int) -> tuple[date, list[date]]:
    """The broken day of one world and the blocked ones."""
    from firstchair import events, privacy
    from firstchair.databases import open_databases
    from firstchair.lake import Lake
    from firstchair.settings import Settings
    from firstchair.world import World, WorldSpec
    from monitoring import build_quality

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FIRSTCHAIR_HOME"] = folder
        settings, lake = Settings(home=Path(folder)), Lake(f"{folder}/lake")
        accounts = open_databases(settings).accounts
        spec = WorldSpec(users, 200, DAYS, seed, START, "bad-data-day")
        world = World(
            spec, accounts=accounts, events_url=settings.events_url, truth=Path(folder) / "truth"
        )
        for _ in range(DAYS):
            morning = datetime.combine(world.step() + timedelta(days=1), time(2, 30), UTC)
            events.ingest(lake, events_url=settings.events_url, pseudonym_key=KEY, now=morning)
        privacy.build_users(lake, accounts, pseudonym_key=KEY, now=morning)
        events.build_catalogue(lake, accounts)
        last = START + timedelta(days=DAYS - 1)
        events.build_events(lake, START, last)
        report = build_quality(lake, first=START, last=last, report_folder=None)
        broken = START + timedelta(days=DAYS * 2 // 3)
        print(
            f"  seed {seed}: broken {broken}, blocked {[str(day) for day in report.blocked]}",
            flush=True,
        )
        return broken, list(report.blocked)


if __name__ == "__main__":
    main()
