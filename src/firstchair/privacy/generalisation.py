"""Exact facts about a person made coarse: age to age group, coordinates to city and state."""

import unicodedata
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstchair.privacy.gazetteer import Floats, gazetteer

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "unknown"
AGE_GROUPS = ("under-18", "18-24", "25-34", "35-44", "45-54", "55-64", "65+", UNKNOWN)
_LOWER_BOUNDS = (18, 25, 35, 45, 55, 65)
# Nobody under 1 or over 120 has an account; such an age says nothing.
PLAUSIBLE_AGES = (1, 120)
# Coordinates whose nearest place is farther away than this lie at sea, or nowhere.
NEAREST_PLACE_KM = 100.0
PLACE = ("country", "state", "city")
# Codes in use that ISO 3166-1 does not assign, read as the one that is: the European Union writes
# EL and UK. Kosovo's XK, user-assigned, is the code of GeoNames too and stays as it is.
EXCEPTIONAL_CODES = {"EL": "GR", "UK": "GB"}

# Words for a gender in the languages most spoken by listeners; they are compared as `_folded`.
_FEMALE = """
    f, female, woman, girl, feminine, w, weiblich, frau, femme, féminin, féminine, mujer, femenino,
    femenina, mulher, feminino, feminina, donna, femmina, femminile, vrouw, vrouwelijk, kvinna,
    kvinnlig, kvinde, kvindelig, kvinne, kvinnelig, nainen, kobieta, žena, femeie, γυναίκα,
    женщина, женский, жен, ж, жінка, жіноча, kadın, kadin, perempuan, wanita, หญิง,
    女, 女性, 여, 여성, 여자, महिला, स्त्री, أنثى, امرأة, נקבה, אישה
"""
_MALE = """
    m, male, man, boy, masculine, männlich, mann, homme, masculin, hombre, masculino, homem, uomo,
    maschio, maschile, mannelijk, manlig, mand, mandlig, mannlig, mies, mężczyzna, muž, férfi,
    bărbat, άνδρας, мужчина, мужской, муж, м, чоловік, чоловіча, erkek, laki-laki, pria, ชาย,
    男, 男性, 남, 남성, 남자, पुरुष, ذكر, رجل, זכר, גבר
"""
# What forms and exports write where nobody gave an answer.
_NO_ANSWER = """
    u, unk, unknown, undefined, undisclosed, undetermined, unspecified, n/a, none, null, nil, nan,
    missing, blank, empty, default, not applicable, not available, not answered, not disclosed,
    not given, not known, not provided, not reported, not said, not set, not specified, not stated,
    no answer, no response, no data, prefer not to answer, prefer not to disclose,
    prefer not to respond, prefer not to say, prefer not to share, prefer not to specify,
    rather not say, would rather not say, do not wish to say, decline, declined, decline to answer,
    decline to say, decline to state, refused, hidden, private, secret, confidential,
    unbekannt, keine Angabe, k. A., nicht angegeben, möchte ich nicht sagen, inconnu, non précisé,
    non renseigné, non spécifié, je préfère ne pas le dire, desconocido, no especificado,
    no informado, prefiero no decirlo, prefiero no decir, desconhecido, não informado,
    não especificado, prefiro não dizer, sconosciuto, non specificato, preferisco non dirlo,
    onbekend, niet opgegeven, zeg ik liever niet, okänd, vill inte säga, ukendt, ukjent, tuntematon,
    nieznana, nieznany, nie podano, neznámé, неизвестно, не указан, не указано, невідомо,
    bilinmiyor, belirtilmemiş, belirtmek istemiyorum,
    tidak diketahui, 未知, 保密, 不明, 無回答, 回答しない, 모름,
    غير معروف, غير محدد, अज्ञात
"""


def age_group(age: float | None) -> str:
    """The group of an age in whole years; `unknown` where it is missing or impossible.

    >>> [age_group(age) for age in (17, 18, 64, 65, -1337, 300, None)]
    ['under-18', '18-24', '55-64', '65+', 'unknown', 'unknown', 'unknown']
    """
    if age is None or not PLAUSIBLE_AGES[0] <= age <= PLAUSIBLE_AGES[1]:
        return UNKNOWN
    return AGE_GROUPS[sum(age >= bound for bound in _LOWER_BOUNDS)]


