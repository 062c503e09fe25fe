"""A world simulated straight into the silver tables, without sources, with its truth at hand."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa

from firstchair.definitions.lifecycle import lifecycles
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.privacy.generalisation import age_group
from firstchair.world import artist_id, track_id
from firstchair.world.behaviour import EXAMINATION, KINDS, Happenings, Life
from firstchair.world.geography import COUNTRIES
from firstchair.world.policy import SeededPolicy
from firstchair.world.population import GENRES, SOURCES, TRACKS_PER_ARTIST, make_artists, make_users
from firstchair.world.scenarios import scenario
from firstchair.world.service import Signals, Slates, Whole
from firstchair.world.tastes import Tastes

START = date(2026, 1, 1)


@dataclass
class Watched:
    """The seeded policy, watched: the true chance of a click of every impression that it made."""

    policy: SeededPolicy
    life: Life
    chances: list[np.ndarray] = field(default_factory=list)
    users: list[np.ndarray] = field(default_factory=list)
    artists: list[np.ndarray] = field(default_factory=list)

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        """The policy's, noted."""
        made = self.policy.slates(users, day=day, session=session)
        chance = EXAMINATION * self.life.appeal(users, made.artists, (day - START).days)
        self.chances.append(chance.ravel())
        self.users.append(np.repeat(users, made.artists.shape[1]))
        self.artists.append(made.artists.ravel())
        return made

    def shown(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chance, user and artist of each impression noted."""
        return (
            np.concatenate(self.chances),
            np.concatenate(self.users),
            np.concatenate(self.artists),
        )

    def forget(self) -> None:
        """Note anew from here on."""
        self.chances, self.users, self.artists = [], [], []

    def receive(self, signals: Signals, *, day: date) -> None:
        """Passed on."""
        self.policy.receive(signals, day=day)

    def lists(self) -> dict[str, Whole]:
        """None, as the policy's."""
        return {}


class LivedLake:
    """One world of the named scenario; `live` adds a day to silver/events.

    Only the first `kept` users are in the lake: a sample of the world, in which everybody lives.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        users: int,
        artists: int,
        days: int,
        seed: int,
        name: str,
        change_on: int = 10_000,
        kept: int | None = None,
    ) -> None:
        self.lake, self.scenario = lake, scenario(name)
        self.kept = users if kept is None else kept
        streams = [np.random.default_rng([seed, part]) for part in range(6)]
        music = make_artists(artists, START, streams[0], debuts=self.scenario.debuts)
        self.people = make_users(users, days, START, streams[1])
        tastes = Tastes(self.people, music, self.scenario, change_on, streams[4], days=days)
        self.life = Life(tastes, START, streams[2], lost=np.zeros(users, dtype=bool))
        self.watched = Watched(SeededPolicy(tastes, START, streams[5]), self.life)
        self.music, self.number, self.sent = music, 0, 0
        self.keys = np.array(
            [f"{number * 2654435761 % 2**32:08x}{number:024x}" for number in range(users)]
        )
        self._accounts()
        self._catalogue()

    def live(self) -> date:
        """The next day; which day it was."""
        day = START + timedelta(days=self.number)
        happened = self.life.live(self.number, self.watched)
        self.active_on = np.unique(happened.user)
        inside = happened.user < self.kept
        seen = Happenings(*(getattr(happened, name)[inside] for name in Happenings.__slots__))
        self.lake.replace_partition(t.EVENTS, self._events(seen, day), day)
        self.number += 1
        return day

    def segments(self, day: date) -> dict[str, np.ndarray]:
        """Each user's segments on the day, as silver/users and its features have them."""
        return {
            "all": np.full(len(self.people), "all"),
            "lifecycle": lifecycles(np.array(self.people.created_on, dtype="datetime64[D]"), day),
            "country": np.array(COUNTRIES)[self.people.country],
            "age_group": np.array([age_group(float(age)) for age in self.people.age]),
            "gender": np.array(self.people.gender),
        }

    def tiers(self) -> np.ndarray:
        """Each artist's follower tier."""
        share = self.music.followers / np.median(self.music.followers)
        return np.select([share < 0.1, share <= 1, share <= 10], ["<0.1", "0.1-1", "1-10"], ">10")

    def _events(self, h: Happenings, day: date) -> pa.Table:
        count = len(h)
        numbers = np.arange(self.sent, self.sent + count)
        self.sent += count
        at = np.datetime64(day, "us") + h.ms.astype("timedelta64[ms]")
        artists = np.array([artist_id(n) for n in range(len(self.music))])
        known = h.artist >= 0
        tracks = h.artist * TRACKS_PER_ARTIST + h.track
        names = np.array([track_id(0, n) for n in range(len(self.music) * TRACKS_PER_ARTIST)])
        versions = np.array([*self.life.versions, "none"])
        columns = {
            "event_id": pa.array(np.char.add("e", numbers.astype(str))),
            "event_type": pa.array(np.array(KINDS)[h.kind]),
            "occurred_at": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
            "event_date": pa.array([day] * count, pa.date32()),
            "user_key": pa.array(self.keys[h.user]),
            "source": pa.array(np.array(SOURCES)[self.people.source[h.user]]),
            "source_seq": pa.array(numbers),
            "simulated": pa.array(np.ones(count, dtype=bool)),
            "slate_id": pa.array(h.slate.astype(str), mask=h.slate < 0),
            "position": pa.array(h.position, mask=h.position < 0),
            "artist_id": pa.array(artists[np.maximum(h.artist, 0)], mask=~known),
            "track_id": pa.array(names[np.maximum(tracks, 0)], mask=h.track < 0),
            "model_version": pa.array(versions[h.version], mask=h.version < 0),
            "propensity": pa.array(h.propensity, mask=np.isnan(h.propensity)),
            "ms_played": pa.array(h.ms_played, mask=h.ms_played < 0),
        }
        whole = {
            f.name: columns[f.name] if f.name in columns else pa.nulls(count, f.type)
            for f in t.EVENTS.schema
        }
        return pa.table(whole).cast(t.EVENTS.schema)

    def _accounts(self) -> None:
        made = {name: values[: self.kept] for name, values in self.segments(START).items()}
        created = [
            datetime.combine(day, time(), tzinfo=UTC) for day in self.people.created_on[: self.kept]
        ]
        columns = {
            "user_key": self.keys[: self.kept],
            "created_at": created,
            **{name: made[name] for name in ("age_group", "gender", "country")},
        }
        whole = {
            f.name: pa.array(columns[f.name]) if f.name in columns else pa.nulls(self.kept, f.type)
            for f in t.USERS.schema
        }
        self.lake.overwrite(t.USERS, pa.table(whole).cast(t.USERS.schema))

    def _catalogue(self) -> None:
        count = len(self.music)
        artists = {
            "artist_id": [artist_id(n) for n in range(count)],
            "name": self.music.names,
            "first_active_on": self.music.first_active_on,
            "followers": self.music.followers,
            "genres": [[GENRES[kind] for kind in kinds] for kinds in self.music.genres],
        }
        self.lake.overwrite(t.ARTISTS, pa.table(artists).cast(t.ARTISTS.schema))
        pairs = [(artist, track) for artist in range(count) for track in range(TRACKS_PER_ARTIST)]
        tracks = {
            "track_id": [track_id(*pair) for pair in pairs],
            "artist_id": [artist_id(artist) for artist, _ in pairs],
            "title": ["" for _ in pairs],
            "duration_ms": [int(self.music.track_ms[pair]) for pair in pairs],
            "released_on": [START for _ in pairs],
        }
        self.lake.overwrite(t.TRACKS, pa.table(tracks).cast(t.TRACKS.schema))
