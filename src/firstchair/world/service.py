"""What a music service is to its listeners: slates when they log in. The world knows no more of it."""

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

    artists: int64 (n, SLATE), no artist twice in a row; -1 past the end of a short one. propensities: float64
    (n, SLATE), the chance that this artist stood at this position, given the ranking. versions, roles: registered
    model version and role of each row's list.
    """

    artists: Whole
    propensities: npt.NDArray[np.float64]
    versions: Sequence[str]
    roles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Signals:
    """What users did in one session, each (n,).

    user, artist, track: their numbers; track is -1 for what is no play. kind: click, play, follow or unfollow.
    ms: milliseconds of the UTC day. ms_played: -1 for what is no play.
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
        """What each of `users` (ascending) is shown in their `session` (0-based) of the day."""
        ...

    def told(self, signals: Signals, *, day: date) -> None:
        """What users did in the session that ends, for a service that answers at once."""
        ...

    def lists(self) -> Mapping[str, Whole]:
        """First `SLATE` of every model's list for all users, int64 (users, SLATE), -1 where there is none."""
        ...
