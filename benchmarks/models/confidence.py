"""What each part of the confidence is worth: ALS without it, on the time split and by true CTR.

    python -m benchmarks.models.confidence [--users N] [--seeds N]

Run on simulated worlds with a seeded policy before there were models. No variant learns from a
signal that it leaves out, but the artists of that signal stay out of the user's list, so all
variants choose from the same artists.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from scipy import sparse

from benchmarks.lives import LivedLake
from firstchair import features
from firstchair.evaluation.intervals import mean_interval
from firstchair.evaluation.ranking import ranking_metrics
from firstchair.evaluation.split import load_split
from firstchair.events.vocabulary import EventType
from firstchair.features.confidence import STANDARD, ConfidenceSettings
from firstchair.lake import DuckDBEngine, Lake
from firstchair.models import Family, TrainingData, chosen_settings, fit, load_training_data
from firstchair.models.selection import best
from firstchair.world import SLATE, artist_number
from firstchair.world.truth import expectations

HISTORY_DAYS = 35
ALL = "all"
UNDAMPED = 1e12


@dataclass(frozen=True, slots=True)
class Variant:
    """Constants of the matrix, kinds of events left out, and whether all entries weigh alike."""

    settings: ConfidenceSettings = STANDARD
    without: tuple[EventType, ...] = ()
    alike: bool = False


VARIANTS = {
    ALL: Variant(),
    "without plays": Variant(without=(EventType.PLAY,)),
    "without clicks": Variant(without=(EventType.CLICK,)),
    "without follows": Variant(without=(EventType.FOLLOW, EventType.UNFOLLOW)),
    "without unclicked impressions": Variant(without=(EventType.IMPRESSION,)),
    "without damping": Variant(settings=replace(STANDARD, activity_scale=UNDAMPED)),
    "without decay": Variant(settings=replace(STANDARD, half_life_days=UNDAMPED)),
    "preferences alone": Variant(alike=True),
}


def main(users: int, artists: int, seeds: int) -> None:
    differences: dict[str, list[np.ndarray]] = {}
    clicks: dict[str, list[float]] = {}
    levels: dict[str, list[float]] = {}
    for seed in range(1, seeds + 1):
        for name, ndcg, whole, ctr in measured(users, artists, seed):
            differences.setdefault(name, []).append(ndcg - whole)
            levels.setdefault(name, []).append(float(ndcg.mean()))
            clicks.setdefault(name, []).append(ctr)
    print(f"simulated worlds, {users} users, {artists} artists, {seeds} seeds, ALS")
    for name, of_worlds in differences.items():
        lower, upper = mean_interval(
            np.concatenate(of_worlds), samples=1000, alpha=0.05, seed=seeds
        )
        print(
            f"  {name:30} NDCG@10 {np.mean(levels[name]):.4f} difference "
            f"{np.concatenate(of_worlds).mean():+.4f} ({lower:+.4f} to {upper:+.4f}), true CTR "
            f"{100 * np.mean(clicks[name]):.2f} % "
            f"({np.mean(clicks[name]) / np.mean(clicks[ALL]) - 1:+.1%})"
        )


def measured(
    users: int, artists: int, seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
    """By variant: NDCG@10 per user and of the whole matrix; true CTR of the next day's lists."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        world = LivedLake(
            lake, users=users, artists=artists, days=HISTORY_DAYS + 1, seed=seed, name="steady"
        )
        for _ in range(HISTORY_DAYS):
            last = world.live()
        as_of = last + timedelta(days=1)
        split, today = (
            load_split(lake, as_of=as_of),
            load_training_data(lake, as_of=as_of, labels=False),
        )
        rows = np.flatnonzero(np.diff(split.positives.indptr) > 0).astype(np.int64)
        whole = np.zeros(len(rows))
        for name, variant in VARIANTS.items():
            listed = _lists(lake, split.train, variant, rows, seed)
            ndcg = ranking_metrics(listed, split.positives[rows]).ndcg_at_10
            whole = ndcg if name == ALL else whole
            everybody = np.arange(len(today.user_keys), dtype=np.int64)
            shown = _as_the_world_counts(
                world, today, _lists(lake, today, variant, everybody, seed)
            )
            yield name, ndcg, whole, expectations(world.life, world.number, {name: shown})[0]["ctr"]


def _lists(
    lake: Lake, data: TrainingData, variant: Variant, rows: np.ndarray, seed: int
) -> np.ndarray:
    """The best ten of what the whole matrix leaves open, by ALS fitted to the variant's."""
    seen = replace(data, confidence=_matrix(lake, data, variant), labelled=None)
    model = fit(Family.ALS, seen, seed=seed, settings=chosen_settings(Family.ALS))
    return best(model.score(seen, rows), data.taken()[rows], SLATE).artists


def _matrix(lake: Lake, data: TrainingData, variant: Variant) -> sparse.csr_matrix:
    with DuckDBEngine(lake) as engine:
        history = features.open_history(engine)
        if variant.without:
            history = replace(
                history,
                events=history.events.filter(history.events.event_type.notin(variant.without)),
            )
        pairs = features.interactions(
            history, as_of=data.as_of, settings=variant.settings
        ).to_pandas()
    row = np.searchsorted(data.user_keys, pairs["user_key"].to_numpy(str))
    column = np.searchsorted(data.artist_ids, pairs["artist_id"].to_numpy(str))
    confidence = np.ones(len(pairs)) if variant.alike else pairs["confidence"].to_numpy()
    signed = np.where(pairs["preference"] > 0, confidence, 0 if variant.alike else -confidence)
    matrix = sparse.csr_matrix(
        (signed.astype(np.float32), (row, column)), shape=data.confidence.shape
    )
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _as_the_world_counts(world: LivedLake, data: TrainingData, lists: np.ndarray) -> np.ndarray:
    """Lists by the world's numbers of users and artists."""
    numbers = np.array([artist_number(artist) for artist in data.artist_ids])
    row = {key: number for number, key in enumerate(world.keys)}
    shown = np.full((len(world.keys), SLATE), -1, dtype=np.int64)
    shown[[row[key] for key in data.user_keys]] = np.where(lists >= 0, numbers[lists], -1)
    return shown


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    for argument, default in (("--users", 3_000), ("--artists", 1_000), ("--seeds", 3)):
        arguments.add_argument(argument, type=int, default=default)
    main(**vars(arguments.parse_args()))
