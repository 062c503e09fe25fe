"""The published evaluation of Yambda: a global split by time, warm users, whole catalogue.

Ploshkin and others 2025, Yambda-5B (https://arxiv.org/abs/2505.22238). Where the paper leaves
something open, this follows the code published beside the set (`benchmarks/yambda`; a copy of it is
https://github.com/homutov/yambda-benchmark, commit a27651d1): what counts as a listen, repeated
events among the wanted, and NDCG as a ratio of two means.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.errors import EvidenceError
from firstchair.evaluation.public import as_training_data
from firstchair.evaluation.public_models import fitted_to, settings_by
from firstchair.memory import engine_limit
from firstchair.models import Family, LabelledHistory, TrainingData
from firstchair.models.hits import hits_of

DAY_SECONDS, GAP_SECONDS = 86_400, 1_800
# Timestamps of the set end there; the last day is the test.
TEST_FROM = 26_000_000 - DAY_SECONDS
TRAIN_UNTIL = TEST_FROM - GAP_SECONDS
# The day before the gap chooses settings; models that are compared on it end a gap earlier.
VALIDATION_FROM = TRAIN_UNTIL - DAY_SECONDS
BEFORE_VALIDATION = VALIDATION_FROM - GAP_SECONDS
LISTENED_PCT = 50
CUTOFFS = (10, 50, 100)
CHOSEN_AT = 100
COLUMNS = ("uid", "timestamp", "item_id")

Counts = npt.NDArray[np.int64]
Events = tuple[Counts, Counts]


@dataclass(frozen=True, slots=True)
class Targets:
    """What users did in a day to be predicted, rows and columns as in the training data.

    items: float32 CSR, 1 for an item of the training data. wanted: int64 (n_users,), events of the
    day, with those of unknown items and each repetition; 0 for users who are not evaluated.
    """

    items: sparse.csr_matrix
    wanted: Counts


@dataclass(frozen=True, slots=True)
class YambdaSplit:
    """Training data that lists may repeat, targets of the test, and events read by their part."""

    train: TrainingData
    test: Targets
    validation: Targets
    events: dict[str, int]


@dataclass(frozen=True, slots=True)
class YambdaEvaluation:
    """The published metrics of one model, each 0..1 but for dcg, at 10, 50 and 100.

    metrics: by name and cutoff, such as `recall_at_10`; recall and ndcg over `users`, coverage over
    the lists of all `train_users`. settings, chosen_by: what it was fitted with, and by what these
    were chosen.
    """

    protocol: str
    model: str
    metrics: dict[str, float]
    users: int
    train_users: int
    items: int
    events: dict[str, int]
    fit_seconds: float
    recommend_seconds: float
    settings: dict[str, Any]
    chosen_by: str


def read_yambda(path: Path) -> YambdaSplit:
    """Split a file of the flat layout, `listens.parquet` or `likes.parquet`, as published.

    Training ends 30 minutes before the last day. Of listens, those of half a track or more count.
    Users of the last day without a training event are left out; items without one stay wanted.

    Raises:
        EvidenceError: It cannot be read, lacks a column, or has no event in a part of the split.
    """
    with duckdb.connect(config={"memory_limit": f"{engine_limit()}B"}) as connection:
        try:
            columns = connection.read_parquet(str(path)).columns
        except duckdb.Error as error:
            raise _unusable(path, str(error).splitlines()[0]) from error
        if lacking := [name for name in COLUMNS if name not in columns]:
            raise _unusable(path, f"it has no column {', '.join(lacking)}")
        listened = (
            f"played_ratio_pct >= {LISTENED_PCT}" if "played_ratio_pct" in columns else "true"
        )
        of_file = connection.read_parquet(str(path)).filter(listened)
        of_file.select("uid, item_id, timestamp as heard_at").create_view("events")
        train, before = (
            _events(connection, f"heard_at < {end}") for end in (TRAIN_UNTIL, BEFORE_VALIDATION)
        )
        during = _events(connection, f"heard_at >= {VALIDATION_FROM} and heard_at < {TRAIN_UNTIL}")
        test = _events(connection, f"heard_at >= {TEST_FROM}")
    parts = {"train": train, "validation": during, "test": test}
    if empty := [name for name, (users, _) in parts.items() if not len(users)]:
        raise _unusable(path, f"it has no event for {' and '.join(empty)}")
    return _split(train, before, during, test)


def _events(connection: duckdb.DuckDBPyConnection, when: str) -> Events:
    """Users and items of events, one place each."""
    found = connection.execute(f"select uid, item_id from events where {when}").fetchnumpy()
    return found["uid"].astype(np.int64), found["item_id"].astype(np.int64)


def _unusable(path: Path, why: str) -> EvidenceError:
    return EvidenceError(
        f"{path.name} is no file of Yambda's flat layout: {why}.",
        where=str(path),
        data="No model was fitted.",
        remedy="Point to flat/50m/listens.parquet or likes.parquet as published.",
    )


def _split(train: Events, before: Events, during: Events, test: Events) -> YambdaSplit:
    users, items = np.unique(train[0]), np.unique(train[1])
    shape = users, items
    data = as_training_data(_labels(users), _labels(items), _matrix(train, shape))
    earlier = replace(data, confidence=_matrix(before, shape), repeats=True)
    validation = _targets(during, shape, warm=np.unique(before[0]))
    labelled = LabelledHistory(earlier, _new_only(validation.items, earlier))
    parts = {"train": train, "validation": during, "test": test}
    return YambdaSplit(
        train=replace(data, repeats=True, labelled=labelled),
        test=_targets(test, shape, warm=users),
        validation=validation,
        events={name: len(part[0]) for name, part in parts.items()},
    )


def _labels(ids: Counts) -> npt.NDArray[np.str_]:
    """Texts in the order of the numbers."""
    return np.char.zfill(ids.astype(str), 10)


def _matrix(events: Events, shape: Events) -> sparse.csr_matrix:
    """1 for each pair of a known user and a known item."""
    users, items = shape
    known = np.isin(events[0], users) & np.isin(events[1], items)
    row, column = (
        np.searchsorted(ids, part[known]) for ids, part in zip(shape, events, strict=True)
    )
    ones = np.ones(len(row), dtype=np.float32)
    found = sparse.csr_matrix((ones, (row, column)), shape=(len(users), len(items)))
    found.data[:] = 1
    found.sort_indices()
    return found


def _targets(events: Events, shape: Events, *, warm: Counts) -> Targets:
    is_warm = np.isin(events[0], warm)
    of_warm = events[0][is_warm], events[1][is_warm]
    wanted = np.bincount(np.searchsorted(shape[0], of_warm[0]), minlength=len(shape[0]))
    return Targets(_matrix(of_warm, shape), wanted.astype(np.int64))


def _new_only(items: sparse.csr_matrix, earlier: TrainingData) -> sparse.csr_matrix:
    """Pairs that are not among the earlier ones: a ranker learns from first interactions."""
    found = sparse.csr_matrix(items - items.multiply(earlier.confidence > 0))
    found.eliminate_zeros()
    return found


def evaluate_yambda(split: YambdaSplit, model: str, *, seed: int) -> YambdaEvaluation:
    """Fit `model` (a `Family` or `popularity`) and compute the published metrics.

    Settings are those that rank the day before the gap best (NDCG at 100), as published.

    Raises:
        ModelError: The family needs more than ids.
    """
    settings, chosen_by = settings_by(
        model,
        lambda family, tried: _validated(split, family, tried, seed),
        "the day before the test",
    )
    started = time.perf_counter()
    fitted = fitted_to(split.train, model, settings, seed)
    fit_seconds = time.perf_counter() - started
    started = time.perf_counter()
    everybody = np.arange(len(split.train.user_keys), dtype=np.int64)
    lists = fitted.recommend(split.train, everybody, max(CUTOFFS)).artists
    return YambdaEvaluation(
        protocol="yambda",
        model=str(model),
        metrics=published_metrics(lists, split.test, CUTOFFS),
        users=int(np.count_nonzero(split.test.wanted)),
        train_users=len(everybody),
        items=len(split.train.artist_ids),
        events=split.events,
        fit_seconds=fit_seconds,
        recommend_seconds=time.perf_counter() - started,
        settings=settings,
        chosen_by=chosen_by,
    )


def _validated(split: YambdaSplit, model: Family, settings: dict[str, Any], seed: int) -> float:
    labelled = split.train.labelled
    assert labelled is not None, "the split always has the day before"
    rows = np.flatnonzero(split.validation.wanted).astype(np.int64)
    if not len(rows):
        return 0.0
    of_rows = Targets(split.validation.items[rows], split.validation.wanted[rows])
    fitted = fitted_to(labelled.data, model, settings, seed)
    lists = fitted.recommend(labelled.data, rows, CHOSEN_AT).artists
    return published_metrics(lists, of_rows, (CHOSEN_AT,))[f"ndcg_at_{CHOSEN_AT}"]


def published_metrics(
    lists: npt.NDArray[np.int32], targets: Targets, cutoffs: Sequence[int]
) -> dict[str, float]:
    """Recall, DCG, NDCG and coverage at each cutoff.

    Recall of a user is hits ÷ wanted events; both are means over users with a wanted event. NDCG is
    the mean DCG ÷ the mean ideal DCG. Coverage is of all lists given, over the items of the
    training data.

    Args:
        lists: int32 (n_users, k), columns in rank order, -1 for an empty place; one for each row of
            the targets.
        targets: What is wanted.
        cutoffs: Lengths of lists.
    """
    evaluated = targets.wanted > 0
    wanted = targets.wanted[evaluated]
    hits = hits_of(lists[evaluated], targets.items[evaluated])
    discounts = 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    ideal_sums = np.concatenate([[0.0], np.cumsum(discounts)])
    found: dict[str, float] = {}
    for k in cutoffs:
        first = hits[:, :k]
        dcg = float((first * discounts[: first.shape[1]]).sum(axis=1).mean())
        ideal = float(ideal_sums[np.minimum(wanted, k)].mean())
        shown = lists[:, :k]
        found |= {
            f"recall_at_{k}": float((first.sum(axis=1) / wanted).mean()),
            f"dcg_at_{k}": dcg,
            f"ndcg_at_{k}": dcg / ideal,
            f"coverage_at_{k}": len(np.unique(shown[shown >= 0])) / targets.items.shape[1],
        }
    return found
