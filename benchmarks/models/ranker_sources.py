"""The ranker on a public split with further models that propose candidates.

    python -m benchmarks.models.ranker_sources gowalla graph_filter [--each 100] [--users 15000]

Prints recall and NDCG at 20, what the order of the trees leaves undone (both for a perfect order
of the same candidates, and the share of the test items among them), and the difference from
item-item, paired by user. The split is read from outside the project, as by the other commands.
"""

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import firstchair.models.sources as first_stage
from benchmarks.models import public_data
from benchmarks.models.public_data import SEED
from firstchair.evaluation import paired_bootstrap
from firstchair.evaluation.public import PublicSplit
from firstchair.evaluation.public_models import evaluate_public
from firstchair.evaluation.ranking import metrics_at
from firstchair.models import Family, fit
from firstchair.models.chosen import chosen_settings, data_of
from firstchair.models.decayed_popularity import DecayedPopularity
from firstchair.models.graph_filter import GraphFilter

FURTHER: dict[str, Any] = {"graph_filter": GraphFilter, "decayed_popularity": DecayedPopularity}
SPLITS = {"gowalla": public_data.gowalla, "hetrec": public_data.hetrec}
K = 20
USERS_AT_ONCE = 2_000


def main() -> None:
    """Fit and measure, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", choices=SPLITS)
    parser.add_argument("sources", nargs="*", choices=FURTHER)
    parser.add_argument("--each", type=int, default=first_stage.CANDIDATES_EACH)
    parser.add_argument("--users", type=int, default=15_000)
    asked = parser.parse_args()
    propose_also(asked.sources, each=asked.each)
    print(json.dumps(measured(asked.split, training_users=asked.users), indent=2))


def propose_also(names: Sequence[str], *, each: int) -> None:
    """Let these models propose candidates too; before the ranker's features are imported."""
    first_stage.MODELS |= {name: FURTHER[name] for name in names}
    first_stage.SOURCES = tuple(first_stage.MODELS)
    first_stage.CANDIDATES_EACH = each


def measured(name: str, *, training_users: int) -> dict[str, Any]:
    """Quality of the ranker, of a perfect order of its candidates, and against item-item."""
    split = SPLITS[name]()
    study = data_of(split.train.fingerprint)
    assert study is not None
    settings = chosen_settings(Family.XGBOOST, data=study) | {"training_users": training_users}
    began = time.process_time()
    ranker: Any = fit(Family.XGBOOST, split.train, seed=SEED, settings=settings)
    rows = np.flatnonzero(np.diff(split.positives.indptr) > 0).astype(np.int64)
    lists = ranker.recommend(split.train, rows, K).artists
    seconds = time.process_time() - began
    found = metrics_at(lists, split.positives[rows], K)
    other = evaluate_public(split, Family.ITEM_ITEM, k=K, seed=SEED).per_user
    return {
        "sources": list(ranker.sources.models),
        "variant": str(ranker.variant),
        "cpu_seconds": round(seconds),
        **{metric: round(float(found[metric].mean()), 4) for metric in ("recall", "ndcg")},
        **possible(ranker, split, rows),
        **{
            f"{metric}_against_item_item": _paired(other[metric], found[metric])
            for metric in ("recall", "ndcg")
        },
    }


def _paired(part: np.ndarray, whole: np.ndarray) -> str:
    found = paired_bootstrap(part, whole, samples=1000, alpha=0.05, seed=SEED)
    return f"{found.relative_difference:+.2%} ({found.lower:+.2%} to {found.upper:+.2%})"


def possible(ranker: Any, split: PublicSplit, rows: np.ndarray) -> dict[str, float]:
    """The share of the wanted items that are candidates; recall and NDCG of a perfect order."""
    share, metrics = [], []
    for start in range(0, len(rows), USERS_AT_ONCE):
        part = rows[start : start + USERS_AT_ONCE]
        wanted = split.positives[part].toarray() > 0
        candidate = np.isfinite(ranker.score(split.train, part))
        among = wanted & candidate
        share.append(among.sum(axis=1) / wanted.sum(axis=1))
        best = np.where(among, 1.0, np.where(candidate, 0.0, -1.0))
        order = np.argsort(-best, axis=1, kind="stable")[:, :K].astype(np.int32)
        metrics.append(metrics_at(order, split.positives[part], K))
    return {
        "share_among_candidates": round(float(np.concatenate(share).mean()), 4),
        **{
            f"perfect_{metric}": round(
                float(np.concatenate([each[metric] for each in metrics]).mean()), 4
            )
            for metric in ("recall", "ndcg")
        },
    }


if __name__ == "__main__":
    main()
