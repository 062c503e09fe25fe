"""The order of models by offline metric beside their order by the true CTR of their lists.

    python -m benchmarks.models.truth [--users N] [--days N] [--seeds N]

The world is simulated: users live a history with a seeded policy, the pipeline fits, tests and
publishes all families, and each day's lists are judged by the tastes before anybody comes
(`truth/expected.parquet`), clicks without noise. Offline is NDCG@10 on the split by time of the
first of those days, as the gate sees it.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pandas as pd
from scipy import stats

from firstchair.models import listed_families
from firstchair.platform import Platform
from firstchair.publication import add_lists

HISTORY_DAYS = 28
START = date(2026, 1, 1)


def main() -> None:
    """A home a seed, then what holds over all of them."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--users", type=int, default=3_000)
    arguments.add_argument("--artists", type=int, default=1_000)
    arguments.add_argument(
        "--days", type=int, default=2, help="days after the history, each with models of its own"
    )
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--scenario", default="steady")
    asked = arguments.parse_args()
    homes = []
    for seed in range(1, asked.seeds + 1):
        with tempfile.TemporaryDirectory() as home:
            os.environ["FIRSTCHAIR_HOME"] = home
            homes.append(measured(asked.users, asked.artists, asked.days, seed, asked.scenario))
        print(f"simulated world `{asked.scenario}`, {asked.users} users, seed {seed}")
        print(_table(homes[-1]), flush=True)
    print(f"mean of {len(homes)} worlds")
    print(_table(sum(homes[1:], homes[0]) / len(homes)))


def measured(users: int, artists: int, days: int, seed: int, scenario: str) -> pd.DataFrame:
    """By family: offline NDCG@10 with its 95 % interval over test users, and true mean CTR."""
    from firstchair.commands.living import PlatformService
    from firstchair.commands.run import run
    from firstchair.platform import open_platform
    from firstchair.world import World, WorldSpec

    platform = open_platform()
    truth = Path(platform.settings.home) / "truth"
    spec = WorldSpec(users, artists, HISTORY_DAYS + days, seed, START, scenario)
    world = World(
        spec,
        accounts=platform.databases.accounts,
        events_url=platform.settings.events_url,
        truth=truth,
    )
    for _ in range(HISTORY_DAYS):
        last = world.step()
    service = None
    for _ in range(days):
        run(
            replace(
                platform, now=datetime.combine(last + timedelta(days=1), time(2, 30, tzinfo=UTC))
            ),
            last=last,
        )
        _add_other_lists(platform, last + timedelta(days=1))
        service = service or PlatformService(platform, users)
        service.reload()
        last = world.step(service)
    family = {version.version: version.family for version in platform.registry.versions()}
    told = pd.read_parquet(truth / "expected.parquet").query("segment == 'all'")
    ctr = (
        told.assign(family=told["model_version"].astype(str).map(family))
        .groupby("family")["ctr"]
        .mean()
    )
    return _offline(platform.lake, START + timedelta(days=HISTORY_DAYS), seed).join(
        ctr, how="inner"
    )


def _add_other_lists(platform: Platform, as_of: date) -> None:
    """Make the lists of families that neither serve nor challenge, which a run leaves out."""
    newest = platform.registry.newest(as_of)
    listed = listed_families(platform.settings.contending_families)
    others = [version for name, version in newest.items() if name not in listed]
    length = platform.settings.list_length
    add_lists(platform.lake, platform.registry, others, as_of=as_of, list_length=length)


def _offline(lake: object, as_of: date, seed: int) -> pd.DataFrame:
    from firstchair.evaluation.intervals import mean_interval
    from firstchair.lake import tables as t

    evidence = lake.read(t.OFFLINE_EVIDENCE, f"as_of = date '{as_of}'").to_pandas()
    rows = {}
    for family, values in evidence.groupby("family")["ndcg_at_10"]:
        lower, upper = mean_interval(values.to_numpy(float), samples=1000, alpha=0.05, seed=seed)
        rows[family] = {"ndcg": values.mean(), "lower": lower, "upper": upper}
    return pd.DataFrame.from_dict(rows, orient="index")


def _table(found: pd.DataFrame) -> str:
    """Rows by true CTR, with the rank of each by both; how far ranks agree (Spearman 1904)."""
    ranks = found[["ndcg", "ctr"]].rank(ascending=False).astype(int)
    lines = [
        f"  {family:10} NDCG@10 {row.ndcg:.4f} ({row.lower:.4f} to {row.upper:.4f}) rank "
        f"{ranks.ndcg[family]}, true CTR {100 * row.ctr:.2f} % rank {ranks.ctr[family]}, against "
        f"random {row.ctr / found.ctr['random'] - 1:+.0%}, trending "
        f"{row.ctr / found.ctr['trending'] - 1:+.0%}"
        for family, row in found.sort_values("ctr", ascending=False).iterrows()
    ]
    agreement = stats.spearmanr(found["ndcg"], found["ctr"]).statistic
    return "\n".join(
        [*lines, f"  rank correlation (Spearman): {agreement:.2f} of {len(found)} families"]
    )


if __name__ == "__main__":
    main()
