"""Worlds of the audition: three sets of assumptions, so that no rule is tuned to one of them.

- `STEADY`: days are independent except for taste.
- `BURSTY`: users come and go in spells of activity.
- `HEAVY_TAILED`: few users have most of the impressions, and some days lose records.

In each, an impression is clicked with a chance of about 6 %, and a user is active on a fifth to a
third of the days.
"""

import numpy as np

from firstchair.promotion.audition.behaviour import (
    ALL_DAYS,
    DAYS,
    Behaviour,
    Floats,
    World,
    cells_of,
    offsets_of,
)
from firstchair.promotion.audition.population import (
    Flags,
    Population,
    draw_population,
    draw_segments,
)
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Codes, Values

TRACK_MS = 200_000.0
SLATE = 10
MOST_CHANCE = 0.9

# STEADY: share of new users, and taste that drifts as an AR(1) in the logarithm.
NEW_SHARE = 0.25
DRIFT, DRIFT_SD = 0.85, 0.45
# The gap before a user's first active day: no taste is carried over it.
FIRST_GAP = ALL_DAYS

# BURSTY: medians of the days of a spell of activity and of a break, and the least of both; chance
# of activity on a day of a break.
SPELL_DAYS, BREAK_DAYS, LEAST_DAYS = 3.0, 3.5, 2.0
BETWEEN = 0.03
# Daily hazard of leaving for good.
LEAVE, LEAVE_NEW = 0.0008, 0.004
# Taste takes a step of a random walk every third day.
TASTE_DAYS, TASTE_SD = 3, 0.12

# HEAVY_TAILED: Pareto tail of the impressions a user sees on an active day, and of how many a
# programmatic reader sees.
TAIL, SMALLEST = 1.7, 12.0
MOST_SEEN = 30.0
READERS, READS = 0.001, 100.0
NEVER_CLICKS = 0.06
SHOCK_SD = 0.4
LOST_DAYS, MOST_LOST = 3, 0.6


def _steady(rng: np.random.Generator, users: int) -> Behaviour:
    """Draw users whose days are independent of each other, except for a drifting taste.

    Activity Beta(.9, 1.7), slates 1 + Poisson(.6 lognormal) of ten, click rate Beta(1.6, 25) with
    an AR(1) drift, a weekly season, listen-through N(.60, .12); segments say nothing.
    """
    activity = rng.beta(0.9, 1.7, users)
    slates = 0.6 * rng.lognormal(0.0, 0.75, users)
    rate = rng.beta(1.6, 25, users)
    season = 1 + 0.1 * np.sin(2 * np.pi * np.arange(ALL_DAYS) / 7)
    day, user, _ = cells_of(_active(rng, season, activity))
    drift = np.exp(_drift(rng, day, user, users) - np.float32(DRIFT_SD**2 / 2))
    return Behaviour(
        segments=draw_segments(rng, users, rng.random(users) < NEW_SHARE),
        volume=activity * (1 + slates),
        rate=rate,
        depth=np.clip(rng.normal(0.60, 0.12, users), 0.05, 0.98),
        track_ms=np.full(users, TRACK_MS),
        day=day,
        user=user,
        impressions=SLATE * (1 + rng.poisson(slates.astype(np.float32)[user])),
        chance=_chance(rate, user, drift),
    )


def _drift(rng: np.random.Generator, day: Codes, user: Codes, users: int) -> Floats:
    """Draw the AR(1) of each user on their active days alone, float32 (n_cells,).

    Over a gap of g days it keeps DRIFT^g of its value, and its variance stays what it is.
    """
    kept = (DRIFT ** np.arange(FIRST_GAP + 1)).astype(np.float32)
    kept[FIRST_GAP] = 0
    renewed = np.float32(DRIFT_SD) * np.sqrt(1 - kept**2)
    found = rng.standard_normal(len(user), dtype=np.float32)
    state, last = np.zeros(users, dtype=np.float32), np.full(users, -FIRST_GAP)
    offsets = offsets_of(day)
    for number in range(ALL_DAYS):
        here = slice(offsets[number], offsets[number + 1])
        who = user[here]
        gap = np.minimum(number - last[who], FIRST_GAP)
        found[here] = kept[gap] * state[who] + renewed[gap] * found[here]
        state[who], last[who] = found[here], number
    return found


