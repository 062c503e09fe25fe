"""A family on a split by time, also one whose test days hold nothing new."""

from datetime import timedelta

import numpy as np
import pytest
from scipy import sparse

from firstchair.evaluation import POPULARITY, Split, evaluate
from firstchair.models import Family, TrainingData
from tests.firstchair.models.toys import AS_OF, checkerboard, withheld


@pytest.fixture(scope="module")
def train() -> TrainingData:
    return checkerboard()


def split(train: TrainingData, positives: np.ndarray) -> Split:
    found = sparse.csr_matrix(positives.astype(np.float32))
    return Split(AS_OF + timedelta(days=2), AS_OF, 2, train, found)


@pytest.mark.parametrize("family", [*Family, POPULARITY])
def test_without_test_users_there_is_no_test_metric(family: str, train: TrainingData) -> None:
    found = evaluate(split(train, np.zeros(train.confidence.shape)), family, seed=1)

    assert found.test_users == found.per_user.num_rows == len(found.cells) == 0
    assert {name.partition("_")[0] for name in found.metrics} == {"train"}
    assert found.per_training_user.num_rows == len(train.user_keys)


def test_a_split_with_test_users_has_a_row_for_each_and_their_means(train: TrainingData) -> None:
    wanted = np.zeros(train.confidence.shape)
    users = np.arange(0, len(train.user_keys), 3)
    wanted[users, withheld(users)] = 1

    found = evaluate(split(train, wanted), Family.ALS, seed=1)

    assert found.test_users == found.per_user.num_rows == len(users)
    recall = found.per_user.column("recall_at_20").to_numpy()
    assert found.metrics["test_recall_at_20"] == np.mean(recall)
    assert {"test_coverage_at_20", "test_novelty_bits", "test_gini"} <= set(found.metrics)
