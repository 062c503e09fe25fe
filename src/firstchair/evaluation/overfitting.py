"""Gaps: whether a model remembers what it was fitted to so much better than it finds what is new."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.errors import EvidenceError
from firstchair.evaluation.intervals import mean_interval, resampling_weights
from firstchair.models.hits import Values

# Shares of the train value that may be lost on unseen data before it is called overfit.
MAX_RELATIVE_GAP = 0.8


@dataclass(frozen=True, slots=True)
class Gap:
    """Train against unseen quality of one model, both means over users in 0..1.

    relative_gap: 1 - unseen / train; lower, upper: two-sided 95 % interval of train - unseen, resampling users.
    behind: whether a simpler reference finds significantly more that is new, though it remembers less.
    overfit: the relative gap is above its limit, or `behind`.
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
    """Judge the gap between what a model remembers and what it finds.

    Every recommender remembers better than it foretells, so a gap alone proves nothing but where it is
    extreme. The telling sign is a reference fitted to the same data that remembers less and finds more: the
    difference went into remembering.

    Args:
        train: A metric of each user on what the model was fitted to, float64 (n_users,), 0..1.
        unseen: The same metric, the same users, on what it was not.
        reference_train: What a stiffer model remembers, or None.
        reference_unseen: What it finds, or None.
        max_relative_gap: Largest share of `train` that may be lost.
        seed: Of the resampling.

    Raises:
        EvidenceError: The arrays differ in length, or hold no user.
    """
    values = [v for v in (train, unseen, reference_train, reference_unseen) if v is not None]
    if len({len(v) for v in values}) != 1 or not len(train):
        raise EvidenceError(
            f"{len(train)} users on training data stand against {len(unseen)} on unseen data.",
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
    """How much more of its training quality a challenger loses on unseen days than the champion.

    champion, challenger: gaps 1 - unseen / train, at most 1. difference: challenger's less champion's.
    lower, upper: two-sided interval of it at 1 - alpha, resampling users. users: of either kind of
    days.
    """

    champion: float
    challenger: float
    difference: float
    lower: float
    upper: float
    users: int


@dataclass(frozen=True, slots=True)
class TwoSplits:
    """A metric of two models on what they were fitted to and on unseen days.

    train_users, unseen_users: keys, (n_train,) and (n_unseen,), no one twice; the same user may stand in both.
    champion, challenger: values on training days and on unseen days, float64 in the order of those keys, 0..1.
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
    """The difference of the gaps with its interval; None where a model remembers nothing, so that it has no gap.

    A user counts a Poisson(1) number of times in a resample, on both kinds of days and for both models alike.

    Args:
        found: Values of the same users for both models.
        samples: Resamples.
        alpha: Two-sided error of the interval, 0..1.
        seed: Of the weights.
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
        sound = (means[0][0] > 0) & (means[0][1] > 0)
        gaps = [1 - new[sound] / old[sound] for old, new in zip(means[0], means[1], strict=True)]
        drawn.append(gaps[1] - gaps[0])
    return np.concatenate(drawn)
