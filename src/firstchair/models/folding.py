"""Shared by ALS and the fold-in at logins: solving a user's factors, explaining scores."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Parts: TypeAlias = npt.NDArray[np.int32]
Texts: TypeAlias = npt.NDArray[np.object_]

SCORE_DECIMALS = 6
# Number of parts that an explanation names.
NAMED = 2


def cell_weights(confidence: Floats, alpha: float) -> Floats:
    """Weight of each cell of the matrix in the cost of ALS, negative where the preference is 0.

    A cell that is absent has preference 0 and weight 1. A positive interaction has preference 1 and
    weight alpha * c, as in implicit. Negative feedback has preference 0 and weight 1 + alpha * |c|,
    always above that of an absent cell: the higher c, the closer to 0 is the predicted value.

    implicit takes a negative number as a preference of 0 whose absolute value replaces the weight 1
    of an absent cell (0.7.3, `cpu/als.py`, `user_linear_equation`: `confidence *= -1`, then
    `A += (confidence - 1) * np.outer(factor, factor)`). So -alpha * |c| would weigh less than an
    absent cell wherever alpha * |c| < 1.

    Args:
        confidence: float32 (n,), signed as in `TrainingData.confidence`.
        alpha: Weight of a confidence of 1; > 0.

    Returns:
        float32 (n,), in the order of `confidence`.

    >>> cell_weights(np.array([2.0, -0.5], dtype=np.float32), alpha=4.0).tolist()
    [8.0, -3.0]
    """
    weighed = alpha * confidence
    return np.asarray(np.where(confidence > 0, weighed, weighed - 1), dtype=np.float32)


def normal_equations(gram: Floats, weights: Floats, factors: Floats) -> tuple[Floats, Floats]:
    """Left and right side of the equation of a user's factors (Hu et al. 2008, equation 4).

    Args:
        gram: The part that is common to all users (`ALS.gram`).
        weights: Weight of each of the user's artists by `cell_weights`, float32 (n,).
        factors: Factors of these artists, float32 (n, factors).
    """
    left = gram + (factors.T * (np.abs(weights) - 1)) @ factors
    right = factors.T @ np.maximum(weights, 0)
    return left, right


def strongest(added: Floats) -> tuple[Parts, Floats]:
    """The `NAMED` parts that add most to each item.

    Args:
        added: float32 (n_parts, n_items).

    Returns:
        Numbers of the parts, most first (the first of equal ones), -1 if no more add above 0; and
        their amounts. int32 and float32 (n_items, NAMED).
    """
    parts = np.full((added.shape[1], NAMED), -1, dtype=np.int32)
    amounts = np.zeros((added.shape[1], NAMED), dtype=np.float32)
    left = np.array(added, dtype=np.float32, copy=True)
    items = np.arange(added.shape[1])
    for place in range(min(NAMED, len(left))):
        number = np.argmax(left, axis=0)
        value = left[number, items]
        helps = value > 0
        parts[helps, place], amounts[helps, place] = number[helps], value[helps]
        left[number, items] = -np.inf
    return parts, amounts


def because_of(parts: Parts, names: Texts) -> Texts:
    """The sentence for each item; parts: numbers of the user's artists, int32 (n_items, NAMED)."""
    codes = np.ravel_multi_index(tuple(parts.T + 1), (len(names) + 1,) * NAMED)
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    sentences = [
        f"Because you listen to {named}" if named else "To widen your taste"
        for named in joined(parts[first], names)
    ]
    return np.array(sentences, dtype=object)[place]


def joined(parts: Parts, labels: Texts) -> list[str]:
    """The named parts of each item as "A and B", "A", or nothing: parts int32 (n_items, NAMED)."""
    return [" and ".join(str(labels[part]) for part in row if part >= 0) for row in parts.tolist()]
