"""Overfitting: the gap between a model's quality on training data and on unseen data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.errors import EvidenceError
from firstchair.evaluation.intervals import mean_interval, resampling_weights
from firstchair.models.hits import Values

# Largest relative gap of a model that is not overfit.
MAX_RELATIVE_GAP = 0.8


@dataclass(frozen=True, slots=True)
class Gap:
    """Quality of one model on training and unseen data, both means over users, 0..1.

    relative_gap: 1 - unseen / train. lower, upper: two-sided 95 % interval of train - unseen, by
    resampling users. behind: whether a simpler reference is significantly better on unseen data,
    though it is worse on training data. overfit: whether the relative gap exceeds its limit, or
    `behind`.
    """

    train: float
    unseen: float
    relative_gap: float
    lower: float
    upper: float
    behind: bool
    overfit: bool


def gap_test(
    train: Values,
    unseen: Values,
    *,
    reference_train: Values | None = None,
    reference_unseen: Values | None = None,
    max_relative_gap: float = MAX_RELATIVE_GAP,
    seed: int,
) -> Gap:
    """Test whether a model is overfit.

    Every recommender is better on its training data, so only an extreme gap is proof by itself. The
    better sign is a reference, fitted to the same data, that is worse on training data and better
    on unseen data.

    Args:
        train: A metric of each user on the training data, float64 (n_users,), 0..1.
        unseen: The same metric on unseen data, users in the same order.
        reference_train: The metric of a simpler model on the training data, or None.
        reference_unseen: The same on unseen data, or None.
        max_relative_gap: Largest relative gap of a model that is not overfit.
        seed: Seed of the resampling.

    Raises:
        EvidenceError: The arrays differ in length, or hold no user.
    """
    values = [v for v in (train, unseen, reference_train, reference_unseen) if v is not None]
    if len({len(v) for v in values}) != 1 or not len(train):
        raise EvidenceError(
            f"{len(train)} users on training data are compared with {len(unseen)} on unseen data.",
            where="gap test",
            data="Nothing was judged.",
            remedy="Give the values of the same users in the same order.",
        )
    lower, upper = mean_interval(train - unseen, samples=1000, alpha=0.05, seed=seed)
    relative = 1 - unseen.mean() / train.mean() if train.mean() > 0 else 0.0
    behind = False
    if reference_train is not None and reference_unseen is not None:
        found_more, _ = mean_interval(
            reference_unseen - unseen, samples=1000, alpha=0.05, seed=seed
        )
        remembered_less, _ = mean_interval(
            train - reference_train, samples=1000, alpha=0.05, seed=seed
        )
        behind = found_more > 0 and remembered_less > 0
    return Gap(
        train=float(train.mean()),
        unseen=float(unseen.mean()),
        relative_gap=float(relative),
        lower=lower,
        upper=upper,
        behind=behind,
        overfit=bool(behind or (relative > max_relative_gap and lower > 0)),
    )


@dataclass(frozen=True, slots=True)
class GapDifference:
    """Difference between the relative gaps of challenger and champion.

    champion, challenger: gaps 1 - unseen / train, at most 1. difference: challenger's minus
    champion's. lower, upper: its two-sided interval at 1 - alpha, by resampling users. users: users
    of training or unseen days.
    """

    champion: float
    challenger: float
    difference: float
    lower: float
    upper: float
    users: int


@dataclass(frozen=True, slots=True)
class TwoSplits:
    """A metric of two models on training days and on unseen days.

    train_users, unseen_users: keys, (n_train,) and (n_unseen,), each unique; a user may be in both.
    champion, challenger: values on training days and on unseen days, float64 in the order of these
    keys, 0..1.
    """

    train_users: npt.NDArray[np.generic]
    unseen_users: npt.NDArray[np.generic]
    champion: tuple[Values, Values]
    challenger: tuple[Values, Values]


def gap_difference(
    found: TwoSplits,
    *,
    samples: int,
    alpha: float,
    seed: int,
) -> GapDifference | None:
    """The difference of the gaps with its interval; None if a model has no gap (training mean 0).

    It is also None if a model has none in some resample: its interval is unknown then.

    A user has one Poisson(1) weight in a resample, on both kinds of days and for both models.

    Args:
        found: Values of the same users for both models.
        samples: Resamples.
        alpha: Two-sided error of the interval, 0..1.
        seed: Seed of the weights.
    """
    models = (found.champion, found.challenger)
    if not len(found.unseen_users) or not all(
        len(train) and train.mean() > 0 for train, _ in models
    ):
        return None
    both = np.concatenate([found.train_users, found.unseen_users])
    users, place = np.unique(both, return_inverse=True)
    gaps = [float(1 - unseen.mean() / train.mean()) for train, unseen in models]
    differences = _resampled_difference(found, place, len(users), samples, seed)
    if not np.isfinite(differences).all():
        return None
    lower, upper = np.quantile(differences, [alpha / 2, 1 - alpha / 2])
    return GapDifference(
        gaps[0], gaps[1], gaps[1] - gaps[0], float(lower), float(upper), len(users)
    )


def _resampled_difference(
    found: TwoSplits, place: npt.NDArray[np.int64], users: int, samples: int, seed: int
) -> Values:
    trained, unseen = np.split(place, [len(found.train_users)])
    drawn = []
    for weights in resampling_weights(users, samples=samples, seed=seed):
        sides = [(weights[:, rows], weights[:, rows].sum(axis=1)) for rows in (trained, unseen)]
        means = [
            [np.divide(w @ values, total, out=np.zeros(len(w)), where=total > 0) for values in side]
            for (w, total), side in zip(
                sides, zip(found.champion, found.challenger, strict=True), strict=True
            )
        ]
        with np.errstate(invalid="ignore", divide="ignore"):
            gaps = [1 - new / old for old, new in zip(means[0], means[1], strict=True)]
            drawn.append(gaps[1] - gaps[0])
    return np.concatenate(drawn)
