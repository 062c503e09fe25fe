"""How the lists of a model cover the catalogue: coverage, novelty, inequality."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Exposure:
    """Coverage, novelty and inequality of some lists.

    coverage: share of the catalogue in at least one list, 0..1. novelty: mean self-information of
    the listed artists in bits, >= 0. gini: inequality of how often artists are listed, 0 (all
    equally often) .. 1 (only one).
    """

    coverage: float
    novelty: float
    gini: float


def exposure(
    artists: npt.NDArray[np.int32], takers: npt.NDArray[np.int64], *, users: int
) -> Exposure:
    """Compute the exposure of lists.

    Novelty is the mean of -log2(takers / users) over the places of all lists (Zhou et al. 2010,
    "Solving the apparent diversity-accuracy dilemma"; an artist without a taker counts as one with
    one), Gini that of the counts over the whole catalogue.

    Args:
        artists: int32 (n_users, k), columns, -1 for an empty place.
        takers: Users who had taken each artist before, int64 (n_artists,).
        users: Users among whom they were counted.
    """
    listed = artists[artists >= 0]
    shown = np.bincount(listed, minlength=len(takers))
    share = np.maximum(takers, 1) / max(1, users)
    return Exposure(
        coverage=float(np.mean(shown > 0)) if len(takers) else 0.0,
        novelty=float(-np.log2(share[listed]).mean()) if len(listed) else 0.0,
        gini=gini(shown),
    )


def gini(counts: npt.NDArray[np.int64]) -> float:
    """Gini coefficient of counts >= 0; 0 without any count.

    >>> gini(np.array([1, 1, 1, 1])), gini(np.array([0, 0, 0, 4]))
    (0.0, 0.75)
    """
    total, n = counts.sum(), len(counts)
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2 * (ranks * np.sort(counts)).sum() / (n * total) - (n + 1) / n)
