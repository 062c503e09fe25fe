"""Regression adjustment: what the days before an experiment foretell of each user's value."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Relative size of an eigenvalue below which a direction of the facts counts as constant.
RANK_TOLERANCE = 1e-10


class Adjustment:
    """Facts of users from before an experiment, and what they foretell of a metric.

    A least-squares fit of the metric on the facts within the arms, so that a difference of the arms
    moves no coefficient (Lin 2013, "Agnostic notes on regression adjustments to experimental data",
    section 4). The facts were known before assignment; the adjusted difference of the arms is
    therefore right whether or not the fit is (theorem 1 there). Their number is small beside that of
    the users, so no folds are needed: the bias is of the order of the ratio of the two.

    Args:
        facts: float64 (n_users, n_facts), finite, known before the experiment.
        arm: int8 (n_users,), 0 control, 1 treatment.
    """

    def __init__(self, facts: Values, arm: npt.NDArray[np.int8]) -> None:
        self.facts = facts
        self._arms = np.column_stack([arm == 0, arm == 1]).astype(np.float64)
        self._products = facts.T @ facts

    def foretold(self, y: Values) -> Values:
        """The part of each user's value that the facts foretell.

        Args:
            y: float64 (n_users,); NaN where a user has no value.

        Returns:
            float64 (n_users,), up to a constant; 0 where nobody has a value or nothing is known.
        """
        known = ~np.isnan(y)
        if not known.any() or not self.facts.shape[1]:
            return np.zeros(len(y))
        members, values = self._arms * known[:, None], np.where(known, y, 0.0)
        sums = self.facts.T @ np.column_stack([members, values])
        sizes = members.sum(axis=0)
        means = sums[:, :2] / np.maximum(sizes, 1.0)
        of_y = members.T @ values
        spread = self._of(known) - (means * sizes) @ means.T
        return np.asarray(self.facts @ _solved(spread, sums[:, 2] - means @ of_y))

    def _of(self, known: npt.NDArray[np.bool_]) -> Values:
        """Sums of products of the facts over the users that are known, by way of the fewer."""
        if 2 * known.sum() < len(known):
            inside = self.facts[known]
            return np.asarray(inside.T @ inside)
        outside = self.facts[~known]
        return np.asarray(self._products - outside.T @ outside)


def _solved(spread: Values, products: Values) -> Values:
    """Slopes of a regression; 0 in directions in which the facts do not vary."""
    sizes, directions = np.linalg.eigh(spread)
    least = RANK_TOLERANCE * max(float(sizes[-1]), RANK_TOLERANCE)
    weights = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > least)
    return np.asarray(directions @ (weights * (directions.T @ products)))


def explained(y: Values, prediction: Values) -> float:
    """Share of the variance of y that a prediction explains, 0..1; 0 where either is constant."""
    known = ~np.isnan(y)
    if known.sum() < 2 or np.ptp(y[known]) == 0 or np.ptp(prediction[known]) == 0:
        return 0.0
    return float(np.corrcoef(y[known], prediction[known])[0, 1] ** 2)
