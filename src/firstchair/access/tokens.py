"""Bearer tokens: what each may do. Several hold at a time, and they change while services run.

`api_token` may do everything. Further tokens stand in a file as digests, each with a name, scopes
and a last day; whoever reads the file cannot use them. A token made here has 256 random bits, so a
plain SHA-256 cannot be inverted by guessing.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fcntl import LOCK_EX, flock
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from firstchair.access.scopes import Scope
from firstchair.errors import SettingsError
from firstchair.files import replace_file
from firstchair.settings import Settings

PREFIX = "firstchair_"
API_TOKEN = "api_token"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one token may do.

    digest: SHA-256 of the token, hexadecimal. ends_at: first instant at which it is of no use.
    """

    name: str
    digest: str
    scopes: frozenset[Scope]
    ends_at: datetime | None = None


class Tokens:
    """The tokens that hold now; a look-up is one digest and one dictionary access."""

    def __init__(self, api_token: Callable[[], str], file: Path | None = None) -> None:
        """Read the tokens.

        Args:
            api_token: Called at each refresh; the token that may do everything.
            file: Further tokens, as `add_token` writes them; it need not exist.

        Raises:
            SettingsError: The file cannot be read.
        """
        self._api_token, self._file = api_token, file
        self._written: tuple[int, int] | None = None
        self._kept: tuple[Grant, ...] = ()
        self._by_digest: dict[str, Grant] = {}
        self._read()

    @classmethod
    def of(cls, settings: Settings) -> "Tokens":
        """The tokens of the settings.

        Raises:
            SettingsError: The file of further tokens cannot be read.
        """
        return cls(settings.secret_api_token, settings.tokens)

    def grant_of(self, token: bytes, now: datetime) -> Grant | None:
        """What a token may do; None if it is unknown or its time is over."""
        return self.grant_by_digest(digest_of(token), now)

    def grant_by_digest(self, digest: str, now: datetime) -> Grant | None:
        """What the token with that digest may do; None if it is unknown or its time is over."""
        grant = self._by_digest.get(digest)
        return None if grant is None or _is_over(grant, now) else grant

    def refresh(self, now: datetime) -> bool:
        """Read what changed; return whether a token was added or no longer holds.

        Raises:
            SettingsError: The file cannot be read; the tokens stay as they were.
        """
        before = self._by_digest
        self._read()
        self._by_digest = {d: g for d, g in self._by_digest.items() if not _is_over(g, now)}
        return before != self._by_digest

    def _read(self) -> None:
        if self._file is not None and (written := _written(self._file)) != self._written:
            self._written = written  # a file that cannot be read is reported once
            self._kept = read_tokens(self._file)
        digest = digest_of(self._api_token().encode())
        everything = Grant(API_TOKEN, digest, frozenset(Scope))
        self._by_digest = {grant.digest: grant for grant in (*self._kept, everything)}


def digest_of(token: bytes) -> str:
    """SHA-256 of a token, hexadecimal."""
    return hashlib.sha256(token).hexdigest()


def bearer_of(authorization: bytes) -> bytes | None:
    """The token of an `Authorization` header; None if it carries none.

    The scheme may be in any case (RFC 9110, section 11.1).
    """
    scheme, _, token = authorization.partition(b" ")
    return token.strip(b" ") if scheme.lower() == b"bearer" else None


class _Kept(BaseModel, extra="forbid"):
    name: str = Field(min_length=1, max_length=60, pattern=r"^[\w.-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: list[Scope] = Field(min_length=1)
    ends_at: AwareDatetime | None = None


class _File(BaseModel, extra="forbid"):
    tokens: list[_Kept]


def read_tokens(file: Path) -> tuple[Grant, ...]:
    """The tokens of a file, in its order; none if it does not exist.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        kept = _File.model_validate_json(file.read_bytes()).tokens
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise SettingsError(
            f"The file of tokens cannot be read: {found}.",
            where=str(file),
            data="The tokens that held before still hold where a service runs; nothing was "
            "written.",
            remedy="Correct it, or move it away and make the tokens anew by `firstchair token "
            "add`.",
        ) from error
    return tuple(Grant(t.name, t.sha256, frozenset(t.scopes), t.ends_at) for t in kept)


def add_token(
    file: Path, *, name: str, scopes: Sequence[Scope], ends_at: datetime | None = None
) -> str:
    """Make a token, keep its digest and return it; it cannot be read again.

    Who may operate may read too.

    Raises:
        SettingsError: There is a token of that name, or the file cannot be read; nothing was
            written.
    """
    with _changing(file) as kept:
        if any(grant.name == name for grant in kept):
            raise _named(file, f"There is a token named {name} already.", kept)
        token = PREFIX + secrets.token_hex(32)
        implied = {Scope.READ} if Scope.OPERATE in scopes else set()
        kept.append(Grant(name, digest_of(token.encode()), frozenset({*scopes} | implied), ends_at))
    return token


def revoke_token(file: Path, *, name: str) -> None:
    """Remove a token; running services refuse it within a second, and end its sessions.

    Raises:
        SettingsError: There is no token of that name, or the file cannot be read; nothing was
            written.
    """
    with _changing(file) as kept:
        found = [grant for grant in kept if grant.name == name]
        if not found:
            raise _named(file, f"There is no token named {name}.", kept)
        kept.remove(found[0])


@contextmanager
def _changing(file: Path) -> Iterator[list[Grant]]:
    """The tokens of a file, written again after the block; one process at a time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        kept = list(read_tokens(file))
        yield kept
        entries = [
            _Kept(name=g.name, sha256=g.digest, scopes=sorted(g.scopes), ends_at=g.ends_at)
            for g in kept
        ]
        document = _File(tokens=entries).model_dump(mode="json")
        replace_file(file, json.dumps(document, indent=2).encode(), mode=0o600)


def _named(file: Path, what: str, kept: Sequence[Grant]) -> SettingsError:
    names = ", ".join(grant.name for grant in kept) or "none"
    return SettingsError(
        what,
        where=str(file),
        data="Nothing was written.",
        remedy=f"Choose another name; the tokens there are: {names}.",
    )


def _is_over(grant: Grant, now: datetime) -> bool:
    return grant.ends_at is not None and grant.ends_at <= now


def _written(file: Path) -> tuple[int, int] | None:
    """Identity of a file's content as it is now; None without the file."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
