"""How the lists of a model cover the catalogue: coverage, novelty, inequality."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.definitions.follower_tiers import FollowerTier, follower_tiers_of


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


def tier_shares(
    artists: npt.NDArray[np.int32], followers: npt.NDArray[np.float64]
) -> dict[str, float]:
    """Share of the places of lists by follower tier of their artists; {} where none is known.

    Places with an artist whose followers are unknown do not count.

    Args:
        artists: int32 (n_users, k), columns, -1 for an empty place.
        followers: float64 (n_artists,), NaN where unknown.

    >>> lists = np.array([[0, 1, 2, 3], [1, -1, -1, -1]], dtype=np.int32)
    >>> tier_shares(lists, np.array([1.0, 99.0, 100.0, 5000.0, 101.0, np.nan]))
    {'under_a_tenth': 0.2, 'up_to_median': 0.6, 'up_to_tenfold': 0.0, 'over_tenfold': 0.2}
    """
    places = follower_tiers_of(followers)[artists[artists >= 0]]
    known = places[places != FollowerTier.UNKNOWN]
    if not len(known):
        return {}
    tiers = (tier for tier in FollowerTier if tier is not FollowerTier.UNKNOWN)
    return {tier.name.lower(): float(np.mean(known == str(tier))) for tier in tiers}


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
