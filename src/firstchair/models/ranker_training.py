"""How the ranker learns: from labels of later days in the way that an unseen slice prefers, and from logged slates."""

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

# Dense score matrices held at once for each chunk of users.
CHUNK = 4
MAX_TRAINING_USERS = 15_000
MAX_SLATE_ITEMS = 200_000
WATCHED_SHARE = 0.2
MAX_TREES = 400
PATIENCE = 30
# Where nobody is left to watch.
TREES_UNWATCHED = 30
# An item that stood where it stood one time in a hundred says no more than one of one time in twenty.
MAX_INVERSE_PROPENSITY = 20.0
# All slates together weigh so much of what the labels of later days weigh.
SLATE_SHARE = 0.25
# Either may win: rank:ndcg orders within a user, binary:logistic also learns whom to trust. Validation says.
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


# NDCG@20 of the watched slice after each tree.
Curve: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to learn, the trees it wants, and NDCG@20 on the slice that was watched (0 where none was)."""

    objective: str
    with_slates: bool
    trees: int
    watched_ndcg: float


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows to learn from: features float32 (n, len(NAMES)); label, group and weight (n,), groups ascending."""

    features: Floats
    label: npt.NDArray[np.float32]
    group: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]

    def only(self, rows: npt.NDArray[np.bool_], label: npt.NDArray[np.float32]) -> "Labelled":
        """Those of `rows` whose group has a positive `label`."""
        _, number = np.unique(self.group, return_inverse=True)
        told = np.bincount(number, weights=label) > 0
        kept = rows & told[number]
        return Labelled(self.features[kept], label[kept], self.group[kept], self.weight[kept])

    def and_then(self, other: "Labelled") -> "Labelled":
        """Both, one after the other."""
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
    training_users: int = MAX_TRAINING_USERS,
) -> tuple[Variant | None, Any, Curve]:
    """The best way to learn, the trees it gave from all there is, and NDCG@20 of the watched slice by tree.

    (None, None, ()) where nothing was ever taken up; no curve where nothing was watched.

    Each way is fitted to the earlier labels of four fifths of the users and stopped by the later
    unprompted labels of the rest (by all unprompted ones of theirs, where labels have no days). The
    best is fitted once more, to everybody's, with as many trees as it wanted. Slates are learnt
    wherever any were logged: the watched labels are of what users took up unprompted and cannot tell
    what a slate teaches. They choose the objective and how many trees to grow.
    """
    table, rng = PairTable(sources, labelled.data), np.random.default_rng(seed)
    rows = np.flatnonzero(np.diff(labelled.positives.indptr) > 0)
    rows = np.sort(rng.permutation(rows)[:training_users]).astype(np.int64)
    if not len(rows):
        return None, None, ()
    found, later, unprompted = _of_candidates(table, labelled, rows)
    watched = np.isin(found.group, rows[rng.random(len(rows)) < WATCHED_SHARE])
    known = found.only(~watched, found.label - later if later.any() else found.label)
    judge = found.only(watched, later * unprompted if later.any() else unprompted)
    if not len(known.label):
        return None, None, ()
    shown = None if labelled.slates is None else _of_slates(table, labelled.slates, rng)
    tried = [_tried(objective, known, judge, seed) for objective in objectives]
    best, curve = max(tried, key=lambda found: found[0].watched_ndcg)
    everything = found.only(np.ones_like(watched), found.label)
    if shown is not None:
        best, curve = _tried(best.objective, _with(known, shown), judge, seed, with_slates=True)
        everything = _with(everything, shown)
    return best, _boosted(best.objective, everything, None, seed, trees=best.trees), curve


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
    """Quantised rows; XGBoost weighs groups where there are any, so only a ranking objective and a judge get them."""
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
    """The candidates of each user as a group; which were taken up later, and which unprompted.

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


def _of_slates(table: PairTable, slates: Slates, rng: np.random.Generator) -> Labelled | None:
    """Shown items as groups of a slate, weighed by the inverse of their propensity.

    Groups begin after the users'. A user's slates are as many as `firstchair.definitions.bounds`
    allows, so that what one account was shown a million times teaches no more than that.
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
    return Labelled(features, slates.taken[kept].astype(np.float32), group, weight)


def within_bounds(drawn: Rows, counts: npt.NDArray[np.int64], slates: Slates) -> Rows:
    """Leave out drawn slates that go beyond the bound of their user's items.

    Args:
        drawn: int64, numbers of slates, each at most once.
        counts: int64, items of each slate, by its number.
        slates: What was shown.

    Returns:
        int64, the other ones in their order.
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
    """Both, the slates weighing `SLATE_SHARE` of the rest in total."""
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
