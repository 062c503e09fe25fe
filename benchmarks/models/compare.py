"""Ours beside implicit and irspack as they come: one split, one run, full ranking.

    pip install -r benchmarks/models/requirements.txt
    python -m benchmarks.models.compare

A peer that is not installed is left out and named.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.models.public_data import SEED, hetrec
from firstchair.evaluation.public_models import evaluate_public
from firstchair.evaluation.ranking import metrics_at
from firstchair.models.selection import best

K = 20
OURS = ("als", "item-item", "blend")
Scores = Callable[[], np.ndarray]
Fit = Callable[[sparse.csr_matrix], Scores]


def main() -> None:
    split = hetrec()
    train = split.train.liked()
    rows = np.flatnonzero(np.diff(split.positives.indptr) > 0)
    for name in OURS:
        found = evaluate_public(split, name, k=K, seed=SEED)
        _print(f"firstchair {name}", found.recall, found.ndcg, found.fit_seconds, found.recommend_seconds)
    for name, (library, fit) in PEERS.items():
        if find_spec(library) is None:
            print(f"{name:28} not installed")
            continue
        started = time.perf_counter()
        scores = fit(train)
        fit_seconds = time.perf_counter() - started
        started = time.perf_counter()
        lists = best(scores()[rows], train[rows], K).artists
        found_at = metrics_at(lists, split.positives[rows], K)
        spent = time.perf_counter() - started
        _print(name, found_at["recall"].mean(), found_at["ndcg"].mean(), fit_seconds, spent)


def _print(name: str, recall: float, ndcg: float, fit_seconds: float, recommend_seconds: float) -> None:
    print(f"{name:28} recall {recall:.4f} ndcg {ndcg:.4f} fit {fit_seconds:6.1f}s recommend {recommend_seconds:6.1f}s")


def implicit_as_it_comes(train: sparse.csr_matrix) -> Scores:
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(random_state=SEED % 2**31)
        model.fit(train, show_progress=False)
    return lambda: np.asarray(model.user_factors @ model.item_factors.T, dtype=np.float32)


def implicit_cosine(train: sparse.csr_matrix) -> Scores:
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=100)
    model.fit(train, show_progress=False)
    return lambda: np.asarray((train @ model.similarity).toarray(), dtype=np.float32)


def irspack_rp3beta(train: sparse.csr_matrix) -> Scores:
    from irspack import RP3betaRecommender

    model = RP3betaRecommender(train.astype(np.float64)).learn()
    return lambda: np.asarray(model.get_score(np.arange(train.shape[0])), dtype=np.float32)


PEERS: dict[str, tuple[str, Fit]] = {
    "implicit ALS as it comes": ("implicit", implicit_as_it_comes),
    "implicit cosine, K = 100": ("implicit", implicit_cosine),
    "irspack RP3beta": ("irspack", irspack_rp3beta),
}


if __name__ == "__main__":
    main()
