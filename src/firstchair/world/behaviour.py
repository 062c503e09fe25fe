"""A day in the world: sessions, slates, clicks, plays, follows, and users who leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from firstchair.world.population import TRACKS_PER_ARTIST, Floats, Whole
from firstchair.world.service import CHALLENGER, Service, Signals, Slates
from firstchair.world.tastes import OVERSHOOT, Tastes, expected_share_heard

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
# Sessions of an hour in a day; between two sessions of a user there is time to be answered.
PLACES = 4
AGAIN, AGAIN_WHEN_NEW = 0.25, 0.75
# Chance that a user examines a position (the position-based model of clicks).
EXAMINATION = np.array([0.95, 0.8, 0.68, 0.58, 0.5, 0.44, 0.39, 0.35, 0.31, 0.28], dtype=np.float32)
ORGANIC_PLAYS = 5.0
# Decay of the memory of tracks heard from slates; users below `CONTENT` leave sooner.
MEMORY, CONTENT, LEAVING, DISAPPOINTMENT, MAX_LEAVING = 0.8, 0.5, 0.012, 1.6, 0.25
# Share of the times shown that is forgotten per day.
SHOWN_KEPT = 0.85
LOGIN, IMPRESSION, CLICK, PLAY, FOLLOW, UNFOLLOW = range(6)
KINDS = ("login", "impression", "click", "play", "follow", "unfollow")


@dataclass(frozen=True, slots=True)
class Happenings:
    """Events of one day as columns, in order of time; -1 or NaN if a kind has no such field.

    kind: number in `KINDS`; ms: milliseconds of the UTC day; track: 0..TRACKS_PER_ARTIST - 1 of the
    artist;
    version: number in `Life.versions`.
    """

    kind: Whole
    user: Whole
    ms: Whole
    artist: Whole
    track: Whole
    ms_played: Whole
    slate: Whole
    position: Whole
    version: Whole
    propensity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)


class Life:
    """The state of the users; each day is simulated once, in order.

    known, follows: bool (users, artists). shown: float32 (users, artists), recent times shown. joy:
    float32 (users,), decayed number of tracks heard from slates. gone: bool (users,), users who
    left for good. versions: model versions seen. expected_clicks, impressions: sums over all
    slates, to compare clicks with their expectation.
    """

    def __init__(
        self, tastes: Tastes, start: date, rng: np.random.Generator, *, lost: npt.NDArray[np.bool_]
    ) -> None:
        self.tastes, self.start, self.rng, self.lost = tastes, start, rng, lost
        self.users, self.artists = tastes.users, tastes.artists
        shape = (len(self.users), len(self.artists))
        self.known, self.follows = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        self.shown = np.zeros(shape, dtype=np.float32)
        self.joy = np.full(len(self.users), CONTENT, dtype=np.float32)
        self.gone = np.zeros(len(self.users), dtype=bool)
        self.versions: list[str] = []
        self.slates = 0
        self.expected_clicks, self.impressions = 0.0, 0

    def present(self, day: int) -> npt.NDArray[np.bool_]:
        """Users who have arrived by the day and have not left."""
        return (self.users.first_day <= day) & ~self.gone

    def live(self, day: int, service: Service) -> Happenings:
        """Simulate a day (0-based) with the slates of `service`, and return its events."""
        rng, users = self.rng, self.users
        arrives = users.first_day == day
        active = np.flatnonzero(
            self.present(day) & (arrives | (rng.random(len(users)) < users.activity))
        )
        again = np.where(arrives[active], AGAIN_WHEN_NEW, AGAIN)
        sessions = 1 + rng.binomial(
            PLACES - 1, np.where(arrives[active], again, again / (PLACES - 1))
        )
        places = np.argsort(rng.random((len(active), PLACES)), axis=1)
        parts: list[Happenings] = []
        for session in range(int(sessions.max(initial=0))):
            there = sessions > session
            at = np.sort(
                np.where(np.arange(PLACES) < sessions[there, None], places[there], PLACES)
            )[:, session]
            begin = at * (DAY_MS // PLACES) + rng.integers(
                0, DAY_MS // PLACES - 2 * HOUR_MS, size=len(at)
            )
            parts += self._session(active[there], begin, day, session, service)
        self._leave(active)
        self.shown *= SHOWN_KEPT
        return _in_order(
            parts or [_columns(LOGIN, np.array([], dtype=np.int64), np.array([], dtype=np.int64))]
        )

    def _session(
        self, who: Whole, begin: Whole, day: int, session: int, service: Service
    ) -> list[Happenings]:
        today = self.start + timedelta(days=day)
        slates = service.slates(who, day=today, session=session)
        parts = [_columns(LOGIN, who, begin), *self._slates(who, begin, day, slates)]
        parts += self._organic(who, begin, day)
        service.receive(self._signals(parts), day=today)
        return parts

    def _slates(self, who: Whole, begin: Whole, day: int, slates: Slates) -> list[Happenings]:
        appeal = self.appeal(who, slates.artists, day)
        chance = EXAMINATION * appeal
        rendered = (slates.artists >= 0) & ~(
            self.lost[who] & (np.array(slates.roles) == CHALLENGER)
        )[:, None]
        self.expected_clicks += float(chance[rendered].sum())
        self.impressions += int(rendered.sum())
        numbers = self.slates + np.arange(len(who))
        self.slates += len(who)
        versions = self._numbered(slates.versions)
        row, slot = np.nonzero(rendered)
        shown = _columns(
            IMPRESSION,
            who[row],
            begin[row] + 400 + slot,
            artist=slates.artists[row, slot],
            slate=numbers[row],
            position=slot + 1,
            version=versions[row],
            propensity=slates.propensities[row, slot],
        )
        np.add.at(self.shown, (who[row], slates.artists[row, slot]), 1)
        hit = self.rng.random(len(row)) < chance[row, slot]
        row, slot = row[hit], slot[hit]
        at = begin[row] + self.rng.integers(2_000, 600_000, size=len(row))
        what, slate = slates.artists[row, slot], numbers[row]
        clicked = _columns(CLICK, who[row], at, artist=what, slate=slate, position=slot + 1)
        heard = self._plays(who[row], what, at + 1_500, day, slate)
        self._enjoy(who, row, heard)
        return [shown, clicked, heard, *self._follows(who[row], what, at + 4_000, day, 0.12)]

    def appeal(self, who: Whole, artists: Whole, day: int) -> Floats:
        """Chance of a click on an examined artist, float32 (n, k); 0 if the artist is -1."""
        there = np.maximum(artists, 0)
        return np.where(
            artists >= 0, self.tastes.appeal(who, there, day, self.shown[who[:, None], there]), 0
        )

    def _organic(self, who: Whole, begin: Whole, day: int) -> list[Happenings]:
        pull = self.tastes.pull(who, day, self.tastes.affinity(who), self.known[who])
        share = np.cumsum(np.exp(pull - pull.max(axis=1, keepdims=True), dtype=np.float64), axis=1)
        counts = self.rng.poisson(ORGANIC_PLAYS, size=len(who))
        session = np.repeat(np.arange(len(who)), counts)
        drawn = self.rng.random(len(session)) * share[session, -1]
        artist = np.array(
            [np.searchsorted(share[s], r) for s, r in zip(session, drawn, strict=True)],
            dtype=np.int64,
        )
        artist = np.minimum(artist, len(self.artists) - 1)
        at = begin[session] + self.rng.integers(5_000, HOUR_MS - 10_000, size=len(session))
        heard = self._plays(who[session], artist, at, day, np.full(len(session), -1))
        follows = self._follows(who[session], artist, at + 3_000, day, 0.02)
        return [heard, *follows, *self._unfollows(who, begin)]

    def _plays(self, who: Whole, artist: Whole, at: Whole, day: int, slate: Whole) -> Happenings:
        track = np.minimum(self.rng.geometric(0.5, size=len(who)) - 1, TRACKS_PER_ARTIST - 1)
        share = np.clip(
            self.rng.beta(self.tastes.keenness(who, artist, day), 1.0) * OVERSHOOT, 0.005, 1
        )
        heard = (self.artists.track_ms[artist, track] * share).astype(np.int64)
        self.known[who, artist] = True
        return _columns(PLAY, who, at, artist=artist, track=track, ms_played=heard, slate=slate)

    def _enjoy(self, who: Whole, row: Whole, heard: Happenings) -> None:
        """Add the shares heard of the tracks that slates led to."""
        share = heard.ms_played / self.artists.track_ms[heard.artist, heard.track]
        given = np.bincount(row, weights=share, minlength=len(who))
        self.joy[who] = MEMORY * self.joy[who] + (1 - MEMORY) * given

    def _leave(self, active: Whole) -> None:
        self.gone[active] |= self.rng.random(len(active)) < leaving(self.joy[active])

    def _follows(
        self, who: Whole, artist: Whole, at: Whole, day: int, chance: float
    ) -> list[Happenings]:
        liking = expected_share_heard(self.tastes.keenness(who, artist, day))
        wants = (self.rng.random(len(who)) < chance * liking) & ~self.follows[who, artist]
        pairs = np.unique(np.column_stack([who[wants], artist[wants]]), axis=0, return_index=True)[
            1
        ]
        chosen = np.flatnonzero(wants)[np.sort(pairs)]
        self.follows[who[chosen], artist[chosen]] = True
        return [_columns(FOLLOW, who[chosen], at[chosen], artist=artist[chosen])]

    def _unfollows(self, active: Whole, begin: Whole) -> list[Happenings]:
        chosen = np.flatnonzero(self.rng.random(len(active)) < 0.004)
        followed = [np.flatnonzero(self.follows[user]) for user in active[chosen]]
        chosen = chosen[[len(artists) > 0 for artists in followed]]
        artist = np.array(
            [self.rng.choice(artists) for artists in followed if len(artists)], dtype=np.int64
        )
        self.follows[active[chosen], artist] = False
        return [_columns(UNFOLLOW, active[chosen], begin[chosen] + HOUR_MS - 2_000, artist=artist)]

    def _signals(self, parts: list[Happenings]) -> Signals:
        happened = _in_order(
            [
                part
                for part in parts
                if len(part) and part.kind[0] in {CLICK, PLAY, FOLLOW, UNFOLLOW}
            ]
        )
        kinds = [KINDS[kind] for kind in happened.kind]
        return Signals(
            happened.user, happened.artist, happened.track, kinds, happened.ms, happened.ms_played
        )

    def _numbered(self, versions: Sequence[str]) -> Whole:
        names = np.asarray(versions, dtype=str)
        self.versions += [name for name in np.unique(names).tolist() if name not in self.versions]
        return np.array([self.versions.index(name) for name in names], dtype=np.int64)


def leaving(joy: Floats) -> Floats:
    """Chance that a user leaves for good after a day with a session, by tracks heard recently."""
    return np.asarray(
        np.minimum(LEAVING * np.exp(DISAPPOINTMENT * (CONTENT - joy)), MAX_LEAVING),
        dtype=np.float32,
    )


def _columns(kind: int, user: Whole, ms: Whole, **known: npt.NDArray[np.generic]) -> Happenings:
    absent = np.full(len(user), -1, dtype=np.int64)
    names = ("artist", "track", "ms_played", "slate", "position", "version")
    given = {name: known.get(name, absent) for name in names}
    propensity = known.get("propensity", np.full(len(user), np.nan))
    kinds = np.full(len(user), kind)
    return Happenings(kinds, user, ms, **given, propensity=propensity)  # type: ignore[arg-type]


def _in_order(parts: list[Happenings]) -> Happenings:
    parts = parts or [_columns(LOGIN, np.array([], dtype=np.int64), np.array([], dtype=np.int64))]
    joined = [
        np.concatenate([getattr(part, name) for part in parts]) for name in Happenings.__slots__
    ]
    order = np.lexsort((joined[0], joined[1], joined[2]))
    return Happenings(*(column[order] for column in joined))
