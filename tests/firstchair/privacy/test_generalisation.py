"""Exact facts made coarse, absurd ones made unknown."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair.privacy import AGE_GROUPS, age_group, genders
from firstchair.privacy.generalisation import age_on, countries, places


@pytest.mark.parametrize(
    ("age", "group"),
    [
        *[(1, "under-18"), (17, "under-18"), (18, "18-24"), (24, "18-24"), (25, "25-34"), (34, "25-34")],
        *[(35, "35-44"), (44, "35-44"), (45, "45-54"), (54, "45-54"), (55, "55-64"), (64, "55-64"), (65, "65+")],
        *[(120, "65+"), (121, "unknown"), (300, "unknown"), (0, "unknown"), (-1337, "unknown"), (None, "unknown")],
    ],
)
def test_an_age_has_its_group_and_an_absurd_one_none(age: float | None, group: str) -> None:
    assert age_group(age) == group


@given(age=st.one_of(st.none(), st.integers(), st.floats()))
def test_any_age_has_a_group_of_the_contract(age: float | None) -> None:
    assert age_group(age) in AGE_GROUPS


@given(born=st.dates(date(1900, 1, 1), date(2026, 1, 1)), years=st.integers(0, 120))
def test_the_age_grows_by_one_on_the_birthday(born: date, years: int) -> None:
    leap = (born.month, born.day) == (2, 29)
    birthday = date(born.year + years, 3, 1) if leap else born.replace(year=born.year + years)

    assert age_on(date.fromordinal(birthday.toordinal() - (2 if leap else 1)), born) == years - 1
    assert age_on(birthday, born) == years


def test_genders_are_four() -> None:
    said = pd.Series(["F", "female", " Male ", "m", "non-binary", "", None, "unknown"], dtype=object)

    assert list(genders(said)) == ["female", "female", "male", "male", "other", "unknown", "unknown", "unknown"]


def test_countries_are_iso_codes_whatever_is_said() -> None:
    said = pd.Series(["DE", "de", " Chile ", "United States", "UK", "Atlantis", "XX", "??", "", None], dtype=object)

    assert list(countries(said)) == ["DE", "DE", "CL", "US", "GB", *["unknown"] * 5]


@pytest.mark.parametrize(
    ("latitude", "longitude", "country", "state", "city"),
    [
        (48.1372, 11.5755, "DE", "Bavaria", "Munich"),
        (40.7128, -74.0060, "US", "New York", "New York City"),
        (-33.4489, -70.6693, "CL", "Santiago Metropolitan", "Santiago"),
    ],
)
def test_coordinates_on_land_have_their_place(
    latitude: float, longitude: float, country: str, state: str, city: str
) -> None:
    found = places(np.array([latitude]), np.array([longitude])).iloc[0]

    assert (found["country"], found["state"], found["city"]) == (country, state, city)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        *[(0.0, -30.0), (-45.0, -120.0), (0.0, 0.0)],
        *[(91.0, 10.0), (-91.0, 10.0), (48.1, 181.0), (48.1, -999.0)],
        *[(np.nan, np.nan), (np.nan, 36.8), (48.1, np.nan), (np.inf, 11.5), (48.1, -np.inf)],
    ],
)
def test_coordinates_at_sea_out_of_range_or_missing_have_none(latitude: float, longitude: float) -> None:
    found = places(np.array([latitude]), np.array([longitude])).iloc[0]

    assert list(found) == ["unknown"] * 3


def test_places_stay_with_their_rows() -> None:
    found = places(np.array([999.0, 48.1372, 0.0, -33.4489]), np.array([0.0, 11.5755, 0.0, -70.6693]))

    assert list(found["country"]) == ["unknown", "DE", "unknown", "CL"]
