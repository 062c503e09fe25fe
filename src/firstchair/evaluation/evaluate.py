"""One family on one split: its metrics on the test days and on what it was fitted to."""

import time
from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from firstchair.evaluation.breakdown import Cell, broken_down
from firstchair.evaluation.exposure import exposure
from firstchair.evaluation.ranking import RankingMetrics, ranking_metrics
from firstchair.evaluation.references import POPULARITY, Popularity
from firstchair.evaluation.split import Split
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender, TrainingData, fit
from firstchair.models.protocol import Rows

DEPTH = 20
# The train metrics need no more users than this to show a gap.
TRAIN_USERS = 2_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A family's quality on the split for `as_of`.

    fingerprint: of the training data before the cutoff; equal for families that were compared fairly.
    test_users: users who took up something new in the test days that no slate led them to, cold
        ones included.
    metrics: means over users, 0..1: `test_*` on what users took up unprompted in the test days;
        `test_prompted_*` on what slates led them to, and `test_prompted_share` its share of all that
        was taken up; `train_*` on what users had taken before the cutoff, nothing left out of the
        lists (how well the model remembers, not how good it is); `test_coverage_at_20`,
        `test_novelty_bits` and `test_gini` are those of `Exposure`. Where nobody took up anything of
        a kind, its metrics are absent.
    per_user: rows in the columns of gold/offline_evidence, sorted by user_key. per_prompted_user: the
        same of those behind `test_prompted_*`, in the columns of gold/prompted_evidence.
        per_training_user: of the sample of users behind `train_*`, in the columns of
        gold/training_evidence.
    cells: NDCG@10 by segment and by length of history.
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


def evaluate(split: Split, family: str, *, seed: int) -> Evaluation:
    """Fit the family before the cutoff and rank the whole catalogue for every test user.

    `family` is one of `Family`, or `popularity`.
    """
    started = time.perf_counter()
    model = (
        Popularity(split.train)
        if family == POPULARITY
        else fit(Family(family), split.train, seed=seed)
    )
    fit_seconds = time.perf_counter() - started
    users = np.flatnonzero(np.diff((split.positives + split.prompted).indptr) > 0).astype(np.int64)
    lists = model.recommend(split.train, users, DEPTH).artists
    rows, artists, found = _on_test(users, lists, split.positives)
    prompted_rows, _, prompted = _on_test(users, lists, split.prompted)
    metrics = {f"test_{name}": value for name, value in _means(found).items()}
    metrics |= {f"test_prompted_{name}": value for name, value in _means(prompted).items()}
    if taken_up := split.positives.nnz + split.prompted.nnz:
        metrics["test_prompted_share"] = split.prompted.nnz / taken_up
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
    )


def _on_test(
    users: Rows, lists: npt.NDArray[np.int32], positives: sparse.csr_matrix
) -> tuple[Rows, npt.NDArray[np.int32], RankingMetrics]:
    """Those of `users` (rows of the training data) with a positive, their lists, and the lists' metrics."""
    judged = np.diff(positives.indptr)[users] > 0
    rows, artists = users[judged], lists[judged]
    return rows, artists, ranking_metrics(artists, positives[rows])


def _on_training(
    model: Recommender | Popularity, train: TrainingData
) -> tuple[Rows, RankingMetrics]:
    """A sample of the users that the model was fitted to (rows of `train`), and its metrics on what they had taken."""
    remembered = train.liked()
    rows = np.flatnonzero(train.warm())
    rows = rows[:: max(1, -(-len(rows) // TRAIN_USERS))].astype(np.int64)
    lists = model.recommend(replace(train, repeats=True), rows, DEPTH)
    return rows, ranking_metrics(lists.artists, remembered[rows])


def _exposed(train: TrainingData, artists: npt.NDArray[np.int32]) -> dict[str, float]:
    takers = np.diff(train.liked().tocsc().indptr)
    shown = exposure(artists, takers, users=len(train.user_keys))
    return {
        "test_coverage_at_20": shown.coverage,
        "test_novelty_bits": shown.novelty,
        "test_gini": shown.gini,
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
