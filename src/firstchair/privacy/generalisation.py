"""Exact facts about a person made coarse: age to age group, coordinates to city and state."""

import logging
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "unknown"
AGE_GROUPS = ("under-18", "18-24", "25-34", "35-44", "45-54", "55-64", "65+", UNKNOWN)
_LOWER_BOUNDS = (18, 25, 35, 45, 55, 65)
# Nobody under 1 or over 120 has an account; such an age says nothing.
PLAUSIBLE_AGES = (1, 120)
# A nearest place farther away than this is a ship's, or nobody's.
NEAREST_PLACE_KM = 100.0
EARTH_RADIUS_KM = 6371.0


def age_group(age: float | None) -> str:
    """The group of an age in whole years; `unknown` where it is missing or impossible.

    >>> age_group(17), age_group(18), age_group(64), age_group(65), age_group(-1337), age_group(300), age_group(None)
    ('under-18', '18-24', '55-64', '65+', 'unknown', 'unknown', 'unknown')
    """
    if age is None or not PLAUSIBLE_AGES[0] <= age <= PLAUSIBLE_AGES[1]:
        return UNKNOWN
    return AGE_GROUPS[sum(age >= bound for bound in _LOWER_BOUNDS)]


def age_on(day: date, birth_date: date) -> int:
    """Whole years from `birth_date` to `day`; who is born on 29 February has a birthday on 1 March otherwise.

    >>> age_on(date(2026, 2, 28), date(2008, 2, 29)), age_on(date(2026, 3, 1), date(2008, 2, 29))
    (17, 18)
    """
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def genders(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """`female`, `male`, `other` or `unknown` for whatever an account says."""
    said = values.fillna("").astype(str).str.strip().str.lower()
    known = {"f": "female", "female": "female", "m": "male", "male": "male", "": UNKNOWN, UNKNOWN: UNKNOWN}
    return said.map(known).fillna("other")


def countries(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """ISO 3166-1 alpha-2 codes of codes or names of countries; `unknown` where there is none such."""
    import country_converter

    logging.getLogger("country_converter").setLevel(logging.CRITICAL)
    said = values.fillna("").astype(str).str.strip()
    distinct = sorted(set(said) - {""})
    converter = country_converter.CountryConverter()
    codes = converter.pandas_convert(_series(distinct), to="ISO2", not_found=UNKNOWN) if distinct else []
    table = {name: code if isinstance(code, str) else UNKNOWN for name, code in zip(distinct, codes, strict=True)}
    return said.map(table).fillna(UNKNOWN)


def _series(values: list[str]) -> "pd.Series[Any]":
    import pandas as pd

    return pd.Series(values, dtype=object)


def places(latitudes: npt.NDArray[np.float64], longitudes: npt.NDArray[np.float64]) -> "pd.DataFrame":
    """The place of each coordinate (degrees): country, state, city; `unknown` at sea, out of range, null, or at 0, 0.

    The nearest place of GeoNames within `NEAREST_PLACE_KM`, offline.
    """
    import pandas as pd
    import reverse_geocode

    names = ("country", "state", "city")
    found = {name: np.full(len(latitudes), UNKNOWN, dtype=object) for name in names}
    sound = (np.abs(latitudes) <= 90) & (np.abs(longitudes) <= 180) & ((latitudes != 0) | (longitudes != 0))
    rows = np.flatnonzero(sound)
    if len(rows):
        nearest = reverse_geocode.search(list(zip(latitudes[rows], longitudes[rows], strict=True)))
        there = [np.array([place[axis] for place in nearest]) for axis in ("latitude", "longitude")]
        near = _kilometres(latitudes[rows], longitudes[rows], *there) <= NEAREST_PLACE_KM
        for name, key in zip(names, ("country_code", "state", "city"), strict=True):
            values = np.array([place.get(key) or UNKNOWN for place in nearest], dtype=object)
            found[name][rows[near]] = values[near]
    return pd.DataFrame(found)


def _kilometres(
    latitude: npt.NDArray[np.float64],
    longitude: npt.NDArray[np.float64],
    other_latitude: npt.NDArray[np.float64],
    other_longitude: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Great-circle distance by the haversine formula (Sinnott 1984, Sky and Telescope 68)."""
    a, b, c, d = (np.radians(x) for x in (latitude, longitude, other_latitude, other_longitude))
    chord = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(chord)))
