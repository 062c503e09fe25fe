"""Why offline metrics rise once models serve: they find what their own slates led users to.

    python -m benchmarks.models.self_exposure [--users N] [--artists N] [--days N] [--seed N]
                                              [--scenario NAME]

The world is simulated. Families are tested on the split by time twice: after a history with a
seeded policy, and after `--days` more days on which the champion's lists of each morning were
shown. Metrics are over all that users took up in the test days, over what they took up unprompted,
and over what slates led them to.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from scipy import sparse

HISTORY_DAYS = 28
START = date(2026, 1, 1)
FAMILIES = ("als", "xgboost", "item-item", "trending", "popularity")


def main() -> None:
    """Live, test, live on, test again."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--users", type=int, default=800)
    arguments.add_argument("--artists", type=int, default=400)
    arguments.add_argument(
        "--days", type=int, default=10, help="days on which the champion's lists are shown"
    )
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--scenario", default="steady")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["FIRSTCHAIR_HOME"] = home
        print(f"simulated world `{asked.scenario}`, {asked.users} users, {asked.artists} artists")
        for lake, as_of in _lived(asked):
            _print_table(lake, as_of, asked.seed)


def _lived(asked: argparse.Namespace) -> Iterator[tuple[Any, date]]:
    """The lake before any list was shown, and after the last day; each with its `as_of`."""
    from firstchair.commands.living import PlatformService
    from firstchair.commands.run import run
    from firstchair.platform import open_platform
    from firstchair.platform.assets import MODELS, MONITORING
    from firstchair.world import World, WorldSpec

    platform = open_platform()
    days = HISTORY_DAYS + asked.days
    spec = WorldSpec(asked.users, asked.artists, days, asked.seed, START, asked.scenario)
    world = World(
        spec,
        accounts=platform.databases.accounts,
        events_url=platform.settings.events_url,
        truth=Path(platform.settings.home) / "truth",
    )
    spared = ("engagement_daily", "engagement_baselines", "churn", *MONITORING)
    # After the first morning the champion serves on, and nothing is fitted, so nothing is decided.
    undecided = (*MODELS, "evidence", "promotion_decision")

    def morning(last: date, *without: str) -> date:
        today = last + timedelta(days=1)
        run(
            replace(platform, now=datetime.combine(today, time(2, 30, tzinfo=UTC))),
            last=last,
            without=without,
        )
        return today

    for _ in range(HISTORY_DAYS):
        last = world.step()
    yield platform.lake, morning(last, *spared)
    service = PlatformService(platform, asked.users)
    for _ in range(asked.days):
        service.reload()
        today = morning(world.step(service), *spared, *undecided)
    yield platform.lake, today


def _print_table(lake: Any, as_of: date, seed: int) -> None:
    from firstchair.evaluation import load_split
    from firstchair.evaluation.evaluate import evaluate

    split = load_split(lake, as_of=as_of)
    nothing = sparse.csr_matrix(split.prompted.shape, dtype="float32")
    every = sparse.csr_matrix(split.positives + split.prompted)
    whole = replace(split, positives=every, prompted=nothing)
    share = split.prompted.nnz / max(1, every.nnz)
    print(f"as of {as_of}, {split.test_days} test days, {share:.0%} of it from slates", flush=True)
    for family in FAMILIES:
        apart, together = (evaluate(one, family, seed=seed) for one in (split, whole))
        print(
            f"  {family:10} {together.test_users} users, {apart.test_users} of them unprompted"
            + "".join(
                f"; {name} all {together.metrics[f'test_{name}']:.3f}"
                f" unprompted {apart.metrics[f'test_{name}']:.3f}"
                f" prompted {apart.metrics[f'test_prompted_{name}']:.3f}"
                for name in ("recall_at_20", "ndcg_at_10")
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
