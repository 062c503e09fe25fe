"""A family on a split by time, also one whose test days hold nothing new."""

from datetime import timedelta

import numpy as np
import pytest
from scipy import sparse

from firstchair.evaluation import Split
from firstchair.evaluation.evaluate import evaluate
from firstchair.models import POPULARITY, Family, TrainingData, fit
from tests.firstchair.models.toys import AS_OF, checkerboard, withheld


@pytest.fixture(scope="module")
def train() -> TrainingData:
    return checkerboard()


def split(train: TrainingData, positives: np.ndarray, prompted: np.ndarray | None = None) -> Split:
    led_to = np.zeros(positives.shape) if prompted is None else prompted
    matrices = (sparse.csr_matrix(found.astype(np.float32)) for found in (positives, led_to))
    return Split(AS_OF + timedelta(days=2), AS_OF, 2, train, *matrices)


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
    tiers = [value for name, value in found.metrics.items() if name.startswith("test_share_")]
    assert len(tiers) == 4 or "followers" not in train.artists
    assert sum(tiers) == pytest.approx(1) or not tiers
    assert found.metrics["test_prompted_share"] == 0
    assert "test_prompted_recall_at_20" not in found.metrics


def test_of_many_test_users_as_many_are_drawn_as_are_asked_for_and_the_same_for_all(
    train: TrainingData,
) -> None:
    wanted = np.zeros(train.confidence.shape)
    users = np.arange(len(train.user_keys))
    wanted[users, withheld(users)] = 1

    als, trending = (
        evaluate(split(train, wanted), family, seed=1, most_users=25)
        for family in (Family.ALS, Family.TRENDING)
    )

    assert als.test_users == als.per_user.num_rows == 25
    assert als.per_user["user_key"] == trending.per_user["user_key"]
    kept = evaluate(split(train, wanted), Family.ALS, seed=1, most_users=60)
    assert kept.test_users == len(users)


def test_lists_that_were_shown_raise_what_is_found_of_prompted_positives_alone() -> None:
    """The jump of offline metrics after a model begins to serve, in small.

    Users take up by themselves artists that the model does not foresee, and from its slates some
    that it lists. Counted together its recall is far higher than on the former alone; the latter
    are its own doing and stand apart.
    """
    train = checkerboard(labelled=False, artists=120)
    users = np.arange(len(train.user_keys))
    unforeseen = np.zeros(train.confidence.shape)
    unforeseen[users, (users + 75) % 120] = 1  # of the other parity
    model = fit(Family.ALS, train, seed=1)
    clicked = np.zeros(unforeseen.shape)
    clicked[users, model.recommend(train, users, 1).artists[:, 0]] = 1

    before = evaluate(split(train, unforeseen), Family.ALS, seed=1)
    together = evaluate(split(train, unforeseen + clicked), Family.ALS, seed=1)
    apart = evaluate(split(train, unforeseen, clicked), Family.ALS, seed=1)

    assert together.metrics["test_recall_at_20"] > before.metrics["test_recall_at_20"] + 0.25
    assert apart.metrics["test_recall_at_20"] == before.metrics["test_recall_at_20"]
    assert apart.metrics["test_prompted_recall_at_20"] == 1
    assert apart.metrics["test_prompted_share"] == clicked.sum() / (clicked + unforeseen).sum()
    assert apart.per_user.equals(before.per_user)
    assert apart.per_prompted_user.num_rows == clicked.any(axis=1).sum()
