"""HetRec Last.fm: models by full ranking, fold-in from a few signals, friends and popularity.

python -m benchmarks.models.hetrec
"""

from dataclasses import replace

import numpy as np
from scipy import sparse

from benchmarks.models.public_data import SEED, hetrec, hetrec_friends, hetrec_whole
from firstchair.evaluation import paired_bootstrap
from firstchair.evaluation.public_models import PublicEvaluation, evaluate_public
from firstchair.evaluation.ranking import metrics_at
from firstchair.models import Family, TrainingData, chosen_settings, fit
from firstchair.models.selection import best

MODELS = ("random", "popularity", "als", "item-item", "graph-filter", "blend", "xgboost")
SIGNALS = (1, 3, 5, 10)
NEW_SHARE = 0.2
K = 20


def main() -> None:
    split = hetrec()
    found = {name: evaluate_public(split, name, k=K, seed=SEED) for name in MODELS}
    for name, evaluation in found.items():
        print(
            f"{name:10} recall {evaluation.recall:.4f} ndcg {evaluation.ndcg:.4f} users "
            f"{evaluation.users} fit {evaluation.fit_seconds:.1f}s recommend "
            f"{evaluation.recommend_seconds:.1f}s"
        )
    _compared(found, "xgboost", max(("als", "item-item"), key=lambda name: found[name].recall))
    _compared(found, "xgboost", "blend")
    whole = hetrec_whole()
    fold_in(whole)
    friends(whole)


def _compared(found: dict[str, PublicEvaluation], challenger: str, champion: str) -> None:
    for metric in ("recall", "ndcg"):
        interval = paired_bootstrap(
            found[champion].per_user[metric],
            found[challenger].per_user[metric],
            samples=1000,
            alpha=0.05,
            seed=SEED,
        )
        print(
            f"{challenger} against {champion}, {metric}: {interval.relative_difference:+.2%} "
            f"({interval.lower:+.2%} to {interval.upper:+.2%})"
        )


def fold_in(whole: TrainingData) -> None:
    """Users unknown to the fit, of whom n artists are known; the rest of theirs is to be found."""
    rng = np.random.default_rng(SEED)
    matrix, users = whole.confidence, len(whole.user_keys)
    new = np.sort(
        rng.permutation(np.flatnonzero(np.diff(matrix.indptr) > max(SIGNALS)))[
            : int(NEW_SHARE * users)
        ]
    )
    old = np.setdiff1d(np.arange(users), new)
    train = _rows_of(whole, old, matrix[old])
    families = (Family.ALS, Family.ITEM_ITEM, Family.BLEND)
    models = {
        str(f): fit(f, train, seed=SEED, settings=chosen_settings(f, data="hetrec-lastfm"))
        for f in families
    }
    listeners = np.asarray(matrix[old].getnnz(axis=0), dtype=np.float32)
    orders = [rng.permutation(matrix[row].indices) for row in new]
    print(f"fold-in: {len(new)} users kept out of the fit, recall@{K} by known artists")
    for count in SIGNALS:
        known, wanted = (
            _matrix([order[part] for order in orders], matrix.shape[1])
            for part in (slice(None, count), slice(max(SIGNALS), None))
        )
        data = _rows_of(whole, new, known)
        rows = np.arange(len(new))
        lists = {name: model.recommend(data, rows, K).artists for name, model in models.items()}
        lists["popularity"] = best(np.tile(listeners, (len(new), 1)), known, K).artists
        values = {
            name: metrics_at(artists, wanted, K)["recall"].mean() for name, artists in lists.items()
        }
        print(
            f"  n = {count:2} " + " ".join(f"{name} {value:.3f}" for name, value in values.items())
        )


def friends(whole: TrainingData) -> None:
    """Users without history: what their friends play against what everybody plays."""
    rng = np.random.default_rng(SEED)
    graph = hetrec_friends(whole.user_keys)
    new = np.sort(
        rng.permutation(np.flatnonzero(graph.getnnz(axis=1) > 0))[: int(NEW_SHARE * graph.shape[0])]
    )
    known = whole.confidence.copy().tolil()
    known[new] = 0
    known = sparse.csr_matrix(known)
    listeners = np.asarray(known.getnnz(axis=0), dtype=np.float32)
    among = (graph[new] @ known).toarray() + listeners / (1 + listeners.max())
    nothing, wanted = sparse.csr_matrix((len(new), known.shape[1])), whole.confidence[new]
    for name, scores in (
        ("popular", np.tile(listeners, (len(new), 1))),
        ("popular among friends", among),
    ):
        found = metrics_at(best(scores.astype(np.float32), nothing, K).artists, wanted, K)
        print(f"no history, {len(new)} users, {name}: recall {found['recall'].mean():.4f}")


def _rows_of(whole: TrainingData, rows: np.ndarray, confidence: sparse.csr_matrix) -> TrainingData:
    users = whole.users.iloc[rows]
    return replace(
        whole, user_keys=whole.user_keys[rows], users=users, confidence=confidence.tocsr()
    )


def _matrix(columns: list[np.ndarray], width: int) -> sparse.csr_matrix:
    row = np.repeat(np.arange(len(columns)), [len(found) for found in columns])
    matrix = sparse.csr_matrix(
        (np.ones(len(row), np.float32), (row, np.concatenate(columns))), (len(columns), width)
    )
    matrix.sort_indices()
    return matrix


if __name__ == "__main__":
    main()
