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
        self.facts = facts
        self._treated = arm.astype(np.float64)
        self._products = facts.T @ facts

    def predicted(self, y: Values) -> Values:
        """Predict each user's value from the covariates.

        Args:
            y: float64 (n_users,); NaN where a user has no value.

        Returns:
            float64 (n_users,), up to a constant; 0 if nobody has a value or no covariate varies.
        """
        known = ~np.isnan(y)
        if not known.any() or not self.facts.shape[1]:
            return np.zeros(len(y))
        treatment = self._treated * known
        members = np.stack([known - treatment, treatment])
        values = np.where(known, y, 0.0)
        sums = np.vstack([members, values]) @ self.facts
        means = sums[:2] / np.maximum(members.sum(axis=1, keepdims=True), 1.0)
        spread = self._of(known) - means.T @ sums[:2]
        return np.asarray(self.facts @ _solved(spread, sums[2] - (members @ values) @ means))

    def _of(self, known: npt.NDArray[np.bool_]) -> Values:
        """Sums of products of the covariates over the users with a value."""
        if 2 * known.sum() < len(known):
            inside = self.facts[known]
            return np.asarray(inside.T @ inside)
        outside = self.facts[~known]
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
