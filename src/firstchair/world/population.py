"""Artists and users of the world: genres, eras, popularity, and hidden tastes."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from firstchair.world.geography import CITIES, COUNTRIES

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
AGE_BANDS, AGE_BAND_YEARS = 8, 12
# New artists appear within this many days of the start.
DEBUT_DAYS = 150
FIRST = (
    "Velvet",
    "Silver",
    "Paper",
    "Northern",
    "Electric",
    "Quiet",
    "Golden",
    "Hollow",
    "Crimson",
)
SECOND = (
    "Rivers",
    "Foxes",
    "Parade",
    "Engines",
    "Harbour",
    "Lanterns",
    "Choir",
    "Mirrors",
    "Satellites",
    "Orchard",
)


@dataclass(frozen=True, slots=True)
class Artists:
    """Artists and their tracks; row n is `artist-<n + 1>`.

    vectors: float32 (n, FACTORS), their sound. log_popularity: float32 (n,).
    genres: genre numbers of each. track_ms: int64 (n, TRACKS_PER_ARTIST), milliseconds.
    debut: day of the world (0-based, below 0 before it began) on which each appeared.
    """

    names: list[str]
    genres: list[tuple[int, ...]]
    vectors: Floats
    log_popularity: Floats
    first_active_on: list[date]
    followers: Whole
    track_ms: Whole
    debut: Whole

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Users:
    """Users; row n is `user-<n + 1>`.

    tastes: float32 (n, FACTORS); affinity to an artist is the inner product with its vector.
    generosity: float32 (n,), log-odds by which a user clicks more than others.
    activity: chance of a session on a day, 0..1. first_day: day of the window (0-based) on which a
    user arrives. city, country, age_band, source: numbers in `CITIES`, `COUNTRIES`,
    0..`AGE_BANDS` - 1, in `SOURCES`.
    """

    tastes: Floats
    generosity: Floats
    activity: Floats
    city: Whole
    country: Whole
    age: Whole
    age_band: Whole
    gender: list[str]
    coordinates: npt.NDArray[np.float64]
    created_on: list[date]
    first_day: Whole
    source: Whole

    def __len__(self) -> int:
        return len(self.age)


def make_artists(count: int, start: date, rng: np.random.Generator, *, debuts: float) -> Artists:
    """Artists around the centres of their genres, with popularity by Zipf's law.

    `debuts` is the share of newcomers; the other artists do not depend on it. Newcomers appear at
    even intervals, and none is more popular than the mean artist, because a star would make worlds
    differ.
    """
    centres = _genre_centres()
    primary = rng.integers(len(GENRES), size=count)
    others = [rng.choice(len(GENRES), size=rng.integers(0, 3), replace=False) for _ in range(count)]
    genres = [
        tuple(dict.fromkeys([int(first), *map(int, more)]))
        for first, more in zip(primary, others, strict=True)
    ]
    sound = np.stack([centres[list(kinds)].mean(axis=0) for kinds in genres])
    vectors = sound + 0.35 * rng.standard_normal((count, FACTORS))
    popularity = 1.0 / (1 + rng.permutation(count)) ** 0.8
    active_days, followers = (
        rng.integers(0, 21_900, size=count),
        popularity * 2e6 * rng.lognormal(0, 0.5, count),
    )
    track_ms = rng.integers(120_000, 360_000, size=(count, TRACKS_PER_ARTIST))
    newcomers = rng.permutation(count)[: round(debuts * count)]
    debut, log_popularity = -1 - active_days, np.log(popularity / popularity.mean())
    debut[newcomers] = np.arange(len(newcomers)) * DEBUT_DAYS // max(len(newcomers), 1)
    log_popularity[newcomers] = np.minimum(log_popularity[newcomers], 0)
    followers[newcomers] *= 0.01
    return Artists(
        names=[_name(number) for number in range(count)],
        genres=genres,
        vectors=vectors.astype(np.float32),
        log_popularity=log_popularity.astype(np.float32),
        first_active_on=[start + timedelta(days=int(day)) for day in debut],
        followers=np.maximum(3, followers).astype(np.int64),
        track_ms=track_ms,
        debut=debut,
    )


def make_users(count: int, days: int, start: date, rng: np.random.Generator) -> Users:
    """Users with tastes by genre, country and age; a tenth of them arrives within `days`."""
    centres = _genre_centres()
    weights = np.array([city.weight for city in CITIES])
    city = rng.choice(len(CITIES), size=count, p=weights / weights.sum())
    country = np.array([COUNTRIES.index(CITIES[number].country) for number in city], dtype=np.int64)
    age = np.clip(rng.gamma(6.0, 5.5, count) + 10, 13, 92).astype(np.int64)
    age_band = np.minimum(age // AGE_BAND_YEARS, AGE_BANDS - 1)
    lean = rng.dirichlet(np.full(len(GENRES), 0.18), size=count)
    lean += 0.5 * rng.dirichlet(np.full(len(GENRES), 0.3), size=len(COUNTRIES))[country]
    lean += 0.3 * rng.dirichlet(np.full(len(GENRES), 0.3), size=AGE_BANDS)[age_band]
    tastes = lean @ centres + 0.25 * rng.standard_normal((count, FACTORS))
    generosity, activity = 0.5 * rng.standard_normal(count), rng.lognormal(-1.3, 0.7, count)
    gender = rng.choice(3, size=count, p=(0.48, 0.49, 0.03))
    coordinates = np.array([[CITIES[c].latitude, CITIES[c].longitude] for c in city]) + rng.normal(
        0, 0.03, (count, 2)
    )
    source, tenure = (
        rng.choice(len(SOURCES), size=count, p=SOURCE_SHARES),
        rng.integers(1, 730, count),
    )
    is_new, arrives = rng.random(count) < NEW_USER_SHARE, rng.random(count)
    first_day = np.where(is_new, (arrives * days).astype(np.int64), 0)
    return Users(
        tastes=tastes.astype(np.float32),
        generosity=generosity.astype(np.float32),
        activity=np.clip(activity, 0.02, 0.95).astype(np.float32),
        city=city,
        country=country,
        age=age,
        age_band=age_band,
        gender=[("female", "male", "other")[number] for number in gender],
        coordinates=coordinates,
        created_on=[
            start + timedelta(days=int(day)) if new else start - timedelta(days=int(before))
            for day, new, before in zip(first_day, is_new, tenure, strict=True)
        ],
        first_day=first_day,
        source=source,
    )


def _genre_centres() -> npt.NDArray[np.float64]:
    """The sound of each genre as a unit vector; the same for every seed."""
    centres = np.random.default_rng(len(GENRES)).standard_normal((len(GENRES), FACTORS))
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


def _name(number: int) -> str:
    pair = f"{FIRST[number % len(FIRST)]} {SECOND[number // len(FIRST) % len(SECOND)]}"
    turn = number // (len(FIRST) * len(SECOND))
    return pair if turn == 0 else f"{pair} {turn + 1}"
