"""A day in the world: who comes, what they are shown, what they click, play and follow."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.world.policy import SLATE, make_slates
from firstchair.world.population import TRACKS_PER_ARTIST, Artists, Floats, Users, Whole

DAY_MS = 86_400_000
SESSION_MS = 3_600_000
# Chance that a position is looked at (the position-based model of clicks).
EXAMINATION = np.array([0.95, 0.8, 0.68, 0.58, 0.5, 0.44, 0.39, 0.35, 0.31, 0.28])
TASTE, POPULARITY, KNOWN = 3.2, 0.45, 2.2
CLICK_BIAS = -3.6
ORGANIC_PLAYS = 5.0
LOGIN, IMPRESSION, CLICK, PLAY, FOLLOW, UNFOLLOW = range(6)
KINDS = ("login", "impression", "click", "play", "follow", "unfollow")


@dataclass(frozen=True, slots=True)
class Happenings:
    """Events of one day as columns, in order of time; -1 or NaN where a kind has no such field.

    kind: number in `KINDS`; ms: milliseconds of the UTC day; track: 0..TRACKS_PER_ARTIST - 1 of the artist.
    """

    kind: Whole
    user: Whole
    ms: Whole
    artist: Whole
    track: Whole
    ms_played: Whole
    slate: Whole
    position: Whole
    propensity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)


class Life:
    """What users have come to know so far; each day is lived once, in order."""

    def __init__(self, users: Users, artists: Artists, rng: np.random.Generator) -> None:
        self.users, self.artists, self.rng = users, artists, rng
        self.known = np.zeros((len(users), len(artists)), dtype=bool)
        self.follows = np.zeros((len(users), len(artists)), dtype=bool)
        self.slates = 0
        self.expected_clicks = 0.0
        self.shown = 0

    def live(self, day: int) -> Happenings:
        """The events of the day `day` (0-based)."""
        users, rng = self.users, self.rng
        there = (users.first_day <= day) & (day < users.last_day)
        active = np.flatnonzero(there & (rng.random(len(users)) < users.activity))
        active = np.sort(np.concatenate([active, active[rng.random(len(active)) < 0.25]]))
        begin = rng.integers(0, DAY_MS - SESSION_MS, size=len(active))
        affinity = users.tastes[active] @ self.artists.vectors.T
        parts = [_columns(LOGIN, active, begin), *self._slates(active, begin, affinity)]
        parts += self._organic(active, begin, affinity)
        return _in_order(parts)

    def _slates(self, active: Whole, begin: Whole, affinity: Floats) -> list[Happenings]:
        noise = self.rng.standard_normal(affinity.shape, dtype=np.float32)
        view = 1.2 * affinity + 0.6 * self.artists.log_popularity + 0.8 * noise
        slates = make_slates(view, self.rng)
        session, slot = np.divmod(np.arange(slates.artists.size), SLATE)
        artist, number = slates.artists.ravel(), self.slates + session
        self.slates += len(active)
        shown = _columns(
            IMPRESSION,
            active[session],
            begin[session] + 400 + slot,
            artist=artist,
            slate=number,
            position=slot + 1,
            propensity=slates.propensities.ravel(),
        )
        appeal = 1 / (1 + np.exp(-(TASTE * affinity[session, artist] + CLICK_BIAS)))
        chance = EXAMINATION[slot] * appeal
        self.expected_clicks += float(chance.sum())
        self.shown += len(chance)
        hit = np.flatnonzero(self.rng.random(len(chance)) < chance)
        at = begin[session[hit]] + self.rng.integers(2_000, 600_000, size=len(hit))
        who, what = active[session[hit]], artist[hit]
        clicked = _columns(CLICK, who, at, artist=what, slate=number[hit], position=slot[hit] + 1)
        heard = self._plays(who, what, at + 1_500, affinity[session[hit], what], number[hit])
        return [shown, clicked, heard, *self._follows(who, what, at + 4_000, affinity[session[hit], what], 0.12)]

    def _organic(self, active: Whole, begin: Whole, affinity: Floats) -> list[Happenings]:
        pull = TASTE * affinity + POPULARITY * self.artists.log_popularity + KNOWN * self.known[active]
        share = np.cumsum(np.exp(pull - pull.max(axis=1, keepdims=True), dtype=np.float64), axis=1)
        counts = self.rng.poisson(ORGANIC_PLAYS, size=len(active))
        session = np.repeat(np.arange(len(active)), counts)
        drawn = self.rng.random(len(session)) * share[session, -1]
        artist = np.array([np.searchsorted(share[s], r) for s, r in zip(session, drawn, strict=True)], dtype=np.int64)
        artist = np.minimum(artist, len(self.artists) - 1)
        at = begin[session] + self.rng.integers(5_000, SESSION_MS - 10_000, size=len(session))
        who, liking = active[session], affinity[session, artist]
        heard = self._plays(who, artist, at, liking, np.full(len(who), -1))
        return [heard, *self._follows(who, artist, at + 3_000, liking, 0.02), *self._unfollows(active, begin)]

    def _plays(self, who: Whole, artist: Whole, at: Whole, liking: Floats, slate: Whole) -> Happenings:
        track = np.minimum(self.rng.geometric(0.5, size=len(who)) - 1, TRACKS_PER_ARTIST - 1)
        length = self.artists.track_ms[artist, track]
        keen = np.clip(1.2 + 3 * liking, 0.4, 8)
        heard = (length * np.clip(self.rng.beta(keen, 1.0) * 1.08, 0.01, 1)).astype(np.int64)
        self.known[who, artist] = True
        return _columns(PLAY, who, at, artist=artist, track=track, ms_played=heard, slate=slate)

    def _follows(self, who: Whole, artist: Whole, at: Whole, liking: Floats, chance: float) -> list[Happenings]:
        wants = (self.rng.random(len(who)) < chance * np.clip(liking, 0, 1)) & ~self.follows[who, artist]
        pairs = np.unique(np.column_stack([who[wants], artist[wants]]), axis=0, return_index=True)[1]
        chosen = np.flatnonzero(wants)[np.sort(pairs)]
        self.follows[who[chosen], artist[chosen]] = True
        return [_columns(FOLLOW, who[chosen], at[chosen], artist=artist[chosen])]

    def _unfollows(self, active: Whole, begin: Whole) -> list[Happenings]:
        who = np.unique(active[self.rng.random(len(active)) < 0.004])
        at = begin[np.searchsorted(active, who)] + SESSION_MS - 2_000
        followed = [np.flatnonzero(self.follows[user]) for user in who]
        chosen = [number for number, artists in enumerate(followed) if len(artists)]
        artist = np.array([self.rng.choice(followed[number]) for number in chosen], dtype=np.int64)
        self.follows[who[chosen], artist] = False
        return [_columns(UNFOLLOW, who[chosen], at[chosen], artist=artist)]


def _columns(kind: int, user: Whole, ms: Whole, **known: npt.NDArray[np.generic]) -> Happenings:
    absent = np.full(len(user), -1, dtype=np.int64)
    given = {name: known.get(name, absent) for name in ("artist", "track", "ms_played", "slate", "position")}
    propensity = known.get("propensity", np.full(len(user), np.nan))
    return Happenings(np.full(len(user), kind), user, ms, **given, propensity=propensity)  # type: ignore[arg-type]


def _in_order(parts: list[Happenings]) -> Happenings:
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in Happenings.__slots__]
    order = np.lexsort((joined[0], joined[1], joined[2]))
    return Happenings(*(column[order] for column in joined))
