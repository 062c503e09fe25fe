"""Sums of per-user values by cell, and the relative difference of two arms from these sums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firstchair.definitions.bounds import MOST_AVERAGES, bounded, bounded_parts

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class Moments(NamedTuple):
    """Terms of single users, or their sums over users; each float64 of one shape.

    With weight w, value y, the part p of it that was predicted, and r = y - p: 1 (the count), w,
    w r, w p, w², w² r and w² r².
    """

    n: Values
    w: Values
    wr: Values
    wp: Values
    ww: Values
    wwr: Values
    wwrr: Values


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms compared, each field float64 (n_groups,).

    control, treatment: adjusted means. d: treatment / control - 1. se: standard error of d; NaN
    if an arm has fewer than two users or the control's mean is not positive. n_control,
    n_treatment: users.
    """

    control: Values
    treatment: Values
    d: Values
    se: Values
    n_control: Values
    n_treatment: Values


def terms(y: Values, predicted: Values, weights: Values | None = None) -> Moments:
    """What each user adds to the sums, each field float64 (n_users,); 0 where y is NaN.

    Args:
        y: float64 (n_users,), one value per user, the unit of randomisation (Deng et al. 2018).
        predicted: float64 (n_users,), prediction of y from the days before (`Adjustment`).
        weights: float64 (n_users,), not negative; None counts every user once.
    """
    known = ~np.isnan(y)
    counted = known.astype(np.float64)
    r = np.where(known, y, predicted) - predicted
    if weights is None:
        return Moments(counted, counted, r, counted * predicted, counted, r, r * r)
    w = weights * counted
    wr = w * r
    return Moments(counted, w, wr, w * predicted, w * w, w * wr, wr * wr)


def moments(each: Moments, cells: Codes, n_cells: int) -> Moments:
    """Sums of the users' terms by cell.

    Args:
        each: Terms of the users.
        cells: int64 (n_users,), 0 to n_cells - 1.
        n_cells: Length of each sum.
    """
    return _sums(each, lambda values: np.bincount(cells, values, n_cells).astype(np.float64))


def compare_arms(metrics: Sequence[Moments], arm: npt.NDArray[np.int8]) -> Contrast:
    """Compare the arms in several metrics of the same users.

    Args:
        metrics: Terms of the users in each metric.
        arm: int8 (n_users,), 0 control, 1 treatment.

    Returns:
        Each field float64 (n_metrics,).
    """
    arms = arm_members(arm)
    sums = np.array([_sums(each, arms.__matmul__) for each in metrics])
    return compare(*(Moments(*sums[:, :, side].T) for side in (0, 1)))


def compare(control: Moments, treatment: Moments) -> Contrast:
    """Relative difference of the arms' means, adjusted by what was predicted.

    An adjusted mean is the mean residual of the arm plus the mean prediction of both arms (Deng et
    al. 2013, "Improving the sensitivity of online controlled experiments", section 3). The error is
    that of the delta method for a ratio of two independent means (Deng et al. 2018, section 3.2).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = (control.wp + treatment.wp) / (control.w + treatment.w)
        rests = [arm.wr / arm.w for arm in (control, treatment)]
        means = [usual + rest for rest in rests]
        variances = [
            _spread(arm, rest) / arm.w**2 * arm.n / (arm.n - 1)
            for arm, rest in zip((control, treatment), rests, strict=True)
        ]
        ratio = means[1] / means[0]
        se = np.sqrt(np.maximum(variances[1] + ratio**2 * variances[0], 0)) / means[0]
        sound = (control.n > 1) & (treatment.n > 1) & (means[0] > 0) & (se > 0)
    known = np.where(sound, se, np.nan)
    return Contrast(means[0], means[1], ratio - 1, known, control.n, treatment.n)


def influence(each: Moments, arm: npt.NDArray[np.int8]) -> Values:
    """Influence of each user on the relative difference that `compare` computes.

    The estimate is its expectation plus the sum of these values, up to terms that vanish faster
    than the error. The sum of products of the values of two evaluations is the covariance of their
    estimates.

    Args:
        each: Terms of the users.
        arm: int8 (n_users,), 0 control, 1 treatment.

    Returns:
        float64 (n_users,); 0 for users without a value, and for all without a difference.
    """
    sums = _sums(each, arm_members(arm).__matmul__)
    found = compare(*(Moments(*(values[[side]] for values in sums)) for side in (0, 1)))
    if not np.isfinite(found.se[0]):
        return np.zeros(len(arm))
    mean = sums.wr / sums.w
    scale = np.array([-found.treatment[0] / found.control[0], 1.0]) / (sums.w * found.control[0])
    return np.asarray(scale[arm] * (each.wr - mean[arm] * each.w))


def compare_ratios(
    numerator: Values,
    denominator: Values,
    arm: npt.NDArray[np.int8],
    *,
    most: float = MOST_AVERAGES,
) -> Contrast:
    """Relative difference of sum(numerator) / sum(denominator) between the arms, clustered by user.

    The delta method for a ratio of means (Deng et al. 2018, section 3): the variance of numerator -
    R denominator. A user's denominator counts at most `most` times the mean over both arms
    (`firstchair.definitions.bounds`): where one user held nearly all of it, the variance would tend
    to 0, whatever the other users did.
    """
    top = bounded_parts(numerator, denominator, most=most)
    bottom = bounded(denominator, most=most)
    arms = arm_members(arm)
    n, tops, bottoms, tt, tb, bb = (
        arms @ values
        for values in (np.ones(len(arm)), top, bottom, top * top, top * bottom, bottom * bottom)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = tops / bottoms
        # The mean of top - ratio * bottom is 0.
        squares = np.maximum(tt - 2 * ratio * tb + ratio**2 * bb, 0.0)
        variances = squares / (n - 1) * n / bottoms**2
        lift = ratio[1] / ratio[0] if ratio[0] > 0 else np.nan
        se = np.sqrt(variances[1] + lift**2 * variances[0]) / ratio[0]
    return Contrast(*(np.array([value]) for value in (*ratio, lift - 1, se, *n)))


def _sums(each: Moments, summed: Callable[[Values], Values]) -> Moments:
    """Sum each term; terms that are one array, as without weights, are summed once."""
    found = {id(values): values for values in each}
    sums = {number: summed(values) for number, values in found.items()}
    return Moments(*(sums[id(values)] for values in each))


def arm_members(arm: npt.NDArray[np.int8]) -> Values:
    """Users of the control and of the treatment, 0 or 1, float64 (2, n_users)."""
    return np.array([arm == 0, arm == 1], dtype=np.float64)


def _spread(arm: Moments, rest: Values) -> Values:
    """Sum of the weighted squares about a mean."""
    return np.asarray(arm.wwrr - 2 * rest * arm.wwr + rest**2 * arm.ww)
