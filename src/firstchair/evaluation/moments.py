"""Sums of per-user values by cell, and the relative difference of two arms from these sums."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from firstchair.definitions.bounds import MOST_AVERAGES, bounded_parts

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# A relative standard error this small is what sums of equal values leave in rounding.
ROUNDING = 1e-7

Key = TypeVar("Key", bound=Hashable)

# The users of one arm: where they stand among all.
Side = slice | npt.NDArray[np.intp]
# The users of the control, and those of the treatment.
Sides = tuple[Side, Side]


class Terms(NamedTuple):
    """What is summed of single users, each float64 (n_users,).

    counted: 1 for a user with a value, else 0. w: weight, 0 without a value. wr: weight times
    r = y - p, of the value y and its prediction p. p: the prediction.
    """

    counted: Values
    w: Values
    wr: Values
    p: Values


class Moments(NamedTuple):
    """Sums over users of 1 (the count), w, w r, w p, w², w² r and w² r²; float64 of one shape."""

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
    if an arm has fewer than two users, the control's mean is not positive, or nothing varies.
    n_control, n_treatment: users with a value.
    """

    control: Values
    treatment: Values
    d: Values
    se: Values
    n_control: Values
    n_treatment: Values


def sides_of(arm: npt.NDArray[np.integer]) -> Sides:
    """The users of both arms: slices if users are ordered by arm, which are read without a copy.

    Args:
        arm: (n_users,), 0 control, 1 treatment.
    """
    first = len(arm) - int(np.count_nonzero(arm))
    if not arm[:first].any():
        return slice(0, first), slice(first, len(arm))
    return np.flatnonzero(arm == 0), np.flatnonzero(arm)


def terms(y: Values, predicted: Values) -> Terms:
    """What is summed of each user, every user counting once.

    Args:
        y: float64 (n_users,), one value per user, the unit of randomisation (Deng et al. 2018).
        predicted: float64 (n_users,), prediction of y from the days before (`Adjustment`).
    """
    known = ~np.isnan(y)
    counted = known.astype(np.float64)
    return Terms(counted, counted, np.where(known, y, predicted) - predicted, predicted)


def weighted(each: Terms, weights: Values) -> Terms:
    """The terms with other weights, float64 (n_users,), not negative."""
    return each._replace(w=weights * each.counted, wr=weights * each.wr)


def moments(each: Terms, cells: Codes, n_cells: int) -> Moments:
    """Sums of the users' terms by cell.

    Args:
        each: Terms of the users.
        cells: int64 (n_users,), 0 to n_cells - 1.
        n_cells: Length of each sum.
    """
    n, w, wr, p = each
    summed = (n, w, wr, w * p, w * w, w * wr, wr * wr)
    return Moments(*(np.bincount(cells, values, n_cells).astype(np.float64) for values in summed))


class Comparison(Generic[Key]):
    """Both arms compared in several metrics of the same users.

    Attributes:
        terms: Terms of the users by metric.
        effects: The relative differences, each field float64 (n_metrics,), in the same order.
    """

    def __init__(self, terms: Mapping[Key, Terms], arms: Sides) -> None:
        self.terms = terms
        self._arms = arms
        self._sums = [_sums(terms.values(), side) for side in arms]
        self.effects = compare(*self._sums)

    def influence(self, metric: Key) -> Values:
        """Influence of each user on the relative difference in a metric.

        The estimate is its expectation plus the sum of these values, up to terms that vanish faster
        than the error. The sum of products of the values of two estimates is their covariance.

        Returns:
            float64 (n_users,); 0 for users without a value, and for all without a difference.
        """
        place, each, effects = list(self.terms).index(metric), self.terms[metric], self.effects
        found = np.zeros(len(each.w))
        if not np.isfinite(effects.se[place]):
            return found
        control, treatment = effects.control[place], effects.treatment[place]
        slopes = (-treatment / control, 1.0)
        for side, arm, slope in zip(self._arms, self._sums, slopes, strict=True):
            w, wr = arm.w[place], arm.wr[place]
            found[side] = slope / (w * control) * (each.wr[side] - wr / w * each.w[side])
        return found


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
        sound = (control.n > 1) & (treatment.n > 1) & (means[0] > 0) & (se > ROUNDING)
    known = np.where(sound, se, np.nan)
    return Contrast(means[0], means[1], ratio - 1, known, control.n, treatment.n)


def compare_ratios(
    numerator: Values,
    denominator: Values,
    arms: Sides,
    *,
    most: float = MOST_AVERAGES,
) -> Contrast:
    """Relative difference of sum(numerator) / sum(denominator) between the arms, clustered by user.

    The delta method for a ratio of means (Deng et al. 2018, section 3): the variance of numerator -
    R denominator. A user's denominator counts at most `most` times the mean over both arms
    (`firstchair.definitions.bounds`): where one user held nearly all of it, the variance would tend
    to 0, whatever the other users did. Users of an arm are those with a denominator above 0. An
    effect in which nothing varies, as where an arm's numerators are all 0, has no error.
    """
    pair = bounded_parts(numerator, denominator, most=most)
    rows, users = [], []
    for side in arms:
        top, bottom = (values[side] for values in pair)
        squares = (top.dot(top), top.dot(bottom), bottom.dot(bottom))
        rows.append((len(top), top.sum(), bottom.sum(), *squares))
        users.append(np.count_nonzero(bottom))
    n, tops, bottoms, tt, tb, bb = np.array(rows).T
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = tops / bottoms
        # The mean of top - ratio * bottom is 0.
        rest = np.maximum(tt - 2 * ratio * tb + ratio**2 * bb, 0.0)
        variances = rest / (n - 1) * n / bottoms**2
        lift = ratio[1] / ratio[0] if ratio[0] > 0 else np.nan
        se = np.sqrt(variances[1] + lift**2 * variances[0]) / ratio[0]
    known = se if se > ROUNDING else np.nan
    return Contrast(*(np.array([value]) for value in (*ratio, lift - 1, known, *users)))


def _sums(metrics: Iterable[Terms], side: Side) -> Moments:
    """Sums over the users of one arm in each metric, float64 (n_metrics,)."""
    rows = []
    for each in metrics:
        n, w, wr, p = (values[side] for values in each)
        users, rest = n.dot(n), n.dot(wr)
        if each.w is each.counted:
            rows.append((users, users, rest, n.dot(p), users, rest, wr.dot(wr)))
        else:
            rows.append((users, n.dot(w), rest, w.dot(p), w.dot(w), w.dot(wr), wr.dot(wr)))
    return Moments(*np.array(rows).T)


def _spread(arm: Moments, rest: Values) -> Values:
    """Sum of the weighted squares about a mean."""
    return np.asarray(arm.wwrr - 2 * rest * arm.wwr + rest**2 * arm.ww)