def _partly_heard(rng: np.random.Generator, plays: Floats, depth: Floats) -> Floats:
    """The expected share plus an error that shrinks with the number of plays."""
    error = rng.standard_normal(len(plays), dtype=np.float32) * np.float32(0.25)
    return np.clip(depth + error / np.sqrt(plays), 0, 1)


def _bursty(rng: np.random.Generator, users: int) -> Behaviour:
    """Draw users who are active in spells, join, leave for good, and slowly change their taste.

    A two-state Markov chain with rates of each user, lognormal; a habit of the weekend; click rate
    lognormal with a random walk in the logarithm; slates geometric.
    """
    population = draw_population(rng, users)
    active = _spells(rng, population)
    active &= _present(rng, population)
    day, user, place = cells_of(active)
    rate = np.minimum(0.047 * population.clicks * rng.lognormal(0.0, 0.65, users), 0.5)
    slates = 0.8 * population.activity * rng.lognormal(-0.18, 0.6, users)
    step = place + (day // TASTE_DAYS - day) * users
    taste = rng.standard_normal((-(-ALL_DAYS // TASTE_DAYS), users), dtype=np.float32)
    np.cumsum(TASTE_SD * taste, axis=0, out=taste)
    taste -= np.float32(TASTE_SD**2 / 2) * np.arange(1, len(taste) + 1, dtype=np.float32)[:, None]
    more = rng.standard_exponential(len(user), dtype=np.float32) * slates.astype(np.float32)[user]
    return Behaviour(
        segments=population.segments,
        volume=np.bincount(user, minlength=users) * (1 + slates),
        rate=rate,
        depth=rng.beta(9, 6, users),
        track_ms=TRACK_MS * rng.lognormal(-0.02, 0.2, users),
        day=day,
        user=user,
        impressions=SLATE * (1 + more.astype(np.int64)),
        chance=_chance(rate, user, np.exp(taste.ravel()[step])),
    )


def _spells(rng: np.random.Generator, population: Population) -> Flags:
    """Draw the days of activity, bool (ALL_DAYS, n_users)."""
    users = len(population.activity)
    spell = SPELL_DAYS * rng.lognormal(0.0, 0.5, users)
    pause = BREAK_DAYS / population.activity * rng.lognormal(0.0, 1.3, users)
    end, begin = (1 / np.maximum(LEAST_DAYS, days) for days in (spell, pause))
    often, habit = rng.beta(3, 1, users), np.exp(rng.normal(0.0, 0.3, users))
    weekday = np.minimum(often * habit**-0.4, 0.98).astype(np.float32)
    weekend = np.minimum(often * habit, 0.98).astype(np.float32)
    in_spell = rng.random(users) < begin / (begin + end)
    turn, come = (rng.random((ALL_DAYS, users), dtype=np.float32) for _ in range(2))
    active = np.empty((ALL_DAYS, users), dtype=np.bool_)
    begin, end = begin.astype(np.float32), end.astype(np.float32)
    for day in range(ALL_DAYS):
        # A user who joins begins with a spell of activity.
        in_spell |= population.joined == day - BEFORE_DAYS
        chance = np.where(in_spell, weekend if day % 7 in (5, 6) else weekday, np.float32(BETWEEN))
        active[day] = come[day] < chance
        in_spell ^= turn[day] < np.where(in_spell, end, begin)
    return active


def _present(rng: np.random.Generator, population: Population) -> Flags:
    """Days from joining to leaving for good, bool (ALL_DAYS, n_users)."""
    hazard = np.where(population.new, LEAVE_NEW, LEAVE)
    stays = rng.standard_exponential(len(hazard)) / hazard
    left = np.maximum(population.joined, -BEFORE_DAYS) + 1 + stays
    days = np.arange(-BEFORE_DAYS, DAYS)[:, None]
    return (days >= population.joined) & (days < left)


def _all_or_little(rng: np.random.Generator, plays: Floats, depth: Floats) -> Floats:
    """Draw shares heard: each track is heard to its end, or a third of it."""
    little = np.float32(1 / 3)
    ends = np.clip((depth - little) / (1 - little), 0, 1)
    return (
        little
        + (1 - little) * rng.binomial(plays.astype(np.int64), ends).astype(np.float32) / plays
    )


def _heavy_tailed(rng: np.random.Generator, users: int) -> Behaviour:
    """Draw users of whom few see most impressions; days are independent, some lose records.

    Activity Beta(.8, 2.5), impressions Pareto by user times exponential by day, one user in a
    thousand with a hundred times as many; some never click, the others Beta(1.8, 24), less the more
    they see; a lognormal shock of each day.
    """
    population = draw_population(rng, users)
    activity = np.minimum(rng.beta(0.8, 2.5, users) * population.activity, 0.97)
    seen = SMALLEST * (1 + rng.pareto(TAIL, users))
    clicks = population.clicks * (seen / SMALLEST) ** -0.2 * (rng.random(users) >= NEVER_CLICKS)
    seen = np.minimum(seen, MOST_SEEN * SMALLEST)
    seen[rng.random(users) < READERS] = READS * seen.mean()
    rate = np.minimum(1.06 * rng.beta(1.8, 24, users) * clicks, 0.6)
    days = np.arange(-BEFORE_DAYS, DAYS)[:, None]
    weekend = 1 + 0.15 * np.isin(np.arange(ALL_DAYS) % 7, (5, 6))
    kept = weekend * np.exp(rng.normal(0, 0.06, ALL_DAYS)) * (1 - _lost(rng))
    active = _active(rng, kept, activity)
    active &= days >= population.joined
    day, user, _ = cells_of(active)
    shock = rng.standard_normal(len(user), dtype=np.float32) * np.float32(SHOCK_SD)
    shown = rng.standard_exponential(len(user), dtype=np.float32) * seen.astype(np.float32)[user]
    return Behaviour(
        segments=population.segments,
        volume=activity * seen,
        rate=rate,
        depth=rng.beta(9, 6, users),
        track_ms=TRACK_MS * rng.lognormal(-0.02, 0.2, users),
        day=day,
        user=user,
        impressions=1 + shown.astype(np.int64),
        chance=_chance(rate, user, np.exp(shock - np.float32(SHOCK_SD**2 / 2))),
    )


def _active(rng: np.random.Generator, of_day: Values, of_user: Values) -> Flags:
    """Draw activity with the product of both chances, bool (ALL_DAYS, n_users)."""
    chance = of_user.astype(np.float32)
    return np.array(
        [
            rng.random(len(chance), dtype=np.float32) < factor * chance
            for factor in of_day.astype(np.float32)
        ]
    )


def _chance(rate: Values, user: Codes, factor: Floats) -> Floats:
    """Chance of a click of each cell: the user's rate times a factor of the day."""
    found: Floats = rate.astype(np.float32)[user] * factor
    return np.minimum(found, np.float32(MOST_CHANCE))


def _lost(rng: np.random.Generator) -> Values:
    """Share of the records of each day that is lost in both arms; all on one day of the stage."""
    lost = np.zeros(ALL_DAYS)
    lost[rng.choice(ALL_DAYS, LOST_DAYS, replace=False)] = rng.uniform(0.2, MOST_LOST, LOST_DAYS)
    lost[BEFORE_DAYS + rng.integers(1, DAYS)] = 1
    return lost


STEADY = World(
    "steady",
    "days independent but for a taste that drifts; segments say nothing",
    _steady,
    _partly_heard,
)
BURSTY = World(
    "bursty",
    "spells of activity, habits of the weekend, users who join and leave, taste a random walk",
    _bursty,
    _all_or_little,
)
HEAVY_TAILED = World(
    "heavy_tailed",
    "few users with most impressions, users who join, independent days, days of lost records",
    _heavy_tailed,
    _all_or_little,
)
WORLDS = {world.name: world for world in (STEADY, BURSTY, HEAVY_TAILED)}
