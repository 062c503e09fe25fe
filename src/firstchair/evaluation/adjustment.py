"""Regression adjustment by covariates from the days before an experiment."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Relative size of an eigenvalue below which a direction of the covariates is constant.
RANK_TOLERANCE = 1e-10


class Adjustment:
    """Predicts a metric from covariates of users from before an experiment.

    The metric is fitted on the covariates by least squares within the arms, so that a difference of
    the arms changes no coefficient (Lin 2013, "Agnostic notes on regression adjustments to
    experimental data", section 4). The covariates were known before assignment, so the adjusted
    difference of the arms is consistent even if the fit is not (theorem 1 there). There are few
    covariates compared to users, so no cross-fitting is needed: the bias is of the order of their
    ratio.

    Args:
        facts: Covariates, float64 (n_users, n_covariates), finite, known before the experiment.
        arm: int8 (n_users,), 0 control, 1 treatment.
    """

    def __init__(self, facts: Values, arm: npt.NDArray[np.int8]) -> None:
        # The last two columns are the members of the arms.
        self._table = np.column_stack([facts, arm == 0, arm == 1]).astype(np.float64, copy=False)
        self._products = self._table.T @ self._table

    def predicted(self, y: Values) -> Values:
        """Predict each user's value from the covariates.

        Args:
            y: float64 (n_users,); NaN where a user has no value.

        Returns:
            float64 (n_users,), up to a constant; 0 if nobody has a value or no covariate varies.
        """
        known = ~np.isnan(y)
        products = self._of(known)
        of_facts, of_arms, sums = products[:-2, :-2], products[-2:, -2:], products[-2:, :-2]
        if not of_arms.any() or not of_facts.size:
            return np.zeros(len(y))
        means = sums / np.maximum(np.diag(of_arms), 1.0)[:, None]
        of_values = np.where(known, y, 0.0) @ self._table
        slopes = _solved(of_facts - means.T @ sums, of_values[:-2] - of_values[-2:] @ means)
        return np.asarray(self._table[:, :-2] @ slopes)

    def _of(self, known: npt.NDArray[np.bool_]) -> Values:
        """Sums of products of the columns over the users with a value."""
        if 2 * known.sum() < len(known):
            inside = self._table[known]
            return np.asarray(inside.T @ inside)
        outside = self._table[~known]
        return np.asarray(self._products - outside.T @ outside)


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
