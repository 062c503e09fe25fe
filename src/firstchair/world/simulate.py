"""One world from one seed: its people, its days, both sources, and the truth kept apart."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from firstchair.errors import SettingsError
from firstchair.world.accounts import replace_accounts
from firstchair.world.behaviour import KINDS, Life
from firstchair.world.delivery import Imperfect, Planted, Store, deliver_day
from firstchair.world.geography import CITIES
from firstchair.world.policy import SLATE, VERSION
from firstchair.world.population import GENRES, SOURCES, TRACKS_PER_ARTIST, Artists, Users, make_artists, make_users
from firstchair.world.records import lines_of

SCENARIOS = {
    "steady": "tastes stay, every event arrives once and in time",
    "imperfect-delivery": "the same world, with duplicates, late events, broken records and odd accounts",
}
# A new source number starts here each day it is skipped: a hole that monitoring must see.
HOLE = 3

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What was written: rows of each table, event objects, events by type, first and last day (UTC)."""

    scenario: str
    seed: int
    users: int
    artists: int
    tracks: int
    objects: int
    events: dict[str, int]
    first_date: date
    last_date: date


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
    """Write both sources of a world, and its truth to `truth`; the same arguments give the same bytes.

    Raises:
        SettingsError: A number is out of range, or there is no such scenario; nothing is written.
        SourceError: The account database cannot be written.
    """
    _check(users, artists, days, scenario)
    # One stream for each part, so that a longer window does not change who lives in the world.
    of_artists, of_users, of_days, of_delivery = (np.random.default_rng([seed, part]) for part in range(4))
    music, people = make_artists(artists, of_artists), make_users(users, days, start, of_users)
    imperfect = scenario == "imperfect-delivery"
    replace_accounts(accounts, users=_accounts(people, odd=imperfect), artists=_artists(music), tracks=_tracks(music))
    store, life = Store(events_url, truth), Life(people, music, of_days)
    calendar = [start + timedelta(days=number) for number in range(days)]
    delivery = Imperfect(store, calendar, of_delivery) if imperfect else None
    counts: Counter[str] = Counter()
    sequence = dict.fromkeys(SOURCES, 0)
    for number, day in enumerate(calendar):
        happened = life.live(number)
        counts.update(Counter(KINDS[kind] for kind in happened.kind))
        if imperfect and number == days // 2:
            sequence["tv"] += HOLE
        lines = lines_of(happened, day, people, sequence)
        if delivery is None:
            deliver_day(store, day, lines)
        else:
            delivery.deliver_day(number, lines)
        if progress is not None:
            progress(number + 1, days)
    report = WorldReport(
        scenario=scenario,
        seed=seed,
        users=users,
        artists=artists,
        tracks=artists * TRACKS_PER_ARTIST,
        objects=len(store.names),
        events=dict(sorted(counts.items())),
        first_date=calendar[0],
        last_date=calendar[-1],
    )
    _tell_truth(truth, report, people, music, life, delivery.planted if delivery else Planted())
    return report


def _check(users: int, artists: int, days: int, scenario: str) -> None:
    faults = [
        f"{name} must be at least {least}, not {value}"
        for name, value, least in (("users", users, 1), ("artists", artists, SLATE + 1), ("days", days, 1))
        if value < least
    ]
    if scenario not in SCENARIOS:
        faults.append(f"there is no scenario {scenario}")
    if faults:
        raise SettingsError(
            f"This world cannot be: {'; '.join(faults)}.",
            where="firstchair simulate",
            data="Nothing was written.",
            remedy=f"Correct it; the scenarios are {', '.join(SCENARIOS)}.",
        )


def _accounts(people: Users, *, odd: bool) -> Iterator[tuple[Any, ...]]:
    """Rows of the account table; with `odd`, some that no person filled in truthfully."""
    for number in range(len(people)):
        created = datetime.combine(people.created_on[number], time(), tzinfo=UTC)
        latitude, longitude = (float(axis) for axis in people.coordinates[number])
        yield (
            f"user-{number + 1:06d}",
            f"user-{number + 1:06d}@example.invalid",
            None,
            int(people.age[number]),
            people.gender[number],
            latitude,
            longitude,
            CITIES[people.city[number]].country,
            created,
            created,
        )
    if odd:
        born = datetime.combine(people.created_on[0], time(), tzinfo=UTC)
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
        yield (f"artist-{number + 1:05d}", music.names[number], first, followers, genres)


def _tracks(music: Artists) -> Iterator[tuple[Any, ...]]:
    for artist in range(len(music)):
        for track in range(TRACKS_PER_ARTIST):
            number = artist * TRACKS_PER_ARTIST + track + 1
            title = f"{music.names[artist]}, no. {track + 1}"
            released = music.first_active_on[artist] + timedelta(days=200 * track)
            artist_id, length = f"artist-{artist + 1:05d}", int(music.track_ms[artist, track])
            yield (f"track-{number:06d}", artist_id, title, length, released)


def _tell_truth(truth: Path, report: WorldReport, people: Users, music: Artists, life: Life, planted: Planted) -> None:
    """What no pipeline code may read: tastes, expected CTR, what was planted."""
    expected = {"policy": VERSION, "expected_ctr": life.expected_clicks / max(1, life.shown)}
    (truth / "world.json").write_text(json.dumps({**asdict(report), **expected}, default=str, sort_keys=True))
    (truth / "delivery.json").write_text(
        json.dumps({**vars(planted), "quarantined": dict(planted.quarantined)}, sort_keys=True)
    )
    np.save(truth / "tastes.npy", people.tastes)
    np.save(truth / "artists.npy", music.vectors)
