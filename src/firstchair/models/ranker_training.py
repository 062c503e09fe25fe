"""Training of the ranker: from labels of later days and from logged slates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.definitions.bounds import bounded
from firstchair.models.protocol import LabelledHistory, Rows, Slates
from firstchair.models.ranker_features import MONOTONE, NAMES, PairTable
from firstchair.models.selection import Floats, cells, chunks
from firstchair.models.sources import Sources

# Most dense score matrices in memory for a chunk of users.
CHUNK = 4
MAX_TRAINING_USERS = 15_000
MAX_SLATE_ITEMS = 200_000
WATCHED_SHARE = 0.2
MAX_TREES = 400
PATIENCE = 30
# Number of trees without validation users.
TREES_UNWATCHED = 30
# Propensities are clipped at this, so inverse propensity weights are at most 20.
MAX_INVERSE_PROPENSITY = 20.0
# Total weight of all slates relative to that of the labels of later days.
SLATE_SHARE = 0.25
# The better one on validation users is kept.
OBJECTIVES = ("binary:logistic", "rank:ndcg")
BOOSTER: Mapping[str, Any] = {
    "eta": 0.1,
    "max_depth": 6,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "tree_method": "hist",
    "max_bin": 128,
    "eval_metric": "ndcg@20-",
    "nthread": 2,
}
OF_OBJECTIVE: Mapping[str, Mapping[str, Any]] = {
    "binary:logistic": {},
    "rank:ndcg": {"lambdarank_pair_method": "topk", "lambdarank_num_pair_per_sample": 20},
}


# Metric of the validation slice after each tree.
Curve: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """An objective, its number of trees, and NDCG@20 on the validation slice (0 without one)."""

    objective: str
    with_slates: bool
    trees: int
    watched_ndcg: float


@dataclass(frozen=True, slots=True)
class Labelled:
    """Training rows: features float32 (n, len(NAMES)); label, group (ascending), weight (n,)."""

    features: Floats
    label: npt.NDArray[np.float32]
    group: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]

    def only(self, rows: npt.NDArray[np.bool_], label: npt.NDArray[np.float32]) -> "Labelled":
        """Those of `rows` whose group has a positive `label`."""
        _, number = np.unique(self.group, return_inverse=True)
        with_label = np.bincount(number, weights=label) > 0
        kept = rows & with_label[number]
        return Labelled(self.features[kept], label[kept], self.group[kept], self.weight[kept])

    def and_then(self, other: "Labelled") -> "Labelled":
        """Both sets of rows, one after the other."""
        return Labelled(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.label, other.label]),
            np.concatenate([self.group, other.group]),
            np.concatenate([self.weight, other.weight]),
        )


def trained(
    sources: Sources,
    labelled: LabelledHistory,
    *,
    seed: int,
    objectives: Sequence[str],
    variant: Variant | None = None,
    training_users: int = MAX_TRAINING_USERS,
) -> tuple[Variant | None, Any, Curve]:
    """Choose the objective, train the trees on all rows, and return NDCG@20 by tree.

    The result is (None, None, ()) without positives; the curve is empty without validation users.

    Each objective is fitted to the earlier labels of four fifths of the users, with early stopping
    on the later unprompted labels of the rest (on all their unprompted labels if labels have no
    days), whose slates are left out too. The best one is fitted again to all users with its number
    of trees. Logged slates are always used, if there are any: the validation labels are unprompted
    and cannot show what slates contribute. They choose the objective and the number of trees. A
    `variant` that is given was chosen so on earlier data; it is fitted to all users at once,
    without a curve.
    """
    table, rng = PairTable(sources, labelled.data), np.random.default_rng(seed)
    rows = np.flatnonzero(np.diff(labelled.positives.indptr) > 0)
    rows = np.sort(rng.permutation(rows)[:training_users]).astype(np.int64)
    if not len(rows):
        return None, None, ()
    found, later, unprompted = _of_candidates(table, labelled, rows)
    shown = None if labelled.slates is None else _of_slates(table, labelled.slates, rng)
    watching = rows[rng.random(len(rows)) < WATCHED_SHARE]
    watched = np.isin(found.group, watching)
    everything = found.only(np.ones_like(watched), found.label)
    known = found.only(~watched, found.label - later if later.any() else found.label)
    if not len(everything.label if variant else known.label):
        return None, None, ()
    curve: Curve = ()
    if variant is None:
        judge = found.only(watched, later * unprompted if later.any() else unprompted)
        of_others = None if shown is None else shown.without(watching)
        variant, curve = _best(objectives, known, judge, of_others, seed)
    if shown is not None:
        everything = _with(everything, shown.items)
    return variant, _boosted(variant.objective, everything, None, seed, trees=variant.trees), curve


def _best(
    objectives: Sequence[str], known: Labelled, judge: Labelled, shown: "_Shown | None", seed: int
) -> tuple[Variant, Curve]:
    """The best objective, with its number of trees on the labels and the slates."""
    tried = [_tried(objective, known, judge, seed) for objective in objectives]
    best, curve = max(tried, key=lambda found: found[0].watched_ndcg)
    if shown is None:
        return best, curve
    return _tried(best.objective, _with(known, shown.items), judge, seed, with_slates=True)


def _tried(
    objective: str, known: Labelled, judge: Labelled, seed: int, *, with_slates: bool = False
) -> tuple[Variant, Curve]:
    if not len(judge.label):
        return Variant(objective, with_slates, TREES_UNWATCHED, 0.0), ()
    history: dict[str, dict[str, list[float]]] = {}
    booster = _boosted(objective, known, judge, seed, trees=MAX_TREES, history=history)
    (curve,) = history["watched"].values()
    variant = Variant(objective, with_slates, booster.best_iteration + 1, float(booster.best_score))
    return variant, tuple(curve)


def _boosted(
    objective: str,
    known: Labelled,
    judge: Labelled | None,
    seed: int,
    *,
    trees: int,
    history: dict[str, dict[str, list[float]]] | None = None,
) -> Any:
    import xgboost

    own = _matrix(known, objective)
    return xgboost.train(
        {
            **BOOSTER,
            **OF_OBJECTIVE[objective],
            "objective": objective,
            "monotone_constraints": MONOTONE,
            "seed": seed % 2**31,
        },
        own,
        num_boost_round=trees,
        evals=[] if judge is None else [(_matrix(judge, objective, ref=own), "watched")],
        evals_result=history,
        early_stopping_rounds=None if judge is None else PATIENCE,
        verbose_eval=False,
    )


def _matrix(rows: Labelled, objective: str, *, ref: Any = None) -> Any:
    """Quantised rows. Groups are set for ranking and validation only: XGBoost weights by group."""
    import xgboost

    weight: npt.NDArray[np.floating] = rows.weight
    grouped = ref is not None or objective.startswith("rank:")
    if grouped:
        _, first = np.unique(rows.group, return_index=True)
        weight = np.add.reduceat(rows.weight, first) / np.diff([*first, len(rows.group)])
    return xgboost.QuantileDMatrix(
        rows.features,
        rows.label,
        qid=rows.group if grouped else None,
        weight=weight,
        feature_names=list(NAMES),
        max_bin=BOOSTER["max_bin"],
        ref=ref,
    )


def _of_candidates(
    table: PairTable, labelled: LabelledHistory, rows: Rows
) -> tuple[Labelled, Floats, Floats]:
    """The candidates of each user as a group, with later and unprompted positives.

    The latter two are float32 (n,), 0 or 1.
    """
    features, labels, later, unprompted, groups = [], [], [], [], []
    unled = labelled.unprompted()
    for part in chunks(rows, CHUNK * len(labelled.data.artist_ids)):
        pairs = table.of(part)
        features.append(pairs.features)
        labels.append(_is_stored(labelled.positives[part], pairs.user, pairs.column))
        if labelled.later is not None:
            later.append(_is_stored(labelled.later[part], pairs.user, pairs.column))
        unprompted.append(_is_stored(unled[part], pairs.user, pairs.column))
        groups.append(part[pairs.user])
    label = np.concatenate(labels)
    found = Labelled(
        np.concatenate(features),
        label,
        np.concatenate(groups),
        np.ones(len(label), dtype=np.float32),
    )
    in_later = np.concatenate(later) if later else np.zeros_like(label)
    return found, in_later, np.concatenate(unprompted)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Items of slates as training rows, and the user of each: int64 (n,), rows of the data."""

    items: Labelled
    user: Rows

    def without(self, users: Rows) -> "_Shown | None":
        """Those of other users; None where none of these was taken."""
        kept = ~np.isin(self.user, users)
        items = self.items
        if not items.label[kept].any():
            return None
        others = Labelled(
            items.features[kept], items.label[kept], items.group[kept], items.weight[kept]
        )
        return _Shown(others, self.user[kept])


