"""The policy before there are models: a ranking by noisy tastes, with exploration slots."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt

from firstchair.world.population import Floats, Whole
from firstchair.world.service import CHAMPION, SLATE, Signals, Slates
from firstchair.world.tastes import Tastes

EXPLORATION = 0.10
NOISE = 0.8
VERSION = "seeded-policy-1"


class SeededPolicy:
    """A service that ranks by the true tastes plus noise; it learns nothing.

    noise: standard deviation of the noise, which is added to 1.2 times the true taste and 0.6 times
    the logarithm of popularity. At `NOISE` it gets more clicks than any model that learns from a
    few weeks of it.
    """

    def __init__(
        self,
        tastes: Tastes,
        start: date,
        rng: np.random.Generator,
        *,
        noise: float = NOISE,
    ) -> None:
        self.tastes, self.start, self.rng = tastes, start, rng
        self.noise = noise

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        """The best artists that have appeared, by taste, popularity and noise."""
        affinity = self.tastes.affinity(users)
        noise = self.rng.standard_normal(affinity.shape, dtype=np.float32)
        view = 1.2 * affinity + 0.6 * self.tastes.artists.log_popularity + self.noise * noise
        view[:, self.tastes.artists.debut > (day - self.start).days] = -np.inf
        return make_slates(view, self.rng)

    def receive(self, signals: Signals, *, day: date) -> None:
        """Ignore the signals."""

    def lists(self) -> Mapping[str, Whole]:
        """No lists: each slate is drawn separately."""
        return {}


def make_slates(view: Floats, rng: np.random.Generator) -> Slates:
    """The best `SLATE` artists by `view`, with an exploration slot in a share `EXPLORATION`.

    So a ranked artist is at its position with probability 1 - EXPLORATION / SLATE, and each of the
    E artists outside is at each position with probability EXPLORATION / SLATE / E.

    Args:
        view: float32 (n, artists), estimated taste of each user; more than `SLATE` artists.
        rng: Random numbers of the exploration.
    """
    count, width = view.shape
    artists = np.argpartition(-view, SLATE - 1, axis=1)[:, :SLATE]
    order = np.argsort(-np.take_along_axis(view, artists, axis=1), axis=1, kind="stable")
    artists = np.take_along_axis(artists, order, axis=1).astype(np.int64)
    propensities = np.full((count, SLATE), 1 - EXPLORATION / SLATE)
    explores = np.flatnonzero(rng.random(count) < EXPLORATION)
    slots = rng.integers(SLATE, size=len(explores))
    for row, slot, drawn in zip(
        explores, slots, rng.integers(width - SLATE, size=len(explores)), strict=True
    ):
        artists[row, slot] = _outside(np.sort(artists[row]), int(drawn))
        propensities[row, slot] = EXPLORATION / SLATE / (width - SLATE)
    return Slates(artists, propensities, [VERSION] * count, [CHAMPION] * count)


def _outside(inside: npt.NDArray[np.int64], number: int) -> int:
    """The `number`-th artist (0-based) that is not in the ascending `inside`."""
    for artist in inside:
        number += artist <= number
    return int(number)
