"""Segments of the simulated users, and when they joined."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.definitions.lifecycle import LONG_TERM, NEW, NEW_DAYS
from firstchair.definitions.segments import UNKNOWN
from firstchair.privacy.generalisation import AGE_GROUPS
from firstchair.promotion.audition.behaviour import COUNTRY, DAYS
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Codes, Segment, Values

Flags = npt.NDArray[np.bool_]

# Shares of the segments, and how much more active or more given to clicks their users are; in
# `STEADY` the shares alone count.
COUNTRY_SHARES = np.array([
    0.20, 0.16, 0.13, 0.12, 0.10, 0.08, 0.06, 0.05, 0.035, 0.025, 0.025, 0.015,
])  # fmt: skip
COUNTRY_ACTIVITY = np.array([1.1, 1.0, 0.9, 1.0, 1.2, 0.8, 1.0, 1.1, 0.7, 1.0, 1.3, 0.9])
COUNTRY_CLICKS = np.array([1.0, 0.9, 1.2, 1.0, 0.8, 1.1, 1.0, 1.3, 1.0, 0.7, 1.0, 1.2])
GENDERS = ("female", "male", "other", UNKNOWN)
GENDER_SHARES = np.array([0.46, 0.46, 0.02, 0.06])
GENDER_CLICKS = np.array([1.05, 0.97, 1.1, 0.8])
AGE_SHARES = np.array([0.05, 0.22, 0.27, 0.17, 0.11, 0.07, 0.04, 0.07])
AGE_ACTIVITY = np.array([1.2, 1.2, 1.0, 0.9, 0.85, 0.8, 0.8, 0.7])
NEW_ACTIVITY = 0.6

# In worlds that users join: shares who joined in the days before and during the stage.
JOINED_BEFORE, JOINED_DURING = 0.12, 0.03
LONG_AGO = -365


@dataclass(frozen=True, slots=True)
class Population:
    """Users who differ by segment: factors of activity and clicks with mean 1, day of joining."""

    segments: dict[str, Segment]
    activity: Values
    clicks: Values
    new: Flags
    joined: Codes


def draw_population(rng: np.random.Generator, users: int) -> Population:
    """Draw users whose behaviour depends on their segments, and who join at different times."""
    joined = np.full(users, LONG_AGO)
    when = rng.random(users)
    before, during = when < JOINED_BEFORE, when > 1 - JOINED_DURING
    joined[before] = rng.integers(-BEFORE_DAYS, 0, int(before.sum()))
    joined[during] = rng.integers(0, DAYS, int(during.sum()))
    new = joined > -NEW_DAYS
    segments = draw_segments(rng, users, new)
    country, age, gender = (segments[name].codes for name in (COUNTRY, "age_group", "gender"))
    activity = COUNTRY_ACTIVITY[country] * AGE_ACTIVITY[age] * np.where(new, NEW_ACTIVITY, 1.0)
    clicks = COUNTRY_CLICKS[country] * GENDER_CLICKS[gender]
    return Population(segments, activity / activity.mean(), clicks / clicks.mean(), new, joined)


def draw_segments(rng: np.random.Generator, users: int, new: Flags) -> dict[str, Segment]:
    """Draw country, age group and gender by their shares; lifecycle as given."""
    countries = tuple(f"country {number:02d}" for number in range(len(COUNTRY_SHARES)))
    return {
        COUNTRY: Segment(countries, _codes(rng, users, COUNTRY_SHARES)),
        "lifecycle": Segment((LONG_TERM, NEW), new.astype(np.int64)),
        "age_group": Segment(AGE_GROUPS, _codes(rng, users, AGE_SHARES)),
        "gender": Segment(GENDERS, _codes(rng, users, GENDER_SHARES)),
    }


def _codes(rng: np.random.Generator, users: int, shares: Values) -> Codes:
    return np.searchsorted(np.cumsum(shares / shares.sum())[:-1], rng.random(users), side="right")
