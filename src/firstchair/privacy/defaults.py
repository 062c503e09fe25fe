"""Values that a source holds where nobody gave any, such as 1970-01-01 or a country's centre.

Such a value is held by far more accounts than chance allows. What chance allows is read from the
source itself and from the population of places, never from a list of suspects:

* a date of birth: ten times the median of the same day in those of the ten years before and after
  that occur in the source, or of the days of the month before and after if that is more, so that
  neither a source that knows years alone and writes 1 January is touched, nor one whose users are
  of nearly one age;
* a pair of coordinates: ten times the share that the people within 25 km have of the country, so
  that a source that knows cities alone is not touched;
* an instant of creation: ten times the median of all instants.

A value of under 20 accounts is never judged, nor a column of under 100 distinct values. No value
leaves this module but to be compared: a rare one could be a person's.
"""

from calendar import isleap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import sqlalchemy as sa

from firstchair.mappings import TableMapping
from firstchair.privacy.gazetteer import Floats, gazetteer
from firstchair.privacy.generalisation import NEAREST_PLACE_KM, on_the_map
from firstchair.sources import accounts, value_counts

LEAST_ACCOUNTS = 20
LEAST_DISTINCT = 100
TIMES_CHANCE = 10
NEIGHBOUR_YEARS = 10
NEIGHBOUR_DAYS = 30
AROUND_KM = 25.0


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values taken for defaults, and how many accounts hold one, by column.

    coordinates: pairs of latitude and longitude in degrees.
    accounts: account rows by `coordinates`, `birth_date`, `created_at`.
    """

    coordinates: frozenset[tuple[float, float]]
    birth_dates: frozenset[date]
    accounts: dict[str, int]


def find_defaults(url: sa.URL, mapping: TableMapping | None = None) -> Defaults:
    """Look for default values in the account table.

    Raises:
        SourceError: The account table cannot be read.
    """
    pairs = value_counts(url, accounts.USERS, "latitude", "longitude", mapping=mapping)
    pairs = pairs.apply(pd.to_numeric, errors="coerce").dropna()
    born = value_counts(url, accounts.USERS, "birth_date", mapping=mapping).dropna()
    created = value_counts(url, accounts.USERS, "created_at", mapping=mapping).dropna()
    columns = {
        "coordinates": (pairs, _default_pairs(pairs)),
        "birth_date": (born, _default_dates(born)),
        "created_at": (created, _above_chance(created, created["rows"].median())),
    }
    found = {name: values[default] for name, (values, default) in columns.items()}
    located = found["coordinates"]
    return Defaults(
        coordinates=frozenset(zip(located["latitude"], located["longitude"], strict=True)),
        birth_dates=frozenset(found["birth_date"]["birth_date"]),
        accounts={name: int(values["rows"].sum()) for name, values in found.items()},
    )


def _above_chance(values: pd.DataFrame, chance: "pd.Series[float] | float") -> "pd.Series[bool]":
    """Whether each value is held by far more accounts than the number that chance allows."""
    held = values["rows"]
    judged = (held >= LEAST_ACCOUNTS) & (len(values) >= LEAST_DISTINCT)
    return judged & (held > TIMES_CHANCE * chance)


def _default_dates(born: pd.DataFrame) -> "pd.Series[bool]":
    held = dict(zip(born["birth_date"], born["rows"], strict=True))
    years = {day.year for day in held}
    chance = [
        max(_same_day_nearby(day, held, years), _days_nearby(day, held))
        if rows >= LEAST_ACCOUNTS
        else 0.0
        for day, rows in held.items()
    ]
    return _above_chance(born, pd.Series(chance, index=born.index, dtype=float))


def _days_nearby(day: date, held: Mapping[date, int]) -> float:
    """Median number of accounts that were born on each of the days around it."""
    number = day.toordinal()
    first = max(date.min.toordinal(), number - NEIGHBOUR_DAYS)
    last = min(date.max.toordinal(), number + NEIGHBOUR_DAYS)
    around = (date.fromordinal(near) for near in range(first, last + 1) if near != number)
    return float(np.median([held.get(near, 0) for near in around]))


def _same_day_nearby(day: date, held: Mapping[date, int], known: Collection[int]) -> float:
    """Median number born on that day in those years around it that are known; 0 without any."""
    around = range(day.year - NEIGHBOUR_YEARS, day.year + NEIGHBOUR_YEARS + 1)
    leap_day = (day.month, day.day) == (2, 29)
    years = [year for year in around if year in known and (isleap(year) or not leap_day)]
    near = [held.get(day.replace(year=year), 0) for year in years if year != day.year]
    return float(np.median(near)) if near else 0.0


def _default_pairs(pairs: pd.DataFrame) -> "pd.Series[bool]":
    """By the people around each pair; where no place is near, chance allows none."""
    known = gazetteer()
    sound = on_the_map(pairs["latitude"].to_numpy(), pairs["longitude"].to_numpy())
    located = pairs[sound]
    place = known.nearest(*_axes(located), within_km=NEAREST_PLACE_KM)
    located = located.assign(country=known.country[place])[place >= 0]
    common = located[located["rows"] >= LEAST_ACCOUNTS]
    people = pd.Series(known.population).groupby(known.country).sum()
    around = known.people_around(*_axes(common), within_km=AROUND_KM)
    of_country = located.groupby("country")["rows"].sum()
    chance = around / common["country"].map(people) * common["country"].map(of_country)
    return _above_chance(pairs, chance.reindex(pairs.index, fill_value=0.0))


def _axes(pairs: pd.DataFrame) -> tuple[Floats, Floats]:
    return pairs["latitude"].to_numpy(dtype=float), pairs["longitude"].to_numpy(dtype=float)
