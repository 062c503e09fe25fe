"""ALS fitted by Spark MLlib: the cost of implicit's, and an artifact that needs no Spark."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firstchair import models
from firstchair.lake import SparkSettings, java_version
from firstchair.models import Family, Recommender, TrainingData
from firstchair.models.als import ALS
from tests.firstchair.models.toys import AS_OF, USERS, checkerboard, training_data, withheld

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
pytestmark = pytest.mark.skipif(java_version() is None, reason="Spark needs Java")

ROWS = np.arange(USERS)
SETTINGS = {"factors": 8, "alpha": 5.0, "regularization": 2.0, "iterations": 3}


@pytest.fixture(scope="module")
def data(two_workers: SparkSettings) -> TrainingData:
    return replace(checkerboard(labelled=False), als_on=two_workers)


@pytest.fixture(scope="module")
def model(data: TrainingData) -> Recommender:
    return models.fit(Family.ALS, data, seed=1, settings=SETTINGS)


def test_the_withheld_artist_of_the_own_parity_comes_first(
    model: Recommender, data: TrainingData
) -> None:
    lists = model.recommend(data, ROWS, 1)

    assert (lists.artists[:, 0] == withheld(ROWS)).mean() > 0.9


def test_its_artifact_is_that_of_als_and_is_loaded_without_spark(
    model: Recommender, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "spark")
    models.fit(Family.ALS, checkerboard(), seed=1, settings=SETTINGS).save(tmp_path / "implicit")
    monkeypatch.setitem(sys.modules, "pyspark", None)
    back = models.load(Family.ALS, tmp_path / "spark")

    lists, expected = (one.recommend(data, ROWS, 10) for one in (back, model))
    assert (lists.artists == expected.artists).all()
    names = [
        sorted(str(path.relative_to(tmp_path / one)) for path in (tmp_path / one).rglob("*"))
        for one in ("spark", "implicit")
    ]
    assert names[0] == names[1]


def test_the_same_seed_and_data_give_the_same_factors(
    model: Recommender, data: TrainingData
) -> None:
    again = models.fit(Family.ALS, replace(data, fits={}), seed=1, settings=SETTINGS)

    assert isinstance(again, ALS) and isinstance(model, ALS)
    np.testing.assert_allclose(again.artist_factors, model.artist_factors, rtol=1e-4, atol=1e-5)


def test_where_all_have_as_many_artists_its_cost_is_that_of_implicit(
    two_workers: SparkSettings,
) -> None:
    """With as many factors as users the minimum of the cost is one, whatever the first factors."""
    places = np.arange(12)
    likes = (places[None, :] - places[:, None]) % 12
    cells = np.where(likes < 4, 1.0 + (places * 7 % 5)[:, None] / 2, 0) - 0.5 * (likes == 6)
    cells = np.hstack([cells, np.zeros((12, 1)), np.full((12, 1), -1)])
    day = training_data(cells, AS_OF)
    settings = {"factors": 12, "alpha": 3.0, "regularization": 0.5, "iterations": 12}

    fitted = [
        ALS(**settings).fit(replace(day, als_on=where), seed=1) for where in (None, two_workers)
    ]
    expected, found = (one.user_factors(day.confidence) @ one.artist_factors.T for one in fitted)

    np.testing.assert_allclose(found, expected, atol=0.01)
    assert expected.max() > 0.9
    assert not fitted[1].artist_factors[12:].any()
