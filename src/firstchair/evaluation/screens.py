"""Correction for many tests at once."""

import numpy as np
import numpy.typing as npt


def holm(p: npt.NDArray[np.float64], *, alpha: float) -> npt.NDArray[np.bool_]:
    """Hypotheses that are rejected at a family-wise error of `alpha` (Holm 1979); NaN never is.

    >>> holm(np.array([0.03, 0.001, 0.5, np.nan]), alpha=0.05).tolist()
    [False, True, False, False]
    """
    fallen = np.zeros(len(p), dtype=np.bool_)
    known = np.flatnonzero(~np.isnan(p))
    for rank, place in enumerate(known[np.argsort(p[known], kind="stable")]):
        if p[place] > alpha / (len(known) - rank):
            break
        fallen[place] = True
    return fallen
