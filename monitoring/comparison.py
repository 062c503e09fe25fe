"""Compare two samples of user-days: a test clustered by user, and the size of the effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import kolmogorov, ndtr

from firstchair.definitions.bounds import bounded_parts

Floats: TypeAlias = npt.NDArray[np.float64]
Users: TypeAlias = npt.NDArray[np.generic]

# Values with a smaller expected count are merged, because chi-square would reject too often
# (Cochran 1954).
MIN_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two samples.

    p_value: of the hypothesis of no difference, 0..1. effect: greatest distance of distributions
    (0..1), or new ÷ old - 1 of a rate. reference_mean, current_mean: None without a mean.
    reference_users, users: distinct users.
    """

    method: str
    p_value: float
    effect: float
    reference_mean: float | None
    current_mean: float | None
    reference_users: int
    users: int


def compare_numbers(
    reference: Floats, current: Floats, reference_of: Users, current_of: Users
) -> Comparison:
    """Kolmogorov and Smirnov's distance D of two samples, n values each of `*_of` users.

    The p-value is the asymptotic one at the effective sizes n = (Σ m)² ÷ Σ m², m the values of a
    user (Kish 1965, section 5.4, at full correlation within a user): a user with eight days does
    not count as eight users.

    >>> days = np.arange(200.0)
    >>> round(compare_numbers(days, days + 100, days, days).effect, 2)
    0.5
    """
    distance = _distance(np.sort(reference), np.sort(current))
    n, m = effective_size(reference_of), effective_size(current_of)
    p_value = float(kolmogorov(distance * np.sqrt(n * m / (n + m))))
    means = float(reference.mean()), float(current.mean())
    return Comparison(
        "ks", p_value, distance, *means, len(np.unique(reference_of)), len(np.unique(current_of))
    )


def compare_values(
    reference: Users, current: Users, reference_of: Users, current_of: Users
) -> Comparison:
    """Chi-square of two samples of names; the effect is the total variation, half of Σ |p - q|.

    Counts are scaled down to the effective sizes, as in `compare_numbers`.
    """
    values, numbers = np.unique(
        np.concatenate([reference, current]).astype(str), return_inverse=True
    )
    counts = [
        np.bincount(part, minlength=len(values)).astype(np.float64)
        for part in np.split(numbers, [len(reference)])
    ]
    shares = [count / count.sum() for count in counts]
    sizes = effective_size(reference_of), effective_size(current_of)
    table = _grouped(np.stack([share * size for share, size in zip(shares, sizes, strict=True)]))
    p_value = 1.0
    if table.shape[1] >= 2:
        from scipy.stats import chi2_contingency  # slow to import

        p_value = float(chi2_contingency(table, correction=False).pvalue)
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    return Comparison(
        "chi2",
        p_value,
        effect,
        None,
        None,
        len(np.unique(reference_of)),
        len(np.unique(current_of)),
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """Clicks and impressions (> 0) of each user of a sample, each float64 (n_users,)."""

    clicks: Floats
    shown: Floats

    @property
    def rate(self) -> float:
        """Clicks ÷ impressions."""
        return float(self.clicks.sum() / self.shown.sum())


def compare_rates(reference: Rate, current: Rate) -> Comparison:
    """Clicks ÷ impressions of two samples; the effect is new ÷ old - 1.

    A z-test of the difference, variances by the delta method over users (Deng, Knoblich and Lu
    2018, "Applying the Delta Method in Metric Analytics", section 3) around the rate of both
    samples together, as the hypothesis says: around its own rate, a side without clicks would have
    no variance. The weight of a user is bounded (`definitions.bounds`): if one had nearly all
    impressions, the variance would tend to 0.
    """
    reference, current = _bounded(reference), _bounded(current)
    old, new = reference.rate, current.rate
    sides = (reference, current)
    both = sum(float(side.clicks.sum()) for side in sides) / sum(
        float(side.shown.sum()) for side in sides
    )
    error = np.sqrt(sum(variance(side, around=both) for side in sides))
    p_value = 1.0 if error == 0 else float(2 * ndtr(-abs(new - old) / error))
    effect = new / old - 1 if old > 0 else float(new > 0)
    return Comparison("rate", p_value, effect, old, new, len(reference.shown), len(current.shown))


def effective_size(users: Users) -> float:
    """Effective number of independent values: (Σ m)² ÷ Σ m², m the values of each user.

    >>> effective_size(np.array(["a", "b", "c", "c"]))
    2.6666666666666665
    """
    counts = np.unique(users, return_counts=True)[1].astype(np.float64)
    return float(counts.sum() ** 2 / (counts**2).sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's step-down (1979), in the order given.

    Holm and not Benjamini and Hochberg, because a single false alarm costs a retraining: the chance
    of any false alarm is under alpha, for any dependence between columns.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    factors = np.arange(len(order), 0, -1)
    stepped = np.maximum.accumulate(
        np.minimum(np.asarray(p_values, dtype=np.float64)[order] * factors, 1)
    )
    corrected = np.empty(len(order))
    corrected[order] = stepped
    return [float(value) for value in corrected]


def _bounded(side: Rate) -> Rate:
    return Rate(*bounded_parts(side.clicks, side.shown))


def variance(side: Rate, *, around: float) -> float:
    """Variance of a side's rate by the delta method over users, with residuals from `around`."""
    users = len(side.shown)
    residual = float(((side.clicks - around * side.shown) ** 2).sum())
    return residual * users / max(users - 1, 1) / float(side.shown.sum()) ** 2


def _distance(reference: Floats, current: Floats) -> float:
    """Greatest difference of the two empirical distribution functions of sorted samples."""
    points = np.concatenate([reference, current])
    below = [
        np.searchsorted(sample, points, side="right") / len(sample)
        for sample in (reference, current)
    ]
    return float(np.abs(below[0] - below[1]).max())


def _grouped(table: Floats) -> Floats:
    """Merge columns with too small an expected count."""
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    small = expected < MIN_EXPECTED
    if not small.any():
        return table
    rest = table[:, small].sum(axis=1, keepdims=True)
    return np.hstack([table[:, ~small], rest]) if rest.sum() else table[:, ~small]
