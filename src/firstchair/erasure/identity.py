"""What identifies a user, and how bytes are searched for it."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from firstchair.sources import user_key

# A key of the account table that is shorter stands in other bytes by chance.
SHORT = 6
_WORD = rb"[0-9A-Za-z_]"
_FIELD = rb"""user_?id["']?\s*[:=]\s*["']?"""
ERASED = "erased"


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
        needles = (
            *(("user_key", needle, None) for needle in _of_key(self.user_key)),
            *(("user_id", *needle) for needle in _of_text(self.user_id, by_field=self.by_field)),
            *(("email", *needle) for needle in _of_text(self.email or "", by_field=False)),
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
        return self.is_shared or len(self.user_id) < SHORT

    @property
    def longest(self) -> int:
        """More bytes than any of the names takes, with what stands around it."""
        return max(len(needle) for _, needle, _ in self._needles) + 32

    def found_in(self, data: bytes) -> set[str]:
        """Which of `user_id`, `email` and `user_key` stand in the bytes."""
        return {
            name
            for name, needle, exact in self._needles
            if needle in data and (exact is None or exact.search(data))
        }

    def is_in(self, text: str) -> bool:
        """Whether one of the names stands in a text."""
        return bool(self.found_in(text.encode("utf-8", "surrogatepass")))

    def masked(self, data: bytes) -> bytes:
        """The bytes with an `x` for each byte of a name: as long as before."""
        for _, needle, exact in self._needles:
            if needle not in data:
                continue
            pattern = exact or re.compile(re.escape(needle))
            data = pattern.sub(_crossed_out, data)
        return data

    def sql(self, column: str, *, regexp: str) -> str:
        """Condition in SQL that a name stands in a text.

        Args:
            column: Name of the column.
            regexp: Function of the dialect that looks for a pattern: `regexp_matches` in DuckDB,
                `regexp_like` in Delta tables.
        """
        terms = [f"{column} like '%{self.user_key}%'"]
        for text in filter(None, (None if self.by_field else self.user_id, self.email)):
            # Both dialects (RE2, Rust's regex) read these escapes alike, and no others.
            quoted = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text).replace("'", "''")
            word = "[^0-9A-Za-z_]"
            terms.append(f"{regexp}({column}, '(^|{word}){quoted}({word}|$)')")
        return f"({' or '.join(terms)})"


def _crossed_out(match: re.Match[bytes]) -> bytes:
    start = match.start("name") - match.start() if "name" in match.re.groupindex else 0
    end = match.end("name") - match.start() if "name" in match.re.groupindex else len(match[0])
    return match[0][:start] + b"x" * (end - start) + match[0][end:]


def _of_key(key: str) -> list[bytes]:
    """A pseudonym as text, as 16 bytes, and as the two numbers of a publication's key columns."""
    packed = bytes.fromhex(key)
    halves = (packed[:8], packed[8:])
    return [key.encode(), key.encode("utf-32-le"), packed, *(half[::-1] for half in halves)]


def _of_text(text: str, *, by_field: bool) -> list[tuple[bytes, re.Pattern[bytes]]]:
    """A text as it stands in plain bytes, JSON, addresses and arrays of numpy, as a whole word."""
    if not text:
        return []
    spelt = {text, json.dumps(text)[1:-1], quote(text, safe="")}
    found = []
    for one in sorted(spelt):
        plain = one.encode("utf-8", "surrogatepass")
        found.append((plain, _whole(plain, by_field=by_field)))
    if not by_field:
        wide = text.encode("utf-32-le", "surrogatepass")
        found.append((wide, re.compile(re.escape(wide))))
    return found


def _whole(plain: bytes, *, by_field: bool) -> re.Pattern[bytes]:
    before = rb"(?i:" + _FIELD + rb")" if by_field else rb"(?<!" + _WORD + rb")"
    return re.compile(before + rb"(?P<name>" + re.escape(plain) + rb")(?!" + _WORD + rb")")
