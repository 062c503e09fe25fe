"""Sufficient statistics of per-user values, and the relative difference of two arms out of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firstchair.definitions.bounds import MOST_AVERAGES, bounded, bounded_parts

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class Moments(NamedTuple):
    """Sums over users, each float64 of one shape: count, y, y², x, xy, x²; y the metric, x its covariate."""

    n: Values
    y: Values
    yy: Values
    x: Values
    xy: Values
    xx: Values


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms compared, each field float64 (n_groups,).

    control, treatment: adjusted means. d: treatment / control - 1. se: standard error of d; NaN where an arm has
    fewer than two users or the control's mean is not positive. n_control, n_treatment: users.
    """

    control: Values
    treatment: Values
    d: Values
    se: Values
    n_control: Values
    n_treatment: Values


def moments(y: Values, x: Values, cells: Codes, n_cells: int) -> Moments:
    """Sums of the values of users by cell; users whose y is NaN do not count.

    Args:
        y: float64 (n_users,), one value a user: the unit that was randomised (Deng et al. 2018).
        x: float64 (n_users,), from before the stage.
        cells: int64 (n_users,), 0 to n_cells - 1.
        n_cells: Length of each sum.
    """
    known = ~np.isnan(y)
    if not known.all():
        y, x, cells = y[known], x[known], cells[known]
    weights = (y, y * y, x, x * y, x * x)
    counted = np.bincount(cells, minlength=n_cells).astype(np.float64)
    return Moments(counted, *(np.bincount(cells, found, n_cells).astype(np.float64) for found in weights))


def compare(control: Moments, treatment: Moments) -> Contrast:
    """Relative difference of the arms' means, adjusted by the covariate (CUPED, Deng et al. 2013, section 3).

    theta is the covariance over the variance of x within arms, so it is the slope of an ordinary regression of y on
    arm and x; the error is the delta method's for a ratio of two independent means (Deng et al. 2018, section 3.2).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        within = [_centred(arm) for arm in (control, treatment)]
        spread = within[0].xx + within[1].xx
        theta = np.where(spread > 1e-12, (within[0].xy + within[1].xy) / spread, 0.0)
        overall = (control.x + treatment.x) / (control.n + treatment.n)
        means = [arm.y / arm.n - theta * (arm.x / arm.n - overall) for arm in (control, treatment)]
        variances = [(arm.yy - 2 * theta * arm.xy + theta**2 * arm.xx) / (arm.n - 1) / arm.n for arm in within]
        ratio = means[1] / means[0]
        se = np.sqrt(np.maximum(variances[1] + ratio**2 * variances[0], 0)) / means[0]
        sound = (control.n > 1) & (treatment.n > 1) & (means[0] > 0) & (se > 0)
    return Contrast(means[0], means[1], ratio - 1, np.where(sound, se, np.nan), control.n, treatment.n)


def compare_ratios(
    numerator: Values,
    denominator: Values,
    arm: npt.NDArray[np.int8],
    *,
    most: float = MOST_AVERAGES,
) -> Contrast:
    """Relative difference of sum(numerator) / sum(denominator) of arm 1 to arm 0, clustered by user.

    The delta method for a ratio of means (Deng et al. 2018, section 3): the variance of numerator - R denominator.
    A user's denominator counts at most `most` times the mean over both arms
    (`firstchair.definitions.bounds`): where one user held nearly all of it, the variance would tend
    to 0, whatever the other users did.
    """
    numerator = bounded_parts(numerator, denominator, most=most)
    denominator = bounded(denominator, most=most)
    found = []
    for number in (0, 1):
        top, bottom = numerator[arm == number], denominator[arm == number]
        total, n = float(bottom.sum()), len(bottom)
        ratio = float(top.sum()) / total if total > 0 else np.nan
        variance = float(np.var(top - ratio * bottom, ddof=1)) * n / total**2 if total > 0 and n > 1 else np.nan
        found.append((ratio, variance, float(n)))
    (control, var_control, n_control), (treatment, var_treatment, n_treatment) = found
    lift = treatment / control if control > 0 else np.nan
    se = np.sqrt(var_treatment + lift**2 * var_control) / control if control > 0 else np.nan
    return Contrast(*(np.array([value]) for value in (control, treatment, lift - 1, se, n_control, n_treatment)))


def _centred(arm: Moments) -> Moments:
    """Sums of squares and products about the means."""
    return Moments(
        arm.n, arm.y, arm.yy - arm.y**2 / arm.n, arm.x, arm.xy - arm.x * arm.y / arm.n, arm.xx - arm.x**2 / arm.n
    )
