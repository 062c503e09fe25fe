"""How the ranker learns: labels of a later slice, early stopping on other users, two objectives tried."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from firstchair.models.protocol import LabelledHistory
from firstchair.models.ranker_features import NAMES, PairTable
from firstchair.models.selection import Floats, Rows, chunks
from firstchair.models.sources import Sources

# Dense score matrices held at once for each chunk of users.
CHUNK = 4
MAX_TRAINING_USERS = 15_000
HELD_OUT_SHARE = 0.2
MAX_TREES = 400
PATIENCE = 30
# Either may win: rank:ndcg orders within a user, binary:logistic also learns whom to trust. Validation says.
OBJECTIVES = ("binary:logistic", "rank:ndcg")
BOOSTER: Mapping[str, Any] = {
    "eta": 0.1,
    "max_depth": 6,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "tree_method": "hist",
    "eval_metric": "ndcg@20-",
    "nthread": 2,
}
OF_OBJECTIVE: Mapping[str, Mapping[str, Any]] = {
    "binary:logistic": {},
    "rank:ndcg": {"lambdarank_pair_method": "topk", "lambdarank_num_pair_per_sample": 20},
}


def trained(
    sources: Sources, labelled: LabelledHistory, *, seed: int, objectives: Sequence[str]
) -> tuple[str | None, Any]:
    """Objective and trees that order the candidates of the earlier cutoff best for users not trained on.

    (None, None) where no candidate was ever taken up.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(np.diff(labelled.positives.indptr) > 0)
    rows = np.sort(rng.permutation(rows)[:MAX_TRAINING_USERS]).astype(np.int64)
    watched = rng.random(len(rows)) < HELD_OUT_SHARE
    sets = [_labelled_matrix(sources, labelled, part) for part in (rows[~watched], rows[watched])]
    if sets[0] is None:
        return None, None
    found = [(objective, *_boosted(objective, sets, seed)) for objective in objectives]
    objective, _, booster = max(found, key=lambda candidate: candidate[1])
    return objective, booster


def _boosted(objective: str, sets: list[Any], seed: int) -> tuple[float, Any]:
    """NDCG@20 on the users watched, and the trees up to the best of it."""
    import xgboost

    watched = [(matrix, "watched") for matrix in sets[1:] if matrix is not None]
    booster = xgboost.train(
        {**BOOSTER, **OF_OBJECTIVE[objective], "objective": objective, "seed": seed % 2**31},
        sets[0],
        num_boost_round=MAX_TREES if watched else PATIENCE,
        evals=watched,
        early_stopping_rounds=PATIENCE if watched else None,
        verbose_eval=False,
    )
    return (booster.best_score, booster[: booster.best_iteration + 1]) if watched else (0.0, booster)


def _labelled_matrix(sources: Sources, labelled: LabelledHistory, rows: Rows) -> Any:
    """Pairs of the users who took up at least one of their candidates; None where there is no such user."""
    import xgboost

    features, labels, groups = [], [], []
    table = PairTable(sources, labelled.data)
    for part in chunks(rows, CHUNK * len(labelled.data.artist_ids)):
        pairs = table.of(part)
        wanted = _stored(labelled.positives[part], pairs.user, pairs.column)
        told = np.bincount(pairs.user, weights=wanted, minlength=len(part)) > 0
        kept = told[pairs.user]
        features.append(pairs.features[kept])
        labels.append(wanted[kept])
        groups.append(part[pairs.user[kept]])
    if not labels or not np.concatenate(labels).any():
        return None
    return xgboost.DMatrix(
        np.concatenate(features), np.concatenate(labels), qid=np.concatenate(groups), feature_names=list(NAMES)
    )


def _stored(matrix: sparse.csr_matrix, row: Rows, column: Rows) -> np.ndarray:
    return np.asarray(matrix[row, column] > 0).ravel()


def as_matrix(features: Floats) -> Any:
    """Features as XGBoost takes them."""
    import xgboost

    return xgboost.DMatrix(features, feature_names=list(NAMES))
