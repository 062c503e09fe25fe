"""Train, validation and test of every tuning trial on HetRec, and which are judged overfit.

    python -m benchmarks.models.overfitting [--trials N]

Trials are chosen by validation; the test column is looked at by nobody but the reader. A trial is
judged beside the one that validation chose. Blend and the ranker, which are made of tuned parts,
stand below, beside that ALS; to them validation is no test, for it chose their parts. ALS set free
stands there on purpose.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.models.public_data import SEED, hetrec
from benchmarks.models.study import START
from firstchair.evaluation.overfitting import gap_test
from firstchair.evaluation.public import PublicSplit, with_held_out
from firstchair.evaluation.tuning import remembered_and_found, tune
from firstchair.models import Family, LabelledHistory, chosen_settings, fit
from firstchair.models.hits import Values, hits_of, ndcg

DEPTH = 20
FREE = {"factors": 128, "alpha": 41.0, "regularization": 0.01, "iterations": 30}


def main(trials: int) -> None:
    split = hetrec()
    labelled = split.train.labelled
    assert labelled is not None
    chosen = {}
    for family in (Family.ALS, Family.ITEM_ITEM):
        study = tune(labelled, family, start=START[family], trials=trials, seed=SEED)
        best = chosen[family] = measured(split, labelled, family, study.best.settings)
        for trial in study.trials:
            print(
                _row(
                    f"{family} {trial.number}",
                    measured(split, labelled, family, trial.settings),
                    best,
                    trial.settings,
                )
            )
        if family is Family.ALS:
            print(_row("als set free", measured(split, labelled, family, FREE), best, FREE))
    inner = LabelledHistory(with_held_out(labelled.data, seed=SEED), labelled.positives)
    for family in (Family.BLEND, Family.XGBOOST):
        settings = chosen_settings(family, data="hetrec-lastfm")
        print(_row(str(family), measured(split, inner, family, settings), chosen[Family.ALS], {}))


def measured(
    split: PublicSplit, labelled: LabelledHistory, family: Family, settings: Mapping[str, Any]
) -> tuple[Values, Values, Values]:
    """NDCG@20 per user: on the fitted data, the validation slice, and test after a fit to all."""
    rows = np.flatnonzero(
        (np.diff(labelled.positives.indptr) > 0) & (np.diff(split.positives.indptr) > 0)
    )
    remembered, found = remembered_and_found(
        fit(family, labelled.data, seed=SEED, settings=settings), labelled, rows
    )
    lists = (
        fit(family, split.train, seed=SEED, settings=settings)
        .recommend(split.train, rows, DEPTH)
        .artists
    )
    wanted = split.positives[rows]
    return remembered, found, ndcg(hits_of(lists, wanted), np.diff(wanted.indptr), DEPTH)


def _row(
    name: str,
    of_it: tuple[Values, Values, Values],
    reference: tuple[Values, Values, Values],
    settings: Mapping[str, Any],
) -> str:
    gap = gap_test(
        of_it[0], of_it[1], reference_train=reference[0], reference_unseen=reference[1], seed=SEED
    )
    train, validation, test = (values.mean() for values in of_it)
    verdict = "overfit" if gap.overfit else "fine"
    told = " ".join(f"{key} {value}" for key, value in settings.items())
    return (
        f"{name:14} train {train:.3f} validation {validation:.3f} test {test:.3f} {verdict:7} "
        f"{told}"
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--trials", type=int, default=24)
    main(arguments.parse_args().trials)
