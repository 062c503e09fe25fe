"""Simulate a world from a seed: its users, its days, both sources, and its truth."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from firstchair.errors import SettingsError
from firstchair.world.accounts import add_users, replace_accounts
from firstchair.world.behaviour import KINDS, Life
from firstchair.world.delivery import Delivery, Store
from firstchair.world.geography import CITIES
from firstchair.world.policy import NOISE, VERSION, SeededPolicy
from firstchair.world.population import (
    GENRES,
    SOURCES,
    TRACKS_PER_ARTIST,
    Artists,
    Users,
    make_artists,
    make_users,
)
from firstchair.world.records import artist_id, lines_of, track_id, user_id
from firstchair.world.scenarios import scenario
from firstchair.world.service import SLATE, Service
from firstchair.world.tastes import Tastes
from firstchair.world.truth import expectations

# A new source number starts here each day it is skipped: a hole that monitoring must see.
HOLE = 3
# The device on which a challenger's slates are lost, where the scenario says so.
LOST_ON = "tv"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class WorldReport:
    """Counts of rows by table, event objects and events by type, with first and last day (UTC)."""

    scenario: str
    seed: int
    users: int
    artists: int
    tracks: int
    objects: int
    events: dict[str, int]
    first_date: date
    last_date: date


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """Parameters of a world; the same parameters and service give the same bytes.

    days: length of the simulation; a tenth of the users arrives within it. change_on: day
    (0-based) on which tastes shift or an incident happens, by default after two thirds.
    """

    users: int
    artists: int
    days: int
    seed: int
    start: date
    scenario: str = "steady"
    change_on: int | None = None


class World:
    """A world that is simulated day by day; each day is written to both sources.

    `noise` is that of the seeded policy, which serves before there are models.

    Raises:
        SettingsError: A number is out of range, or there is no such scenario; nothing is written.
        SourceError: The account database cannot be written, or holds rows of somebody else.
    """

    def __init__(
        self,
        spec: WorldSpec,
        *,
        accounts: sa.URL,
        events_url: str,
        truth: Path,
        noise: float = NOISE,
    ) -> None:
        _check(spec)
        self.spec, self.truth, self.scenario = spec, truth, scenario(spec.scenario)
        # A random stream for each part, so that a longer window does not change the users.
        of_artists, of_users, of_days, of_delivery, of_tastes, of_policy = (
            np.random.default_rng([spec.seed, part]) for part in range(6)
        )
        self.music = make_artists(spec.artists, spec.start, of_artists, debuts=self.scenario.debuts)
        self.people = make_users(spec.users, spec.days, spec.start, of_users)
        change_on = spec.days * 2 // 3 if spec.change_on is None else spec.change_on
        tastes = Tastes(
            self.people, self.music, self.scenario, change_on, of_tastes, days=spec.days
        )
        lost = (
            self.people.source == SOURCES.index(LOST_ON)
        ) & self.scenario.incidents.lost_challenger
        self.life = Life(tastes, spec.start, of_days, lost=lost)
        self.before_models = SeededPolicy(tastes, spec.start, of_policy, noise=noise)
        self.calendar = [spec.start + timedelta(days=number) for number in range(spec.days)]
        self.accounts = accounts
        odd = _odd_accounts(spec.start) if self.scenario.incidents.everyday else ()
        users = (*self._arriving(0), *odd)
        replace_accounts(
            accounts,
            users=users,
            artists=_artists(self.music),
            tracks=_tracks(self.music),
            truth=truth,
        )
        self.store = Store(events_url, truth)
        self.delivery = Delivery(
            self.store, self.calendar, self.scenario.incidents, change_on, of_delivery
        )
        self.counts: Counter[str] = Counter()
        self.expected: list[dict[str, Any]] = []
        self.lived = 0
        self._sequence = dict.fromkeys(SOURCES, 0)
        self._plant()

    def step(self, service: Service | None = None) -> date:
        """Simulate the next day with `service` (default: the seeded policy); return the day."""
        service, number = service or self.before_models, self.lived
        day = self.calendar[number]
        if number:
            add_users(self.accounts, self._arriving(number))
        self.expected += expectations(self.life, number, service.lists())
        happened = self.life.live(number, service)
        self.counts.update(Counter(KINDS[kind] for kind in happened.kind))
        if self.scenario.incidents.everyday and number == self.spec.days // 2:
            self._sequence["tv"] += HOLE
        self.delivery.deliver_day(
            number, lines_of(happened, day, self.people, self.life.versions, self._sequence)
        )
        self.lived += 1
        self._tell_truth()
        return day

    def report(self) -> WorldReport:
        """Counts of what was written so far."""
        return WorldReport(
            scenario=self.spec.scenario,
            seed=self.spec.seed,
            users=self.spec.users,
            artists=self.spec.artists,
            tracks=self.spec.artists * TRACKS_PER_ARTIST,
            objects=len(self.store.names),
            events=dict(sorted(self.counts.items())),
            first_date=self.calendar[0],
            last_date=self.calendar[max(0, self.lived - 1)],
        )

    def _arriving(self, day: int) -> Iterator[tuple[Any, ...]]:
        """Account rows of users who arrive on the day."""
        return (
            _account(self.people, int(number))
            for number in np.flatnonzero(self.people.first_day == day)
        )

    def _plant(self) -> None:
        """Write the truth that never changes: tastes, artists, and the scenario."""
        self.truth.mkdir(parents=True, exist_ok=True)
        np.save(self.truth / "tastes.npy", self.people.tastes)
        np.save(self.truth / "artists.npy", self.music.vectors)
        planted = {
            **asdict(self.scenario),
            "change_on": self.calendar[min(self.delivery.incident_on, self.spec.days - 1)],
        }
        planted["told"] = planted.pop("description")  # the file's name for it
        (self.truth / "scenario.json").write_text(json.dumps(planted, default=str, sort_keys=True))

    def _tell_truth(self) -> None:
        """Write the truth of the day: expected CTR, outcomes of all lists, planted faults."""
        expected = {
            "policy": VERSION,
            "expected_ctr": self.life.expected_clicks / max(1, self.life.impressions),
        }
        (self.truth / "world.json").write_text(
            json.dumps({**asdict(self.report()), **expected}, default=str, sort_keys=True)
        )
        planted = self.delivery.planted
        (self.truth / "delivery.json").write_text(
            json.dumps({**vars(planted), "quarantined": dict(planted.quarantined)}, sort_keys=True)
        )
        if self.expected:
            pd.DataFrame(self.expected).to_parquet(self.truth / "expected.parquet", index=False)


def simulate(
    *,
    users: int,
    artists: int,
    days: int,
    seed: int,
    start: date,
    scenario: str,
    accounts: sa.URL,
    events_url: str,
    truth: Path,
    progress: Progress | None = None,
) -> WorldReport:
    """Write both sources of a world without models, and its truth to `truth`; deterministic.

    Raises:
        SettingsError: A number is out of range, or there is no such scenario; nothing is written.
        SourceError: The account database cannot be written, or holds rows of somebody else.
    """
    spec = WorldSpec(users, artists, days, seed, start, scenario)
    world = World(spec, accounts=accounts, events_url=events_url, truth=truth)
    for number in range(days):
        world.step()
        if progress is not None:
            progress(number + 1, days)
    return world.report()


def _check(spec: WorldSpec) -> None:
    scenario(spec.scenario)
    faults = [
        f"{name} must be at least {least}, not {value}"
        for name, value, least in (
            ("users", spec.users, 1),
            ("artists", spec.artists, SLATE + 1),
            ("days", spec.days, 1),
        )
        if value < least
    ]
    if faults:
        raise SettingsError(
            f"The world cannot be simulated: {'; '.join(faults)}.",
            where="firstchair simulate",
            data="Nothing was written.",
            remedy="Correct it.",
        )


def _account(people: Users, number: int) -> tuple[Any, ...]:
    """A row of the account table."""
    created = datetime.combine(people.created_on[number], time(), tzinfo=UTC)
    latitude, longitude = (float(axis) for axis in people.coordinates[number])
    country = CITIES[people.city[number]].country
    address = f"{user_id(number)}@example.invalid"
    person = (None, int(people.age[number]), people.gender[number], latitude, longitude, country)
    return (user_id(number), address, *person, created, created)


def _odd_accounts(start: date) -> Iterator[tuple[Any, ...]]:
    """Account rows with implausible data."""
    born = datetime.combine(start, time(), tzinfo=UTC)
    yield ("odd-age-below", None, None, -1337, "", None, None, None, born, None)
    yield ("odd-age-above", None, None, 300, "n/a", None, None, "Atlantis", born, None)
    yield ("odd-at-sea", None, None, None, None, 0.5, -30.0, None, born, None)
    yield ("odd-off-the-map", None, None, None, None, 95.0, 400.0, None, born, None)
    yield ("odd-key-alone", None, None, None, None, None, None, None, born, None)
    yield ("odd-undated", None, None, None, None, None, None, None, None, None)


def _artists(music: Artists) -> Iterator[tuple[Any, ...]]:
    for number in range(len(music)):
        genres = [GENRES[genre] for genre in music.genres[number]]
        first, followers = music.first_active_on[number], int(music.followers[number])
        yield (artist_id(number), music.names[number], first, followers, genres)


def _tracks(music: Artists) -> Iterator[tuple[Any, ...]]:
    for artist in range(len(music)):
        for track in range(TRACKS_PER_ARTIST):
            title = f"{music.names[artist]}, no. {track + 1}"
            released = music.first_active_on[artist] + timedelta(days=200 * track)
            length = int(music.track_ms[artist, track])
            yield (track_id(artist, track), artist_id(artist), title, length, released)
