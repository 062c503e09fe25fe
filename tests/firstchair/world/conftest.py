"""Small worlds of any scenario, and a service whose lists a test chooses."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from firstchair.world import SLATE, Signals, Slates, World, WorldSpec
from firstchair.world.service import Whole

START = date(2026, 1, 1)
Make = Callable[..., World]


class Fixed:
    """Shows every user the lists of one version, whoever asks; remembers what it was told."""

    def __init__(self, lists: Mapping[str, Whole], *, version: str, role: str = "champion") -> None:
        self.all, self.version, self.role = lists, version, role
        self.heard: list[Signals] = []

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        shown = self.all[self.version][users]
        return Slates(
            shown, np.ones(shown.shape), [self.version] * len(users), [self.role] * len(users)
        )

    def receive(self, signals: Signals, *, day: date) -> None:
        self.heard.append(signals)

    def lists(self) -> Mapping[str, Whole]:
        return self.all


def same_for_all(world: World, artists: list[int] | np.ndarray) -> Whole:
    """The same `SLATE` artists for every user."""
    return np.tile(np.asarray(artists, dtype=np.int64)[:SLATE], (len(world.people), 1))


@pytest.fixture
def make(new_database: Callable[[], sa.URL], tmp_path: Path) -> Make:
    def call(scenario: str, **changes: Any) -> World:
        known: dict[str, Any] = {"users": 1_500, "artists": 300, "days": 30, "seed": 5}
        spec = WorldSpec(**(known | changes), start=START, scenario=scenario)
        folder = tmp_path / scenario
        return World(
            spec,
            accounts=new_database(),
            events_url=str(folder / "events"),
            truth=folder / "truth",
        )

    return call
