"""HetRec Last.fm at 99 % train, 70 % test: an overfit model is flagged, a tuned one is not."""

import numpy as np
import pytest

from benchmarks.models.overfitting import FREE
from benchmarks.models.public_data import DATA, SEED, hetrec
from firstchair.evaluation.overfitting import gap_test
from firstchair.evaluation.tuning import remembered_and_found
from firstchair.models import Family, chosen_settings, fit

HETREC = DATA / "hetrec2011-lastfm-2k"


@pytest.mark.skipif(
    not HETREC.exists(), reason="HetRec Last.fm is not at ../shared/data/hetrec2011-lastfm-2k"
)
def test_als_set_free_on_hetrec_is_overfit_and_the_tuned_one_is_not() -> None:
    labelled = hetrec().train.labelled
    assert labelled is not None
    rows = np.flatnonzero(np.diff(labelled.positives.indptr) > 0)
    tuned_settings = chosen_settings(Family.ALS, data="hetrec-lastfm")

    (free_train, free_found), (tuned_train, tuned_found) = (
        remembered_and_found(
            fit(Family.ALS, labelled.data, seed=SEED, settings=settings), labelled, rows
        )
        for settings in (FREE, tuned_settings)
    )
    free = gap_test(
        free_train, free_found, reference_train=tuned_train, reference_unseen=tuned_found, seed=1
    )
    tuned = gap_test(
        tuned_train, tuned_found, reference_train=free_train, reference_unseen=free_found, seed=1
    )

    assert free.train > 0.95
    assert free.unseen < tuned.unseen
    assert free.overfit
    assert not tuned.overfit
