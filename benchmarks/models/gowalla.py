"""Gowalla's published split: every model by full ranking, and the ranker paired with its parts.

    python -m benchmarks.models.gowalla [MODEL ...]

Each model has a process of its own, so that its peak memory is its own.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.models.public_data import SEED, gowalla
from firstchair.evaluation import paired_bootstrap
from firstchair.evaluation.public_models import PublicEvaluation, evaluate_public

MODELS = ("random", "popularity", "item-item", "graph-filter", "als", "blend", "xgboost")
K = 20


def main(names: tuple[str, ...]) -> None:
    found = {}
    for name in names:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            found[name] = alone.submit(measured, name).result()
        print(_row(found[name]), flush=True)
    for part in names:
        if "xgboost" in found and part != "xgboost":
            for metric in ("recall", "ndcg"):
                print(_paired(found["xgboost"], found[part], metric))


def measured(name: str) -> PublicEvaluation:
    """The evaluation that `firstchair evaluate` prints."""
    return evaluate_public(gowalla(), name, k=K, seed=SEED)


def _row(found: PublicEvaluation) -> str:
    return (
        f"{found.model:10} recall {found.recall:.4f} ndcg {found.ndcg:.4f} users {found.users} "
        f"fit {found.fit_seconds:7.1f}s recommend {found.recommend_seconds:6.1f}s peak "
        f"{found.peak_memory_mb:6.0f} MB {found.settings}"
    )


def _paired(challenger: PublicEvaluation, part: PublicEvaluation, metric: str) -> str:
    interval = paired_bootstrap(
        part.per_user[metric], challenger.per_user[metric], samples=1000, alpha=0.05, seed=SEED
    )
    return (
        f"xgboost against {part.model}, {metric}: {interval.relative_difference:+.2%} "
        f"({interval.lower:+.2%} to {interval.upper:+.2%})"
    )


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or MODELS)
