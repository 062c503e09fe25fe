"""Real profiles of Last.fm users (lastfm-1k), with their holes and absurd ages."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from firstchair.datasets.tables import read_tsv

PROFILES = "userid-profile.tsv"


class Profile(NamedTuple):
    """What a user said: age in years, gender, ISO country, signup; None where nothing."""

    user_id: str
    gender: str | None
    age: int | None
    country: str | None
    registered: datetime | None


def read_profiles(folder: Path) -> list[Profile]:
    """All rows of the profile file, in its order."""
    import country_converter

    logging.getLogger("country_converter").setLevel(logging.CRITICAL)
    rows = read_tsv(folder / PROFILES, ["id", "gender", "age", "country", "registered"])
    names = sorted(set(rows["country"]) - {""})
    codes = country_converter.CountryConverter().convert(names, to="ISO2", not_found=None) if names else []
    table = {
        n: c for n, c in zip(names, codes if isinstance(codes, list) else [codes], strict=True) if len(str(c)) == 2
    }
    return [
        Profile(
            user_id=user_id,
            gender=gender or None,
            age=int(age) if age.lstrip("-").isdigit() else None,
            country=table.get(country),
            registered=_day(registered),
        )
        for user_id, gender, age, country, registered in rows.to_numpy(dtype=str).tolist()
    ]


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%b %d, %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
