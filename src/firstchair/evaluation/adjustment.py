"""Regression adjustment by covariates from the days before an experiment."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Relative size of an eigenvalue below which a direction of the covariates is constant.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Covariates:
    """What is known of users from before an experiment, finite.

    Attributes:
        own: Values of single users, float64 (n_own, n_users).
        group: Group of each user, int64 (n_users,).
        shared: Values that all users of a group have, float64 (n_shared, n_groups).
    """

    own: Values
    group: npt.NDArray[np.int64]
    shared: Values

    @classmethod
    def of_users(cls, columns: Values) -> "Covariates":
        """Covariates without groups, from float64 (n_users, n_covariates)."""
        group = np.zeros(len(columns), dtype=np.int64)
        return cls(np.ascontiguousarray(columns.T), group, np.zeros((0, 1)))

    def columns(self) -> Values:
        """All covariates of each user, float64 (n_users, n_own + n_shared)."""
        return np.vstack([self.own, self.shared[:, self.group]]).T


class Adjustment:
    """Predicts a metric from covariates of users from before an experiment.

    The metric is fitted on the covariates by least squares within the arms, so that a difference of
    the arms changes no coefficient (Lin 2013, "Agnostic notes on regression adjustments to
    experimental data", section 4). The covariates were known before assignment, so the adjusted
    difference of the arms is consistent even if the fit is not (theorem 1 there). There are few
    covariates compared to users, so no cross-fitting is needed: the bias is of the order of their
    ratio.

    Args:
        known: Covariates of the users.
        arm: int8 (n_users,), 0 control, 1 treatment.
    """

    def __init__(self, known: Covariates, arm: npt.NDArray[np.int8]) -> None:
        self._own = known.own
        # Groups are divided by arm, and the last two values of a group are its members of each.
        self._group = 2 * known.group + arm
        groups = known.shared.shape[1]
        self._shared = np.vstack([np.repeat(known.shared, 2, axis=1), np.tile(np.eye(2), groups)])
        self._products = self._products_of(np.arange(len(arm)))

    def predicted(self, y: Values) -> Values:
        """Predict each user's value from the covariates.

        Args:
            y: float64 (n_users,); NaN where a user has no value.

        Returns:
            float64 (n_users,), up to a constant; 0 if nobody has a value or no covariate varies.
        """
        known = ~np.isnan(y)
        if not known.any() or len(self._products) == 2:
            return np.zeros(len(y))
        values = np.where(known, y, 0.0)
        by_group = np.bincount(self._group, values, self._shared.shape[1])
        of_values = np.concatenate([self._own @ values, self._shared @ by_group])
        products = self._of(known)
        sums, users = products[-2:, :-2], np.diag(products)[-2:]
        means = sums / np.maximum(users, 1.0)[:, None]
        spread = products[:-2, :-2] - means.T @ sums
        slopes = _solved(spread, of_values[:-2] - of_values[-2:] @ means)
        own, shared = np.split(slopes, [len(self._own)])
        return np.asarray(own @ self._own + (shared @ self._shared[:-2])[self._group])

    def _of(self, known: npt.NDArray[np.bool_]) -> Values:
        """Sums of products of the covariates over the users with a value."""
        if known.all():
            return self._products
        if 2 * np.count_nonzero(known) < len(known):
            return self._products_of(np.flatnonzero(known))
        return np.asarray(self._products - self._products_of(np.flatnonzero(~known)))

    def _products_of(self, users: npt.NDArray[np.int64]) -> Values:
        own, group, groups = (
            self._own.take(users, axis=1),
            self._group[users],
            self._shared.shape[1],
        )
        sums = np.array([np.bincount(group, values, groups) for values in own])
        across = sums.reshape(len(own), groups) @ self._shared.T
        shared = (self._shared * np.bincount(group, minlength=groups)) @ self._shared.T
        return np.block([[own @ own.T, across], [across.T, shared]])


def _solved(spread: Values, products: Values) -> Values:
    """Slopes of a regression; 0 in directions in which the covariates do not vary."""
    sizes, directions = np.linalg.eigh(spread)
    least = RANK_TOLERANCE * max(float(sizes[-1]), RANK_TOLERANCE)
    weights = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > least)
    return np.asarray(directions @ (weights * (directions.T @ products)))


def explained(y: Values, prediction: Values) -> float:
    """Share of the variance of y that a prediction explains, 0..1; 0 if either is constant."""
    known = ~np.isnan(y)
    if known.sum() < 2 or np.ptp(y[known]) == 0 or np.ptp(prediction[known]) == 0:
        return 0.0
    return float(np.corrcoef(y[known], prediction[known])[0, 1] ** 2)
