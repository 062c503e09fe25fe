"""Who lives in the world: artists with genres, eras and popularity; users with tastes that nobody else sees."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from firstchair.world.geography import CITIES

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

GENRES = (
    *("rock", "pop", "hip hop", "electronic", "jazz", "classical", "metal", "folk"),
    *("country", "reggae", "latin", "soul", "blues", "ambient", "punk", "k-pop"),
)
FACTORS = 12
TRACKS_PER_ARTIST = 4
SOURCES = ("android", "ios", "tv", "web")
SOURCE_SHARES = (0.4, 0.3, 0.08, 0.22)
NEW_USER_SHARE = 0.10
CHURNING_SHARE = 0.25
FIRST = ("Velvet", "Silver", "Paper", "Northern", "Electric", "Quiet", "Golden", "Hollow", "Crimson")
SECOND = ("Rivers", "Foxes", "Parade", "Engines", "Harbour", "Lanterns", "Choir", "Mirrors", "Satellites", "Orchard")


@dataclass(frozen=True, slots=True)
class Artists:
    """Artists and their tracks; row n is `artist-<n + 1>`.

    vectors: float32 (n, FACTORS), what they sound like. log_popularity: float32 (n,).
    genres: genre numbers of each. track_ms: int64 (n, TRACKS_PER_ARTIST), milliseconds.
    """

    names: list[str]
    genres: list[tuple[int, ...]]
    vectors: Floats
    log_popularity: Floats
    first_active_on: list[date]
    followers: Whole
    track_ms: Whole

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Users:
    """Users; row n is `user-<n + 1>`.

    tastes: float32 (n, FACTORS); affinity to an artist is the inner product with his vector.
    activity: chance of a session on a day, 0..1. first_day, last_day: days of the window (0-based) on which
    he can be there; source: number in `SOURCES`.
    """

    tastes: Floats
    activity: Floats
    city: Whole
    age: Whole
    gender: list[str]
    coordinates: npt.NDArray[np.float64]
    created_on: list[date]
    first_day: Whole
    last_day: Whole
    source: Whole

    def __len__(self) -> int:
        return len(self.age)


def make_artists(count: int, rng: np.random.Generator) -> Artists:
    """Artists around the centres of their genres, with popularity by Zipf's law."""
    centres = _genre_centres()
    primary = rng.integers(len(GENRES), size=count)
    others = [rng.choice(len(GENRES), size=rng.integers(0, 3), replace=False) for _ in range(count)]
    genres = [tuple(dict.fromkeys([int(first), *map(int, more)])) for first, more in zip(primary, others, strict=True)]
    sound = np.stack([centres[list(kinds)].mean(axis=0) for kinds in genres])
    vectors = sound + 0.35 * rng.standard_normal((count, FACTORS))
    popularity = 1.0 / (1 + rng.permutation(count)) ** 0.8
    start = date(1965, 1, 1)
    return Artists(
        names=[_name(number) for number in range(count)],
        genres=genres,
        vectors=vectors.astype(np.float32),
        log_popularity=np.log(popularity / popularity.mean()).astype(np.float32),
        first_active_on=[start + timedelta(days=int(days)) for days in rng.integers(0, 21_900, size=count)],
        followers=np.maximum(3, popularity * 2e6 * rng.lognormal(0, 0.5, count)).astype(np.int64),
        track_ms=rng.integers(120_000, 360_000, size=(count, TRACKS_PER_ARTIST)),
    )


def make_users(count: int, days: int, start: date, rng: np.random.Generator) -> Users:
    """Users whose tastes lean to a few genres, to their country's and to their age's."""
    centres = _genre_centres()
    weights = np.array([city.weight for city in CITIES])
    city = rng.choice(len(CITIES), size=count, p=weights / weights.sum())
    age = np.clip(rng.gamma(6.0, 5.5, count) + 10, 13, 92).astype(np.int64)
    lean = rng.dirichlet(np.full(len(GENRES), 0.18), size=count)
    countries = sorted({c.country for c in CITIES})
    local = rng.dirichlet(np.full(len(GENRES), 0.3), size=len(countries))
    lean += 0.5 * local[[countries.index(CITIES[number].country) for number in city]]
    lean += 0.3 * rng.dirichlet(np.full(len(GENRES), 0.3), size=8)[np.minimum(age // 12, 7)]
    tastes = lean @ centres + 0.25 * rng.standard_normal((count, FACTORS))
    is_new = rng.random(count) < NEW_USER_SHARE
    first_day = np.where(is_new, rng.integers(0, days, count), 0)
    tenure = rng.integers(1, 730, count)
    churns = rng.random(count) < CHURNING_SHARE
    last_day = np.where(churns, first_day + rng.integers(1, days + 1, count), days)
    return Users(
        tastes=tastes.astype(np.float32),
        activity=np.clip(rng.lognormal(-1.3, 0.7, count), 0.02, 0.95).astype(np.float32),
        city=city,
        age=age,
        gender=[("female", "male", "other")[number] for number in rng.choice(3, size=count, p=(0.48, 0.49, 0.03))],
        coordinates=np.array([[CITIES[c].latitude, CITIES[c].longitude] for c in city])
        + rng.normal(0, 0.03, (count, 2)),
        created_on=[
            start + timedelta(days=int(day)) if new else start - timedelta(days=int(before))
            for day, new, before in zip(first_day, is_new, tenure, strict=True)
        ],
        first_day=first_day,
        last_day=last_day,
        source=rng.choice(len(SOURCES), size=count, p=SOURCE_SHARES),
    )


def _genre_centres() -> npt.NDArray[np.float64]:
    """Unit vectors, the same in every world: what a genre sounds like does not depend on the seed."""
    centres = np.random.default_rng(len(GENRES)).standard_normal((len(GENRES), FACTORS))
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


def _name(number: int) -> str:
    pair = f"{FIRST[number % len(FIRST)]} {SECOND[number // len(FIRST) % len(SECOND)]}"
    turn = number // (len(FIRST) * len(SECOND))
    return pair if turn == 0 else f"{pair} {turn + 1}"
