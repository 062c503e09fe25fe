"""Bounds of a test that is repeated at a few planned evaluations of the same users."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Values = npt.NDArray[np.float64]

# Paths of the null distribution: a level of 0.05 is met within 0.001, one of 0.01 within 0.0004.
PATHS = 2**15
PATHS_SEED = 20_260_101
# Evaluations whose steps are drawn together.
BLOCK = 16


def spent(share: float, *, alpha: float) -> float:
    """Error that may be spent by a share of the longest experiment.

    alpha share², of the power family of spending functions (Kim and DeMets 1987, "Design and
    analysis of group sequential tests based on the type I error spending rate function"). The later
    evaluations, which know more, keep more of the error than with bounds of equal height.

    >>> round(spent(0.6, alpha=0.05), 4), spent(1.0, alpha=0.05)
    (0.018, 0.05)
    """
    return alpha * min(max(share, 0.0), 1.0) ** 2


class RepeatedTest:
    """Critical values of a one-sided test at planned evaluations, with a joint error of alpha.

    The estimates use the same users and are therefore correlated, in a way that is not known
    before. The correlation is measured from the influence of each user on each estimate. Given it,
    the z-values so far are normal under the null. The critical value of an evaluation is chosen so
    that the share of paths of that distribution which have crossed by then is the error that may be
    spent by then (Lan and DeMets 1983, with the measured covariance in place of an assumed one;
    Jennison and Turnbull 2000, "Group sequential methods with applications to clinical trials",
    section 3.1).
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self._directions: list[npt.NDArray[np.float32]] = []
        self._factors: list[Values] = []
        self._crossed = np.zeros(PATHS, dtype=np.bool_)

    def critical(self, influence: Values, *, share: float) -> float:
        """The critical z-value of the next evaluation; infinity if no error may be spent.

        Args:
            influence: float64 (n_users,), influence of each user on the estimate, 0 for users who
                do not count; the users are the same at every evaluation.
            share: Share of the longest experiment that is over, 0..1, never decreasing.
        """
        direction = influence.astype(np.float32)
        length = float(np.linalg.norm(direction))
        if length == 0:
            return np.inf
        direction /= length
        row = self._row([float(before @ direction) for before in self._directions])
        self._directions.append(direction)
        return self._spend(row, share)

    def planned(self, correlations: Sequence[float], *, share: float) -> float:
        """The same with assumed correlations with the evaluations before, oldest first."""
        return self._spend(self._row(correlations), share)

    def _row(self, correlations: Sequence[float]) -> Values:
        """The next row of the Cholesky factor of the correlations."""
        row = np.zeros(len(self._factors) + 1)
        for place, factor in enumerate(self._factors):
            if factor[place] > 0:
                row[place] = (correlations[place] - row[:place] @ factor[:place]) / factor[place]
        row[-1] = np.sqrt(max(0.0, 1.0 - float(row[:-1] @ row[:-1])))
        # An evaluation without new data repeats the one before it.
        row[-1] = row[-1] if row[-1] > 1e-4 else 0.0
        self._factors.append(row)
        return row

    def _spend(self, row: Values, share: float) -> float:
        level = spent(share, alpha=self.alpha)
        z = _paths(row)
        waiting = z[~self._crossed]
        allowed = int(level * PATHS) - (PATHS - len(waiting))
        if allowed <= 0:
            return np.inf
        first = len(row) == 1
        bound = float(-ndtri(level) if first else np.partition(waiting, -allowed)[-allowed])
        self._crossed |= z >= bound
        return bound


@lru_cache
def planned_bound(min_days: int, max_days: int, alpha: float) -> float:
    """The planned critical z-value of the last day of a stage.

    Evaluations are assumed to be correlated like means of s and t independent days, sqrt(s / t). If
    users keep their habits, the correlation is higher and the actual bound lower.
    """
    test = RepeatedTest(alpha)
    bound = np.inf
    for day in range(min_days, max_days + 1):
        before = [float(np.sqrt(earlier / day)) for earlier in range(min_days, day)]
        bound = test.planned(before, share=day / max_days)
    return bound


def _paths(row: Values) -> Values:
    """The z-value of every path at an evaluation, float64 (PATHS,), given its Cholesky row."""
    found = np.zeros(PATHS)
    for block, first in enumerate(range(0, len(row), BLOCK)):
        weights = row[first : first + BLOCK]
        found += weights @ _steps(block)[: len(weights)]
    return found


@lru_cache(maxsize=32)
def _steps(block: int) -> Values:
    """Standard normal steps of every path at `BLOCK` evaluations, float64 (BLOCK, PATHS).

    At each evaluation they are the normal quantiles in a random order.
    """
    orders = [
        np.random.default_rng([PATHS_SEED, block * BLOCK + place]).permutation(PATHS)
        for place in range(BLOCK)
    ]
    return np.asarray(ndtri((np.array(orders) + 0.5) / PATHS))
