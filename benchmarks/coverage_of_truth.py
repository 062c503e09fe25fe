"""Do the intervals of CTR and churn cover what is true? Cells of over 200 users, over seeds.

Run with `python -m benchmarks.coverage_of_truth [--seeds N] [--users N] [--times
N]`. A world has `times` as many listeners as the lake: the lake's are a sample of them. What is
true of a cell on a day is computed from the tastes of all its listeners in the world, without any
noise of clicks: the mean chance of a click of what was shown to them, and the mean chance of being
away for the whole horizon. Beside it stands the narrower truth of the lake's own listeners, which
an interval for listeners like them is wider than it needs to be for.
"""

import argparse
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from lives import START, LivedLake

from firstchair.definitions.churn import BASE_DAYS, HORIZONS_DAYS
from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring import build_churn, build_engagement

FIRST, LAST, MIN_USERS = 30, 50, 200
Covered = dict[str, list[tuple[str, bool, bool]]]


def main() -> None:
    """Print the share of covered cells of CTR and of each horizon of churn."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--first-seed", type=int, default=1)
    arguments.add_argument("--users", type=int, default=1_500)
    arguments.add_argument("--times", type=int, default=8)
    asked = arguments.parse_args()
    covered: Covered = {}
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for name, cells in measure(seed, asked.users, asked.times).items():
            covered.setdefault(name, []).extend(cells)
        print(f"  after seed {seed}: {said(covered)}", flush=True)
    print(f"95 % intervals, cells of over {MIN_USERS} users, {asked.seeds} seeds:")
    print(f"  {said(covered)}")
    for segment in sorted({segment for cells in covered.values() for segment, _, _ in cells}):
        print(f"  {segment}: {said(covered, segment)}")


def said(covered: Covered, segment: str | None = None) -> str:
    """Shares in words."""
    words = []
    for name, cells in covered.items():
        asked = [cell for cell in cells if segment in {None, cell[0]}]
        if asked:
            world, own = (100 * float(np.mean([cell[place] for cell in asked])) for place in (1, 2))
            words.append(f"{name} {world:.1f} % of {len(asked)} cells (own listeners {own:.1f} %)")
    return "; ".join(words)


def measure(seed: int, users: int, times: int) -> Covered:
    """Of each cell: its segment, and whether its interval holds the world's and its own truth."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        world = LivedLake(
            lake,
            users=users * times,
            artists=300,
            days=LAST + 1,
            seed=seed,
            name="steady",
            kept=users,
        )
        active = np.zeros((LAST + 1, users * times), dtype=bool)
        gone, true_ctr = {}, {}
        for number in range(LAST + 1):
            gone[number] = world.life.gone.copy()
            world.watched.forget()
            day = world.live()
            active[number, world.active_on] = True
            if number >= FIRST:
                true_ctr[day] = _true_ctr(world, number)
        first, last = START + timedelta(days=FIRST), START + timedelta(days=LAST)
        build_engagement(lake, first=first, last=last, k_anonymity=20)
        build_churn(
            lake,
            first_as_of=last - timedelta(days=max(HORIZONS_DAYS)),
            last_as_of=last,
            k_anonymity=20,
            late_tolerance_days=0,
            known_until=last + timedelta(days=1),
        )
        found = {
            "ctr": [
                _covers(row, true_ctr[row["event_date"]], "ctr")
                for row in _cells(lake, t.ENGAGEMENT_DAILY)
            ]
        }
        for horizon in HORIZONS_DAYS:
            rows = [
                row
                for row in _cells(lake, t.CHURN)
                if row["horizon_days"] == horizon and row["mature"]
            ]
            truths = {row["as_of"]: None for row in rows}
            truths = {
                as_of: _true_churn(world, active, gone, (as_of - START).days - horizon, horizon)
                for as_of in truths
            }
            found[f"churn {horizon}"] = [
                _covers(row, truths[row["as_of"]], "churn") for row in rows
            ]
        return found


def _cells(lake: Lake, table: t.Table) -> list[dict[str, Any]]:
    return list(
        lake.read(
            table, f"model_version = 'all' and users > {MIN_USERS} and segment_value <> 'other'"
        ).to_pylist()
    )


def _covers(
    row: dict[str, Any], truth: dict[tuple[str, str], tuple[float, float]], name: str
) -> tuple[str, bool, bool]:
    world, own = truth[row["segment"], row["segment_value"]]
    inside = [bool(row[f"{name}_lower"] <= value <= row[f"{name}_upper"]) for value in (world, own)]
    return row["segment"], inside[0], inside[1]


def _true_ctr(world: LivedLake, number: int) -> dict[tuple[str, str], tuple[float, float]]:
    chance, users, artists = world.watched.shown()
    segments = {
        name: values[users]
        for name, values in world.segments(START + timedelta(days=number)).items()
    }
    segments["follower_tier"] = world.tiers()[artists]
    return _means(segments, chance, users < world.kept)


def _true_churn(
    world: LivedLake, active: np.ndarray, gone: dict[int, np.ndarray], cut: int, horizon: int
) -> dict[tuple[str, str], tuple[float, float]]:
    base = np.flatnonzero(active[max(0, cut - BASE_DAYS) : cut].any(axis=0))
    away = np.where(
        gone[cut][base], 1.0, (1 - world.people.activity[base].astype(np.float64)) ** horizon
    )
    segments = {
        name: values[base] for name, values in world.segments(START + timedelta(days=cut)).items()
    }
    return _means(segments, away, base < world.kept)


def _means(
    segments: dict[str, np.ndarray], values: np.ndarray, own: np.ndarray
) -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    for segment, names in segments.items():
        for name in np.unique(names):
            inside = names == name
            ours = inside & own
            found[segment, str(name)] = (
                float(values[inside].mean()),
                float(values[ours].mean()) if ours.any() else 0.0,
            )
    return found


if __name__ == "__main__":
    main()
