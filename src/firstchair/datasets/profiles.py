"""Real profiles of Last.fm users (lastfm-1k), with their holes and absurd ages."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from firstchair.datasets.tables import read_tsv

PROFILES = "userid-profile.tsv"
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")
# Names of countries in the file that country-converter spells otherwise. "Netherlands Antilles" has
# had no code since 2010.
SPELLINGS = {
    "Congo, the Democratic Republic of the": "CD",
    "Cote D'Ivoire": "CI",
    "Korea, Democratic People's Republic of": "KP",
    "Macedonia": "MK",
    "Turkey": "TR",
}


class Profile(NamedTuple):
    """What a user said: age in years, gender, ISO country, signup; None where nothing."""

    user_id: str
    gender: str | None
    age: int | None
    country: str | None
    registered: datetime | None


def read_profiles(folder: Path) -> list[Profile]:
    """All rows of the profile file, in its order."""
    rows = read_tsv(folder / PROFILES, ["id", "gender", "age", "country", "registered"])
    codes = _country_codes()
    return [
        Profile(
            user_id=user_id,
            gender=gender or None,
            age=int(age) if WHOLE_NUMBER.fullmatch(age) else None,
            country=codes.get(country.casefold()),
            registered=_day(registered),
        )
        for user_id, gender, age, country, registered in rows.to_numpy(dtype=str).tolist()
    ]


def _country_codes() -> dict[str, str]:
    """ISO 3166-1 alpha-2 by casefolded short and official name; nothing is matched loosely."""
    import country_converter

    table = country_converter.CountryConverter().data
    # Two codes stand there as patterns with the assigned code first, such as ^GB$|^UK$.
    codes = table["ISO2"].str.extract("([A-Z]{2})", expand=False)
    named = {
        name.casefold(): code
        for column in ("name_official", "name_short")
        for name, code in zip(table[column], codes, strict=True)
    }
    return named | {name.casefold(): code for name, code in SPELLINGS.items()}


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%b %d, %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
