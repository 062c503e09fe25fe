"""ALS by Spark's MLlib against implicit's, same settings, paired by user on HetRec's split.

    PYTHONPATH=.venv/spark python -m benchmarks.models.als_on_spark [--master local[2]]

Prints recall@20 and NDCG@20 of both with the interval of their relative difference, the seconds of
each fit (the first one of Spark starts it), and the largest difference between the factors of two
fits by Spark.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.models.public_data import SEED, hetrec
from firstchair.evaluation import paired_bootstrap
from firstchair.evaluation.ranking import metrics_at
from firstchair.lake import SparkSettings
from firstchair.models import Family, TrainingData, chosen_settings, fit
from firstchair.models.als import ALS

K = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--master", default="local[2]")
    master = parser.parse_args().master
    split = hetrec()
    rows = np.flatnonzero(np.diff(split.positives.indptr) > 0)
    with tempfile.TemporaryDirectory() as folder:
        spark = SparkSettings(master, folder=Path(folder))
        models = [fitted(split.train, where) for where in (None, spark, spark)]
    found = [
        metrics_at(model.recommend(split.train, rows, K).artists, split.positives[rows], K)
        for model in models[:2]
    ]
    for metric in ("recall", "ndcg"):
        values = [one[metric] for one in found]
        change = paired_bootstrap(*values, samples=1000, alpha=0.05, seed=SEED)
        print(
            f"{metric}: implicit {values[0].mean():.4f}, MLlib {values[1].mean():.4f}, "
            f"{change.relative_difference:+.2%} ({change.lower:+.2%} to {change.upper:+.2%})"
        )
    apart = np.abs(models[1].artist_factors - models[2].artist_factors).max()
    print(f"two fits of the same data: largest difference of a factor {apart:.2g}")


def fitted(data: TrainingData, where: SparkSettings | None) -> ALS:
    """ALS with the settings of the study, fitted there."""
    data = replace(data, als_on=where, fits={})
    began = time.perf_counter()
    model = fit(
        Family.ALS, data, seed=SEED, settings=chosen_settings(Family.ALS, data="hetrec-lastfm")
    )
    print(f"{'implicit' if where is None else where.master}: {time.perf_counter() - began:.1f} s")
    assert isinstance(model, ALS)
    return model


if __name__ == "__main__":
    main()
