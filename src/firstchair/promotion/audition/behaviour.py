"""Behaviour of the users of a world on the days on which they are active."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Codes, Segment, Values

Floats = npt.NDArray[np.float32]

# Days of a stage, and of a world with the days before the stage.
DAYS = 35
ALL_DAYS = BEFORE_DAYS + DAYS
COUNTRY = "country"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Users and their active days, without a challenger.

    A cell is a user and a day on which they are active; cells are sorted by day.

    Attributes:
        segments: By name, fixed before the stage.
        volume: Usual number of impressions of a user, in any unit, float (n_users,).
        rate: Expected clicks an impression, float (n_users,).
        depth: Expected share of a track that is heard, 0..1, float (n_users,).
        track_ms: Mean length of the tracks that a user plays, float (n_users,).
        day: int (n_cells,), 0 the first of the `BEFORE_DAYS` days before the stage.
        user: int (n_cells,).
        impressions: int (n_cells,), at least 1.
        chance: Chance that an impression is clicked, float32 (n_cells,).
    """

    segments: Mapping[str, Segment]
    volume: Values
    rate: Values
    depth: Values
    track_ms: Values
    day: Codes
    user: Codes
    impressions: Codes
    chance: Floats

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.rate)

    def only(self, cells: npt.NDArray[np.bool_]) -> "Behaviour":
        """The same users with only these cells."""
        if cells.all():
            return self
        return replace(
            self,
            day=self.day[cells],
            user=self.user[cells],
            impressions=self.impressions[cells],
            chance=self.chance[cells],
        )


@dataclass(frozen=True, slots=True)
class World:
    """Assumptions about users.

    Attributes:
        name: Name of the world.
        assumes: Its assumptions in words.
        draw: Draws users and their behaviour.
        listened: Draws the share of their tracks that was heard, 0..1 (n_cells,), from the number
            of plays of each cell and the share that is expected, float32.
    """

    name: str
    assumes: str
    draw: Callable[[np.random.Generator, int], Behaviour]
    listened: Callable[[np.random.Generator, Floats, Floats], Floats]


def offsets_of(day: Codes) -> Codes:
    """First cell of each day, int64 (ALL_DAYS + 1,): cells of day d begin at offsets[d]."""
    return np.searchsorted(day, np.arange(ALL_DAYS + 1))


def cells_of(active: npt.NDArray[np.bool_]) -> tuple[Codes, Codes, Codes]:
    """Day, user and flat index of each cell with an active user.

    Args:
        active: bool (ALL_DAYS, n_users), C order.
    """
    users = [np.flatnonzero(on_day) for on_day in active]
    day = np.repeat(np.arange(len(active)), [len(found) for found in users])
    user = np.concatenate(users)
    return day, user, day * active.shape[1] + user
