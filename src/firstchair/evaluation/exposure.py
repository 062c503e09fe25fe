"""How the lists of a model cover the catalogue: coverage, novelty, inequality."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from firstchair.definitions.follower_tiers import KNOWN_TIERS, FollowerTier, follower_tiers_of
from firstchair.models import TrainingData


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


def places_by_artist(artists: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    """How many places of lists each artist of a catalogue has: int64 (count,).

    Args:
        artists: int32 (n_users, k), columns, -1 for an empty place.
        count: Artists of the catalogue.
    """
    return np.bincount(artists[artists >= 0], minlength=count)


def exposure(
    places: npt.NDArray[np.int64], takers: npt.NDArray[np.int64], *, users: int
) -> Exposure:
    """Compute the exposure of lists.

    Novelty is the mean of -log2(takers / users) over the places of all lists (Zhou et al. 2010,
    "Solving the apparent diversity-accuracy dilemma"; an artist without a taker counts as one with
    one), Gini that of the places over the whole catalogue.

    Args:
        places: Places of all lists that each artist has, int64 (n_artists,).
        takers: Users with a positive interaction with each artist, int64 (n_artists,).
        users: Users among whom they were counted.
    """
    information = -np.log2(np.maximum(takers, 1) / max(1, users))
    total = int(places.sum())
    return Exposure(
        coverage=float(np.mean(places > 0)) if len(takers) else 0.0,
        novelty=float(places @ information) / total if total else 0.0,
        gini=gini(places),
    )


def tier_shares(
    places: npt.NDArray[np.int64], followers: npt.NDArray[np.float64]
) -> dict[str, float]:
    """Share of the places of lists by follower tier of their artists; {} where none is known.

    Places with an artist whose followers are unknown do not count.

    Args:
        places: Places of all lists that each artist has, int64 (n_artists,).
        followers: float64 (n_artists,), NaN where unknown.

    >>> followers = np.array([1.0, 99.0, 100.0, 5000.0, 101.0, np.nan])
    >>> tier_shares(np.array([1, 2, 1, 1, 0, 9]), followers)
    {'under_a_tenth': 0.2, 'up_to_median': 0.6, 'up_to_tenfold': 0.0, 'over_tenfold': 0.2}
    """
    tier_of = follower_tiers_of(followers)
    known = int(places[tier_of != FollowerTier.UNKNOWN].sum())
    if not known:
        return {}
    return {name: int(places[tier_of == tier].sum()) / known for name, tier in KNOWN_TIERS.items()}


def exposure_of(
    places: npt.NDArray[np.int64], data: TrainingData
) -> tuple[Exposure, dict[str, float]]:
    """Exposure and follower tiers (`tier_shares`) of lists that were made of some data.

    Args:
        places: Places of all lists that each artist has, int64 (n_artists,).
        data: What the lists were made of.
    """
    signals = data.confidence
    takers = np.bincount(signals.indices[signals.data > 0], minlength=len(places))
    followers = data.artists.get("followers")
    if followers is None:
        tiers = {}
    else:
        tiers = tier_shares(places, pd.to_numeric(followers).to_numpy(float))
    return exposure(places, takers, users=len(data.user_keys)), tiers


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
