"""The protocol of a music service in the world: slates for users who log in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]

SLATE = 10
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True, slots=True)
class Slates:
    """Slates of some users.

    artists: int64 (n, SLATE), no artist twice in a row; -1 past the end of a short one.
    propensities: float64 (n, SLATE), the chance of this artist at this position, given the
    ranking. versions, roles: registered model version and role of each row's list.
    """

    artists: Whole
    propensities: npt.NDArray[np.float64]
    versions: Sequence[str]
    roles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Signals:
    """What users did in one session, each (n,).

    user, artist, track: their numbers; track is -1 for other events than plays. kind: click, play,
    follow or unfollow. ms: milliseconds of the UTC day. ms_played: -1 for other events than plays.
    """

    user: Whole
    artist: Whole
    track: Whole
    kind: Sequence[str]
    ms: Whole
    ms_played: Whole


class Service(Protocol):
    """A service in the world; users and artists by number."""

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        """The slates of `users` (ascending) in their `session` (0-based) of the day."""
        ...

    def receive(self, signals: Signals, *, day: date) -> None:
        """Receive the signals of a session that has ended."""
        ...

    def lists(self) -> Mapping[str, Whole]:
        """First `SLATE` of every model's list for all users, int64 (users, SLATE), -1 for none."""
        ...
