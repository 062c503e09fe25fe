"""The true preferences of users: clicks, plays without a slate, share of a track heard."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from firstchair.world.geography import COUNTRIES
from firstchair.world.population import AGE_BANDS, Artists, Floats, Users, Whole
from firstchair.world.scenarios import PERSONAL, Leaning, Scenario

CLICK_BIAS = -3.6
# Weights of plays without a slate.
ORGANIC_TASTE, ORGANIC_POPULARITY, ORGANIC_KNOWN, ORGANIC_LOCAL, ORGANIC_FRESH = (
    3.2,
    0.45,
    2.2,
    3.4,
    0.8,
)
# Log-weight of an artist that has not appeared yet.
UNRELEASED = -9.0
WAVE_DAYS, HITS_A_WAVE, HIT_DECAY_DAYS, FRESH_DECAY_DAYS = 3, 12, 9.0, 14.0
# Share of the hits that are new artists, if there are any.
HITS_JUST_APPEARED = 0.2
# The first wave begins this many days before the start. Waves are drawn for so many days at once,
# each time by a generator of their own, so that a longer window changes no world.
WAVES_FROM, WAVES_DRAWN_DAYS = -30, 432
OVERSHOOT = 1.08


@dataclass(frozen=True, slots=True)
class Waves:
    """Hits of some cells (countries or age bands): cell, artist, first day, strength, (n,)."""

    cell: Whole
    artist: Whole
    starts: Whole
    strength: Floats

    def on(self, day: int, cells: int, artists: int) -> Floats:
        """float32 (cells, artists): strength of each artist as a hit on the day, >= 0."""
        age = day - self.starts
        alive = (age >= 0) & (age < 6 * HIT_DECAY_DAYS)
        found = np.zeros((cells, artists), dtype=np.float32)
        now = self.strength[alive] * np.exp(-age[alive] / HIT_DECAY_DAYS)
        np.maximum.at(found, (self.cell[alive], self.artist[alive]), now.astype(np.float32))
        return found


class Tastes:
    """The true preferences of a world; never written where a pipeline reads."""

    def __init__(
        self,
        users: Users,
        artists: Artists,
        scenario: Scenario,
        change_on: int,
        rng: np.random.Generator,
        *,
        days: int,
    ) -> None:
        self.users, self.artists, self.scenario, self.change_on = (
            users,
            artists,
            scenario,
            change_on,
        )
        later_by_country, later_by_age = rng.spawn(2)
        self.by_country = _waves(len(COUNTRIES), artists, days, rng, later_by_country)
        self.by_age = _waves(AGE_BANDS, artists, days, rng, later_by_age)
        self._today = lru_cache(maxsize=2)(self._of_day)

    def leaning(self, day: int) -> Leaning:
        """The weights of the day."""
        changed = self.scenario.shifted is not None and day >= self.change_on
        return (
            self.scenario.shifted
            if changed and self.scenario.shifted is not None
            else self.scenario.leaning
        )

    def affinity(self, rows: Whole) -> Floats:
        """float32 (n, artists): inner products of taste and sound."""
        return np.asarray(self.users.tastes[rows] @ self.artists.vectors.T, dtype=np.float32)

    def pull(self, rows: Whole, day: int, affinity: Floats, known: npt.NDArray[np.bool_]) -> Floats:
        """float32 (n, artists): log-weights of plays without a slate."""
        country, age, fresh = self._today(day)
        found = (
            ORGANIC_TASTE * affinity
            + ORGANIC_POPULARITY * self.artists.log_popularity
            + ORGANIC_KNOWN * known
        )
        if self.scenario.debuts:
            found += ORGANIC_LOCAL * (
                country[self.users.country[rows]] + age[self.users.age_band[rows]]
            )
            found += ORGANIC_FRESH * np.maximum(fresh, 0) + np.where(
                fresh < 0, UNRELEASED, 0
            ).astype(np.float32)
        return np.asarray(found, dtype=np.float32)

    def appeal(self, rows: Whole, artists: Whole, day: int, shown: Floats) -> Floats:
        """Chance of a click on an examined artist: float32 like `artists`, 0..1.

        Args:
            rows: int64 (n,), users.
            artists: int64 (n, k).
            day: 0-based.
            shown: float32 (n, k), recent times shown.
        """
        how = self.leaning(day)
        country, age, fresh = self._today(day)
        who = rows[:, None]
        logit = CLICK_BIAS - how.fatigue * np.log1p(shown)
        logit += how.personal * np.einsum(
            "nf,nkf->nk", self.users.tastes[rows], self.artists.vectors[artists]
        )
        logit += np.where(how.personal, 0.0, self.users.generosity[who])
        local = country[self.users.country[who], artists] + age[self.users.age_band[who], artists]
        weight = how.local * self._sign(how, who)
        logit += weight * local
        logit -= how.put_off * np.where(weight < 0, local.sum(axis=1, keepdims=True), 0.0)
        logit += how.fresh * np.maximum(fresh[artists], 0)
        logit += np.where(self.scenario.debuts and fresh[artists] < 0, UNRELEASED, 0)
        return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float32)

    def keenness(self, rows: Whole, artists: Whole, day: int) -> Floats:
        """Parameter k of the share heard, min(1, `OVERSHOOT` Beta(k, 1)): float32 like `artists`.

        It grows with the user's taste, except for hits that are bait.

        `rows` and `artists` are of one shape, or broadcast to one.
        """
        how = self.leaning(day)
        liking = how.personal * np.einsum(
            "...f,...f->...", self.users.tastes[rows], self.artists.vectors[artists]
        )
        baited = np.float32(1)
        if self.scenario.debuts:
            country, age, fresh = self._today(day)
            local = (
                country[self.users.country[rows], artists] + age[self.users.age_band[rows], artists]
            )
            liking += how.local * self._sign(how, rows) * local + how.fresh * np.maximum(
                fresh[artists], 0
            )
            baited = np.exp(-how.bait * local)
        liking = liking / PERSONAL if how.personal else np.full_like(liking, 0.3)
        return np.asarray(np.clip(1.2 + 3 * liking, 0.4, 8) * baited, dtype=np.float32)

    def _sign(self, how: Leaning, rows: Whole) -> Floats:
        """float32 like `rows`: -1 for users in a country that dislikes local hits, else 1."""
        return np.where(np.isin(COUNTRIES, how.soured), -1, 1).astype(np.float32)[
            self.users.country[rows]
        ]

    def _of_day(self, day: int) -> tuple[Floats, Floats, Floats]:
        """Hits by country and age band, and how new each artist is (0..1, -1 before it appears)."""
        width = len(self.artists)
        if not self.scenario.debuts:
            nothing = np.zeros(width, dtype=np.float32)
            return (
                np.zeros((len(COUNTRIES), width), dtype=np.float32),
                np.zeros((AGE_BANDS, width), dtype=np.float32),
                nothing,
            )
        age = day - self.artists.debut
        fresh = np.where(age >= 0, np.exp(-np.maximum(age, 0) / FRESH_DECAY_DAYS), -1).astype(
            np.float32
        )
        return (
            self.by_country.on(day, len(COUNTRIES), width),
            self.by_age.on(day, AGE_BANDS, width),
            fresh,
        )


def expected_share_heard(keenness: Floats) -> Floats:
    """Mean of min(1, c Beta(k, 1)) with c = `OVERSHOOT`: c k / (k + 1) c^-(k + 1) + 1 - c^-k."""
    k = keenness.astype(np.float64)
    border = 1 / OVERSHOOT
    return np.asarray(OVERSHOOT * k / (k + 1) * border ** (k + 1) + 1 - border**k, dtype=np.float32)


def _waves(
    cells: int,
    artists: Artists,
    days: int,
    first: np.random.Generator,
    later: np.random.Generator,
) -> Waves:
    """Draw the hits of each cell until the last day; those after the first stretch by `later`."""
    begins = np.arange(WAVES_FROM, max(days, WAVES_FROM + 1), WAVES_DRAWN_DAYS)
    drawn = [
        _drawn(cells, artists, int(begin), rng)
        for begin, rng in zip(begins, (first, *later.spawn(len(begins) - 1)), strict=True)
    ]
    return Waves(
        np.concatenate([one.cell for one in drawn]),
        np.concatenate([one.artist for one in drawn]),
        np.concatenate([one.starts for one in drawn]),
        np.concatenate([one.strength for one in drawn]),
    )


def _drawn(cells: int, artists: Artists, begin: int, rng: np.random.Generator) -> Waves:
    """Draw new hits of each cell every `WAVE_DAYS` days, some of them new artists."""
    starts = np.arange(begin, begin + WAVES_DRAWN_DAYS, WAVE_DAYS)
    cell, start = (grid.ravel() for grid in np.meshgrid(np.arange(cells), starts, indexing="ij"))
    cell, start = np.repeat(cell, HITS_A_WAVE), np.repeat(start, HITS_A_WAVE)
    anybody = rng.integers(len(artists), size=len(cell))
    by_debut = np.argsort(artists.debut, kind="stable")
    newest = np.searchsorted(artists.debut[by_debut], start, side="right")
    fresh = by_debut[np.maximum(newest - 1 - rng.integers(12, size=len(cell)), 0)]
    just_appeared = (rng.random(len(cell)) < HITS_JUST_APPEARED) & (
        start - artists.debut[fresh] < 15
    )
    artist = np.where(just_appeared, fresh, anybody)
    released = artists.debut[artist] <= start
    strength = np.where(released, rng.uniform(0.6, 1.4, len(cell)), 0)
    return Waves(cell, artist, start, strength.astype(np.float32))
