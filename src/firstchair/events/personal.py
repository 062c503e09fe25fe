"""What identifies a person: names of fields in any spelling, and shapes of values."""

import re
import unicodedata
from functools import lru_cache
from ipaddress import ip_address

MASK = "***"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A name is personal where one of its words is, or where it is one of `NAMES` once its words are
# joined and the words that only say whose it is are left out.
WORDS = _set(
    "age ages dob birth birthday birthdate birthdays born bday sex gender pronoun pronouns "
    "email emails mail ip ips ipv4 ipv6 lat latitude lon lng longitude latlng latlon "
    "coord coords coordinate coordinates geo geohash geolocation gps location locations "
    "phone phones telephone tel msisdn fax address addresses addr street zip zipcode "
    "postcode postal ssn passport surname forename firstname lastname fullname username "
    "nickname"
)
OWNERS = _set(
    "user users client customer member listener subscriber account owner person people profile "
    "contact viewer visitor guest home work remote device request sender my the your current "
    "last known raw real legal full display screen login"
)
NAMES = _set(
    "name names nick long mobile yearofbirth dateofbirth birthyear birthmonth birthplace "
    "placeofbirth firstname givenname middlename lastname familyname maidenname surname forename "
    "fullname username nickname realname displayname screenname legalname emailaddress "
    "mailaddress ipaddress ipaddr remoteaddr remoteaddress xforwardedfor forwardedfor phonenumber "
    "mobilenumber telephonenumber streetaddress postalcode postaladdress zipcode latlong latlng "
    "lonlat geopoint geoip homeaddress yearsold"
)
PERSONAL = WORDS | NAMES
# Long enough to stand in no other word.
STEMS = ("email", "birth", "latitude", "longitude", "firstname", "lastname", "ipaddr", "geoloc")
# How the name of an account's key ends.
ACCOUNT_KEYS = (
    *("userid", "accountid", "customerid", "memberid", "listenerid", "subscriberid", "profileid"),
    *("useruuid", "userguid"),
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"ipv[46]|[a-z]+")

_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
# Of people who are old enough for an account; a date alone, not the day of an instant.
_YEAR = r"(?:19\d\d|200\d|201[0-5])"
_MIDNIGHT = r"(?:T00:00(?::00(?:\.0+)?)?(?:Z|[+-][\d:]+)?)?"
# Each begins where a word does and repeats nothing twice over the same characters, so that the
# time that a text takes grows with its length and no faster.
_SHAPES = re.compile(
    "|".join(
        (
            r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)*",  # an address of e-mail
            r"(?<!\d)\+\d[\d ()./-]{6,}\d",  # a telephone number with its country
            rf"(?<![\d./-]){_YEAR}([-/.]){_MONTH}\1{_DAY}{_MIDNIGHT}(?![\dT:/-])",
            rf"(?<![\d./-]){_DAY}([-/.]){_DAY}\2{_YEAR}(?![\d:/-])",
            r"(?<![\d.])-?\d{1,3}\.\d{2,}[\s,;/]{1,5}-?\d{1,3}\.\d{2,}(?![\d.])",  # a place
        )
    ),
    re.IGNORECASE,
)
_IP_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|"
    r"(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])",
    re.IGNORECASE,
)


@lru_cache(maxsize=10_000)
def is_personal(name: str) -> bool:
    """Whether a field of this name identifies or describes a person, however it is spelt.

    >>> [is_personal(name) for name in ("firstName", "USER-AGE", "clientip", "artist_name")]
    [True, True, True, False]
    """
    words = _words(name)
    left = [word for word in words if word not in OWNERS]
    joined = "".join(left)
    return (
        not WORDS.isdisjoint(words)
        or joined in NAMES
        or "".join(words) in NAMES
        or any(stem in joined for stem in STEMS)
        or any(joined.removeprefix(owner) in PERSONAL for owner in OWNERS)
    )


@lru_cache(maxsize=10_000)
def is_account_key(name: str) -> bool:
    """Whether a field of this name holds the key of an account."""
    joined = "".join(_words(name))
    return joined == "uid" or joined.endswith(ACCOUNT_KEYS)


def without_shapes(text: str) -> str:
    """The text with addresses, telephone numbers, dates of birth and places masked."""
    return _IP_ADDRESS.sub(_masked_address, _SHAPES.sub(MASK, text))


def _masked_address(match: "re.Match[str]") -> str:
    try:
        ip_address(match[0])
    except ValueError:  # a time of day, a version
        return match[0]
    return MASK


def _words(name: str) -> list[str]:
    """Lower-case words of a name in camel case or with separators; digits are left out."""
    plain = unicodedata.normalize("NFKC", name)
    return _WORD.findall(_CAMEL.sub(" ", plain).lower())
