"""Evaluate a family on a split: metrics on the test days and on the training days."""

import time
from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from firstchair.evaluation.breakdown import Cell, broken_down
from firstchair.evaluation.exposure import exposure_of, places_by_artist
from firstchair.evaluation.ranking import RankingMetrics, ranking_metrics
from firstchair.evaluation.references import Popularity
from firstchair.evaluation.split import Split
from firstchair.lake import tables as t
from firstchair.models import POPULARITY, Family, Recommender, TrainingData, fit
from firstchair.models.protocol import Rows

DEPTH = 20
# Most users that the training metrics are computed for.
TRAIN_USERS = 2_000
# Most test users of a family that nobody decides on.
BASELINE_USERS = 20_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A family's quality on the split for `as_of`.

    Attributes:
        fingerprint: Digest of the training data before the cutoff; equal for families that may be
            compared.
        test_users: Users with an unprompted first interaction in the test days, cold ones included,
            or those drawn from them.
        metrics: Means over users, 0..1. `test_*`: on unprompted first interactions of the test
            days. `test_prompted_*`: on those that followed a slate; `test_prompted_share`: their
            share of all. `train_*`: on interactions before the cutoff, without leaving any out of
            the lists; it shows what the model remembers, not its quality. `test_coverage_at_20`,
            `test_novelty_bits` and `test_gini`: as in `Exposure`; `test_share_*`: of the places of
            the lists by follower tier (`tier_shares`). Metrics without any interaction
            of their kind are absent.
        per_user: Rows of gold/offline_evidence, sorted by user_key.
        per_prompted_user: Rows of gold/prompted_evidence, for `test_prompted_*`.
        per_training_user: Rows of gold/training_evidence, for the sample of users of `train_*`.
        cells: NDCG@10 by segment and by length of history.
        model: The model that was evaluated; None for `popularity`.
    """

    family: str
    as_of: date
    cutoff: date
    test_days: int
    fingerprint: str
    test_users: int
    metrics: dict[str, float]
    per_user: pa.Table
    per_prompted_user: pa.Table
    per_training_user: pa.Table
    fit_seconds: float
    cells: tuple[Cell, ...]
    model: Recommender | None


def evaluate(split: Split, family: str, *, seed: int, most_users: int | None = None) -> Evaluation:
    """Fit a family before the cutoff, and rank the whole catalogue for every test user.

    Args:
        split: Training and test days.
        family: One of `Family`, or `popularity`.
        seed: Of the fit and the intervals.
        most_users: Where there are more test users, so many are drawn, the same for each family.
            By default, all are taken.
    """
    started = time.perf_counter()
    model = (
        Popularity(split.train)
        if family == POPULARITY
        else fit(Family(family), split.train, seed=seed)
    )
    fit_seconds = time.perf_counter() - started
    users = np.flatnonzero(np.diff((split.positives + split.prompted).indptr) > 0).astype(np.int64)
    users = _drawn(users, most_users or len(users))
    lists = model.recommend(split.train, users, DEPTH).artists
    rows, artists, found = _on_test(users, lists, split.positives)
    prompted_rows, _, prompted = _on_test(users, lists, split.prompted)
    metrics = {f"test_{name}": value for name, value in _means(found).items()}
    metrics |= {f"test_prompted_{name}": value for name, value in _means(prompted).items()}
    if positives := split.positives.nnz + split.prompted.nnz:
        metrics["test_prompted_share"] = split.prompted.nnz / positives
    if len(rows):
        metrics |= _exposed(split.train, artists)
    remembering, remembered = _on_training(model, split.train)
    metrics |= {f"train_{name}": value for name, value in _means(remembered).items()}
    return Evaluation(
        family=str(family),
        as_of=split.as_of,
        cutoff=split.cutoff,
        test_days=split.test_days,
        fingerprint=split.train.fingerprint,
        test_users=len(rows),
        metrics=metrics,
        per_user=_per_user(split, str(family), rows, found),
        per_prompted_user=_per_user(split, str(family), prompted_rows, prompted),
        per_training_user=_per_user(split, str(family), remembering, remembered),
        fit_seconds=fit_seconds,
        cells=broken_down(found.ndcg_at_10, rows, split.train, seed=seed),
        model=None if isinstance(model, Popularity) else model,
    )


def _drawn(rows: Rows, most: int) -> Rows:
    """At most so many users, evenly spread over their pseudonyms."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _on_test(
    users: Rows, lists: npt.NDArray[np.int32], positives: sparse.csr_matrix
) -> tuple[Rows, npt.NDArray[np.int32], RankingMetrics]:
    """Users out of `users` with a positive interaction, their lists, and the metrics of these."""
    judged = np.diff(positives.indptr)[users] > 0
    rows, artists = users[judged], lists[judged]
    return rows, artists, ranking_metrics(artists, positives[rows])


def _on_training(
    model: Recommender | Popularity, train: TrainingData
) -> tuple[Rows, RankingMetrics]:
    """A sample of users of the training data, and the metrics on their interactions there."""
    remembered = train.liked()
    rows = np.flatnonzero(train.warm())
    rows = rows[:: max(1, -(-len(rows) // TRAIN_USERS))].astype(np.int64)
    lists = model.recommend(replace(train, repeats=True), rows, DEPTH)
    return rows, ranking_metrics(lists.artists, remembered[rows])


def _exposed(train: TrainingData, artists: npt.NDArray[np.int32]) -> dict[str, float]:
    shown, tiers = exposure_of(places_by_artist(artists, len(train.artist_ids)), train)
    return {
        "test_coverage_at_20": shown.coverage,
        "test_novelty_bits": shown.novelty,
        "test_gini": shown.gini,
        **{f"test_share_{tier}": share for tier, share in tiers.items()},
    }


def _means(metrics: RankingMetrics) -> dict[str, float]:
    values = {f.name: getattr(metrics, f.name) for f in fields(RankingMetrics)}
    return {name: float(value.mean()) for name, value in values.items() if len(value)}


def _per_user(split: Split, family: str, rows: Rows, found: RankingMetrics) -> pa.Table:
    return pa.table(
        {
            "as_of": pa.array([split.as_of] * len(rows), pa.date32()),
            "family": pa.array([family] * len(rows), pa.string()),
            "user_key": pa.array(split.train.user_keys[rows], pa.string()),
            "recall_at_20": found.recall_at_20,
            "ndcg_at_10": found.ndcg_at_10,
            "ndcg_at_20": found.ndcg_at_20,
        },
        schema=t.OFFLINE_EVIDENCE.schema,
    )
