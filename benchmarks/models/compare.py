"""Ours beside implicit, irspack, lenskit and rectools as released: one split, full ranking.

    pip install -r benchmarks/models/requirements.txt
    pip install --no-deps -r benchmarks/models/requirements-no-deps.txt
    python -m benchmarks.models.compare [--data hetrec|gowalla]

A peer that is not installed is left out and named.
"""

import argparse
import time
from importlib.util import find_spec

import numpy as np

from benchmarks.models.peers import PEERS, Fit
from benchmarks.models.public_data import SEED, gowalla, hetrec
from firstchair.evaluation.public import PublicSplit
from firstchair.evaluation.public_models import evaluate_public
from firstchair.evaluation.ranking import metrics_at

K = 20
OURS = ("als", "item-item", "blend", "xgboost")
SPLITS = {"hetrec": hetrec, "gowalla": gowalla}


def main(data: str) -> None:
    split = SPLITS[data]()
    for name in OURS:
        cpu = time.process_time()
        found = evaluate_public(split, name, k=K, seed=SEED)
        spent = time.process_time() - cpu
        _print(
            f"firstchair {name}",
            found.recall,
            found.ndcg,
            found.fit_seconds,
            found.recommend_seconds,
            spent,
        )
    for name, (library, fit) in PEERS.items():
        if find_spec(library) is None:
            print(f"{name:26} not installed")
        else:
            _measure(name, fit, split)


def _measure(name: str, fit: Fit, split: PublicSplit) -> None:
    train, rows = split.train.liked(), np.flatnonzero(np.diff(split.positives.indptr) > 0)
    cpu, started = time.process_time(), time.perf_counter()
    recommend = fit(train)
    fitted = time.perf_counter()
    lists = recommend(rows, K)
    done = time.perf_counter()
    found = metrics_at(lists, split.positives[rows], K)
    spent = time.process_time() - cpu
    _print(
        name, found["recall"].mean(), found["ndcg"].mean(), fitted - started, done - fitted, spent
    )


def _print(name: str, recall: float, ndcg: float, fit: float, recommend: float, cpu: float) -> None:
    print(
        f"{name:26} recall {recall:.4f} ndcg {ndcg:.4f} fit {fit:6.1f}s recommend "
        f"{recommend:6.1f}s cpu {cpu:6.1f}s",
        flush=True,
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", choices=sorted(SPLITS), default="hetrec")
    main(arguments.parse_args().data)
