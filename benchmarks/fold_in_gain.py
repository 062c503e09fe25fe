"""What folding in is worth: true CTR of new users' later slates, folded against batch lists.

Run with `python -m benchmarks.fold_in_gain [--users N] [--days N]`. The world is simulated; its
truth is computed from the tastes, so the figure has no noise of clicks, and its interval is over
users.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np

HISTORY_DAYS = 21


def main() -> None:
    """Live a history, run the pipeline once, then live on with both lists looked at."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--users", type=int, default=3_000)
    arguments.add_argument("--artists", type=int, default=1_000)
    arguments.add_argument(
        "--days", type=int, default=10, help="days after the history, each with its new users"
    )
    arguments.add_argument("--scenario", default="steady")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["FIRSTCHAIR_HOME"] = home
        measure(asked.users, asked.artists, asked.days, asked.scenario)


def measure(users: int, artists: int, days: int, scenario: str) -> None:
    """Print the mean true clicks per 100 of both lists over new users, and their difference."""
    from firstchair.commands.living import PlatformService
    from firstchair.commands.run import run
    from firstchair.platform import open_platform
    from firstchair.world import SLATE, Slates, World, WorldSpec
    from firstchair.world.behaviour import EXAMINATION
    from firstchair.world.service import Whole

    platform = open_platform()
    spec = WorldSpec(users, artists, HISTORY_DAYS + days, 11, date(2026, 1, 1), scenario)
    world = World(
        spec,
        accounts=platform.databases.accounts,
        events_url=platform.settings.events_url,
        truth=Path(platform.settings.home) / "truth",
    )
    for _ in range(HISTORY_DAYS):
        last = world.step()
    run(
        replace(platform, now=datetime.combine(last + timedelta(days=1), time(2, 30, tzinfo=UTC))),
        last=last,
    )

    found: dict[int, list[tuple[float, float]]] = {}

    class Both(PlatformService):
        """Shows the folded slate; notes what it and the batch slate are worth to new users."""

        def slates(self, asked: Whole, *, day: date, session: int) -> Slates:
            number = (day - spec.start).days
            for user in asked[world.people.first_day[asked] == number] if session else ():
                given = [self.shown(int(user), day, fold_in=fold).artists for fold in (False, True)]
                listed = np.full((2, SLATE), -1, dtype=np.int64)
                for row, numbers in enumerate(given):
                    listed[row, : len(numbers)] = self._artists[numbers]
                chance = EXAMINATION * world.life.appeal(np.array([user, user]), listed, number)
                batch, folded = 100 * chance.sum(axis=1) / SLATE
                found.setdefault(int(user), []).append((float(batch), float(folded)))
            return super().slates(asked, day=day, session=session)

    service = Both(platform, users)
    for _ in range(days):
        world.step(service)
    pairs = np.array([np.mean(slates, axis=0) for slates in found.values()])
    difference = pairs[:, 1] - pairs[:, 0]
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    batch, folded = pairs.mean(axis=0)
    print(
        f"simulated world `{scenario}`, {len(pairs)} new users, slates after their first one on "
        "their first day"
    )
    print(f"true clicks per 100: batch list {batch:.2f}, folded list {folded:.2f}")
    print(
        f"difference {difference.mean():+.2f} ({difference.mean() - half:+.2f} to "
        f"{difference.mean() + half:+.2f})"
    )
    print(f"relative {folded / batch - 1:+.1%}")


if __name__ == "__main__":
    main()
