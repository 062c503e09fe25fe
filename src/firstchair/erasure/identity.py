"""What identifies users, and how bytes are searched for it."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

from firstchair.sources import user_key

# A key of the account table that is shorter, or that has no letter, stands in other bytes by
# chance: as a count, or as a part of a second.
SHORT = 6
# What follows is read alike by Python and by Postgres.
_WORD = "[0-9A-Za-z_]"
_NO_WORD_BEFORE = f"(?<!{_WORD})"
# A field of that name up to its value, in JSON, in JSON within JSON and in other texts.
_NAME = r"""[uU][sS][eE][rR]_?[iI][dD]\\*["']?\s*[:=]"""
_QUOTED = _NAME + r"""\s*\\*["']"""
_BARE = _NAME + r"\s*"
_FIELDS = re.compile((_NAME + r"""(?P<before>\s*\\*["']?)""").encode())
_BEGINS = b"user"
ERASED = "erased"


class Replacement(NamedTuple):
    """A pattern with one group, and what stands in the place of all that follows the group."""

    pattern: str
    text: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The three names of a user, and the bytes by which each is recognised.

    user_id: key of the account table. email: as the account table has it; None where it has none.
    is_shared: an artist or a track has the key of the account, too, and keeps it.
    """

    user_id: str
    user_key: str
    email: str | None = None
    is_shared: bool = False
    _needles: tuple[tuple[str, bytes, re.Pattern[bytes] | None], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        word = "" if self.by_field else self.user_id
        needles = (
            *(("user_key", needle, None) for needle in _of_key(self.user_key)),
            *(("user_id", *needle) for needle in _of_text(word)),
            *(("email", *needle) for needle in _of_text(self.email or "")),
        )
        object.__setattr__(self, "_needles", needles)

    @classmethod
    def of(
        cls, user_id: str, key: bytes, *, email: str | None = None, is_shared: bool = False
    ) -> "Identity":
        """The identity of a user under a `pseudonym_key`."""
        return cls(user_id, user_key(user_id, key), email or None, is_shared)

    @property
    def by_field(self) -> bool:
        """Whether the key of the account table is looked for in fields of that name alone."""
        return self.is_shared or len(self.user_id) < SHORT or not _has_letter(self.user_id)

    @property
    def values(self) -> tuple[bytes, ...]:
        """The key of the account table as fields of that name hold it; none unless `by_field`."""
        return tuple(map(_bytes, _spelt(self.user_id))) if self.by_field else ()

    @property
    def longest(self) -> int:
        """More bytes than any of the names takes, with what stands around it."""
        plain = max(len(needle) for _, needle, _ in self._needles)
        return max(plain, *map(len, self.values), 0) + 32

    def words_in(self, data: bytes) -> set[str]:
        """Which of `user_id`, `email` and `user_key` stand in the bytes as words of their own."""
        return {
            name
            for name, needle, exact in self._needles
            if needle in data and (exact is None or exact.search(data))
        }

    def masked(self, data: bytes) -> bytes:
        """The bytes with an `x` for each byte of a name: as long as before."""
        for _, needle, exact in self._needles:
            if needle in data:
                pattern = exact or re.compile(b"()" + re.escape(needle))
                data = pattern.sub(_crossed_out, data)
        for replacement in self._replaced_in_fields:
            data = re.sub(_bytes(replacement.pattern), _crossed_out, data)
        return data

    @property
    def replacements(self) -> list[Replacement]:
        """What to look for in texts, and what to put in its place, so that JSON stays JSON."""
        found = [Replacement(f"(){self.user_key}", ERASED)]
        for text in _spelt(self.email or ""):
            found.append(Replacement(_pattern(_NO_WORD_BEFORE, text), ERASED))
        if self.by_field:
            return found + self._replaced_in_fields
        for text in _spelt(self.user_id):
            found.append(Replacement(_pattern(_NO_WORD_BEFORE, text), ERASED))
        return found

    @property
    def _replaced_in_fields(self) -> list[Replacement]:
        """The same for the key of the account table in fields alone; nothing unless `by_field`."""
        return [
            Replacement(_pattern(before, text), put)
            for text in (_spelt(self.user_id) if self.by_field else ())
            for before, put in ((_QUOTED, ERASED), (_BARE, "0"))
        ]

    def sql(self, column: str, *, regexp: str) -> str:
        """Condition in SQL that a name stands in a text.

        Args:
            column: Name of the column.
            regexp: Function of the dialect that looks for a pattern: `regexp_matches` in DuckDB,
                `regexp_like` in Delta tables.
        """
        terms = [f"{column} like '%{self.user_key}%'"]
        for text in filter(None, (None if self.by_field else self.user_id, self.email)):
            quoted = _escaped(text).replace("'", "''")
            word = "[^0-9A-Za-z_]"
            terms.append(f"{regexp}({column}, '(^|{word}){quoted}({word}|$)')")
        return f"({' or '.join(terms)})"


class Match(NamedTuple):
    """A user who was found, and by which name: `user_id`, `email` or `user_key`."""

    identity: Identity
    name: str


class Identities:
    """Users who are looked for together, so that everything is read once for all of them."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities = tuple(identities)
        self._by_value: dict[bytes, list[Identity]] = {}
        for one in identities:
            for value in one.values:
                self._by_value.setdefault(value, []).append(one)
        self._lengths = sorted({len(value) for value in self._by_value})
        self.longest = max((one.longest for one in identities), default=0)

    def __iter__(self) -> Iterator[Identity]:
        return iter(self._identities)

    def found_in(self, data: bytes) -> set[Match]:
        """Who stands in the bytes, and by which names."""
        words = {Match(one, name) for one in self for name in one.words_in(data)}
        return words | {Match(one, "user_id") for one in self._in_fields(data)}

    def users_in(self, data: bytes) -> set[Identity]:
        """Who stands in the bytes, by whatever name."""
        return {match.identity for match in self.found_in(data)}

    def _in_fields(self, data: bytes) -> Iterator[Identity]:
        """Who stands in a field `user_id`; the fields are looked for once for all values."""
        if not self._by_value or _BEGINS not in data.lower():
            return
        for match in _FIELDS.finditer(data):
            for start in range(match.start("before"), match.end() + 1):
                for length in self._lengths:
                    end = start + length
                    found = self._by_value.get(data[start:end])
                    if found and not _is_word(data[end : end + 1]):
                        yield from found


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"


def _has_letter(text: str) -> bool:
    return any(letter.isalpha() for letter in text)


def _crossed_out(match: re.Match[bytes]) -> bytes:
    return match[1] + b"x" * (len(match[0]) - len(match[1]))


def _of_key(key: str) -> list[bytes]:
    """A pseudonym as text, as 16 bytes, and as the two numbers of a publication's key columns."""
    packed = bytes.fromhex(key)
    halves = (packed[:8], packed[8:])
    return [key.encode(), key.encode("utf-32-le"), packed, *(half[::-1] for half in halves)]


def _of_text(text: str) -> list[tuple[bytes, re.Pattern[bytes]]]:
    """A text as it stands in plain bytes, JSON, addresses and arrays of numpy, as a whole word."""
    if not text:
        return []
    found = [
        (_bytes(one), re.compile(_bytes(_pattern(_NO_WORD_BEFORE, one)))) for one in _spelt(text)
    ]
    wide = text.encode("utf-32-le", "surrogatepass")
    return [*found, (wide, re.compile(b"()" + re.escape(wide)))]


def _spelt(text: str) -> list[str]:
    """A text as it is, as JSON spells it in letters or in ASCII, and as an address does.

    The longest come first, since a shorter one may be a part of it.
    """
    as_json = (json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (False, True))
    spelt = {text, *as_json, quote(text, safe="", errors="surrogatepass")} - {""}
    return sorted(spelt, key=lambda one: (-len(one), one))


def _pattern(before: str, text: str) -> str:
    return f"({before}){_escaped(text)}(?!{_WORD})"


def _escaped(text: str) -> str:
    """A text as a pattern; Python, Postgres, RE2 and Rust read these escapes alike, no others."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