def age_on(day: date, birth_date: date) -> int:
    """Whole years from `birth_date` to `day`; 29 February counts as 1 March in common years.

    >>> age_on(date(2026, 2, 28), date(2008, 2, 29)), age_on(date(2026, 3, 1), date(2008, 2, 29))
    (17, 18)
    """
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def genders(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """`female`, `male`, `other` or `unknown` for whatever an account says.

    Words of common languages count, in any case, spelling of accents and punctuation. A text
    without a letter says nothing; what code a digit stands for differs between sources. Every other
    text is `other`.

    >>> import pandas as pd
    >>> list(genders(pd.Series(["F", "Männlich", "non-binary", "Prefer not to say", "N/A", "1"])))
    ['female', 'male', 'other', 'unknown', 'unknown', 'unknown']
    """
    said = values.fillna("").astype(str)
    known = _gender_words()
    # A set and a function: pandas 2.3.3 takes "a" and "a\0" for one text in `unique`.
    gender = {text: known.get(_folded(text), "other") for text in set(said)}
    return said.map(gender.__getitem__)


@cache
def _gender_words() -> dict[str, str]:
    """Gender by folded word."""
    words = {"female": _FEMALE, "male": _MALE, UNKNOWN: _NO_ANSWER}
    return {
        "": UNKNOWN,
        **{_folded(word): gender for gender, text in words.items() for word in text.split(",")},
    }


def _folded(text: str) -> str:
    """The letters of a text, without case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if letter.isalpha())


def countries(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """ISO 3166-1 alpha-2 codes, in any case; `unknown` for everything else, names included.

    Free text is not matched: "Lebanon, Pennsylvania" names no country. `EXCEPTIONAL_CODES` are
    mapped, and Kosovo's XK is kept.
    """
    said = values.fillna("").astype(str).str.strip().str.upper().replace(EXCEPTIONAL_CODES)
    return said.where(said.isin(country_codes()), UNKNOWN)


@cache
def country_codes() -> frozenset[str]:
    """All assigned codes of ISO 3166-1 alpha-2, and XK."""
    import country_converter

    table = country_converter.CountryConverter().data
    # Two of the 250 stand there as patterns with the assigned code first, such as ^GB$|^UK$.
    return frozenset(table["ISO2"].str.extract("([A-Z]{2})", expand=False))


def places(latitudes: Floats, longitudes: Floats) -> "pd.DataFrame":
    """Find the country, state and city of coordinates: those of the nearest place of GeoNames.

    Args:
        latitudes: Degrees north, shape (n,); any float.
        longitudes: Degrees east, shape (n,); any float.

    Returns:
        One row a point, columns country (ISO 3166-1 alpha-2 or XK), state, city. All `unknown`
        where no place lies within `NEAREST_PLACE_KM`, and for coordinates that are out of range,
        null, or 0, 0; a state also where GeoNames has none.
    """
    import pandas as pd

    found = {name: np.full(len(latitudes), UNKNOWN, dtype=object) for name in PLACE}
    rows = np.flatnonzero(on_the_map(latitudes, longitudes))
    if len(rows):
        known = gazetteer()
        nearest = known.nearest(latitudes[rows], longitudes[rows], within_km=NEAREST_PLACE_KM)
        rows, nearest = rows[nearest >= 0], nearest[nearest >= 0]
        for name, values in zip(PLACE, (known.country, known.state, known.city), strict=True):
            found[name][rows] = values[nearest]
    return pd.DataFrame(found).fillna(UNKNOWN)


def on_the_map(north: Floats, east: Floats) -> npt.NDArray[np.bool_]:
    """Tell degrees in range from others; 0, 0 counts as missing."""
    in_range = (np.abs(north) <= 90) & (np.abs(east) <= 180)
    return np.asarray(in_range & ((north != 0) | (east != 0)), dtype=np.bool_)
