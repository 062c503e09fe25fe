"""What the simulated service shows: a ranking by its own noisy view, one slot sometimes given to chance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SLATE = 10
EXPLORATION = 0.10
VERSION = "seeded-policy-1"


@dataclass(frozen=True, slots=True)
class Slates:
    """Slates of some users.

    artists: int64 (n, SLATE), no artist twice in a row. propensities: float64 (n, SLATE), the chance that
    this artist stood at this position, given the ranking.
    """

    artists: npt.NDArray[np.int64]
    propensities: npt.NDArray[np.float64]


def make_slates(view: npt.NDArray[np.float32], rng: np.random.Generator) -> Slates:
    """The best `SLATE` by `view`; with chance `EXPLORATION` one slot, uniformly, goes to an artist outside.

    So a ranked artist stands at his position with 1 - EXPLORATION / SLATE, and each of the E artists outside
    at each position with EXPLORATION / SLATE / E.

    Args:
        view: float32 (n, artists), what the service thinks each user likes; more than `SLATE` artists.
        rng: Of the exploration.
    """
    count, width = view.shape
    artists = np.argpartition(-view, SLATE - 1, axis=1)[:, :SLATE]
    order = np.argsort(-np.take_along_axis(view, artists, axis=1), axis=1, kind="stable")
    artists = np.take_along_axis(artists, order, axis=1).astype(np.int64)
    propensities = np.full((count, SLATE), 1 - EXPLORATION / SLATE)
    explores = np.flatnonzero(rng.random(count) < EXPLORATION)
    slots = rng.integers(SLATE, size=len(explores))
    for row, slot, drawn in zip(explores, slots, rng.integers(width - SLATE, size=len(explores)), strict=True):
        artists[row, slot] = _outside(np.sort(artists[row]), int(drawn))
        propensities[row, slot] = EXPLORATION / SLATE / (width - SLATE)
    return Slates(artists, propensities)


def _outside(inside: npt.NDArray[np.int64], number: int) -> int:
    """The `number`-th artist (0-based) that is not in the ascending `inside`."""
    for artist in inside:
        number += artist <= number
    return int(number)
