"""Decayed popularity: confidence by country and age group, shrunk towards the whole."""

from dataclasses import replace

import numpy as np
import pandas as pd

from firstchair.models import Family, TrainingData, fit
from tests.firstchair.models.toys import AS_OF, training_data

# 40 users: the first half Swedish, the second German.
COUNTRIES = np.repeat(["SE", "DE"], 20)


def data_with(confidence: np.ndarray) -> TrainingData:
    data = training_data(confidence.astype(np.float32), AS_OF)
    users = data.users.assign(country=COUNTRIES, age_group="unknown")
    return replace(data, users=users)


def test_what_is_liked_lately_ranks_above_what_more_users_liked_long_ago() -> None:
    confidence = np.zeros((40, 4))
    confidence[:30, 0] = 0.2
    confidence[30:38, 1] = 2.0

    data = data_with(confidence)
    lists = fit(Family.DECAYED_POPULARITY, data, seed=1).recommend(data, np.array([39]), 2)

    assert lists.artists[0].tolist() == [1, 0]


def test_a_large_country_has_its_own_order_and_a_small_one_that_of_all() -> None:
    confidence = np.zeros((40, 4))
    confidence[:19, 0], confidence[20:39, 1] = 1_000.0, 1.0
    confidence[:19, 2], confidence[20:39, 2] = 500.0, 0.5

    data = data_with(confidence)
    model = fit(Family.DECAYED_POPULARITY, data, seed=1)
    swedish, german = model.score(data, np.array([19, 39]))

    assert np.argsort(-swedish)[:2].tolist() == [0, 2]
    assert np.argsort(-german)[:2].tolist() == [0, 2]
    assert german[1] > swedish[1]


def test_users_of_no_country_get_what_all_like() -> None:
    confidence = np.zeros((40, 4))
    confidence[:, 3] = 1.0
    data = data_with(confidence)
    nowhere = replace(data, users=pd.DataFrame(index=data.users.index))

    model = fit(Family.DECAYED_POPULARITY, nowhere, seed=1)

    assert model.score(nowhere, np.array([0])).argmax() == 3