def _of_slates(table: PairTable, slates: Slates, rng: np.random.Generator) -> _Shown | None:
    """The items of each slate as a group, weighted by inverse propensity.

    Group numbers continue those of the users. The number of slates of a user is bounded
    (`firstchair.definitions.bounds`), so that no account dominates.
    """
    counts = np.bincount(slates.slate)
    drawn = within_bounds(rng.permutation(len(counts)), counts, slates)
    kept_slates = drawn[np.cumsum(counts[drawn]) <= MAX_SLATE_ITEMS]
    kept = np.flatnonzero(np.isin(slates.slate, kept_slates))
    if not slates.taken[kept].any():
        return None
    features = table.given(slates.row[kept], slates.column[kept], slates.position[kept])
    weight = np.minimum(1 / slates.propensity[kept], MAX_INVERSE_PROPENSITY).astype(np.float32)
    group = slates.slate[kept] + len(table.day.users)
    items = Labelled(features, slates.taken[kept].astype(np.float32), group, weight)
    return _Shown(items, slates.row[kept])


def within_bounds(drawn: Rows, counts: npt.NDArray[np.int64], slates: Slates) -> Rows:
    """Leave out drawn slates that exceed the bound on their user's items.

    Args:
        drawn: int64, numbers of slates, each at most once.
        counts: int64, items of each slate, by its number.
        slates: The slates.

    Returns:
        int64, the slates that are kept, in their order.
    """
    shown = np.bincount(slates.row).astype(np.float64)
    most = bounded(shown)
    if most is shown:
        return drawn
    user = np.zeros(len(counts), dtype=np.int64)
    user[slates.slate] = slates.row
    order = np.argsort(user[drawn], kind="stable")
    owner, items = user[drawn][order], counts[drawn][order]
    before = np.cumsum(items) - items
    first = np.searchsorted(owner, owner)
    within = before + items - before[first] <= most[owner]
    return drawn[np.sort(order[within])]


def _with(known: Labelled, shown: Labelled) -> Labelled:
    """Both sets of rows; the slates have `SLATE_SHARE` of the total weight of the others."""
    scale = SLATE_SHARE * known.weight.sum() / shown.weight.sum()
    scaled = Labelled(
        shown.features, shown.label, shown.group, (shown.weight * scale).astype(np.float32)
    )
    return known.and_then(scaled)


def _is_stored(matrix: sparse.csr_matrix, row: Rows, column: Rows) -> Floats:
    return np.asarray(cells(matrix, row, column) > 0, dtype=np.float32)


def as_matrix(features: Floats) -> Any:
    """Features as XGBoost takes them."""
    import xgboost

    return xgboost.DMatrix(features, feature_names=list(NAMES))
