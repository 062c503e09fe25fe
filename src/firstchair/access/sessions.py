"""Sessions of the pages: kept in the database, so that signing out ends one in every process."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from firstchair.access.authorizer import Authorizer, Refusal
from firstchair.access.oidc import Person
from firstchair.access.scopes import Scope
from firstchair.databases import migrate, pooled_engine

COOKIE = "firstchair_session"
LASTS = timedelta(hours=12)
VERSION_TABLE = "access_version"
# A cookie is this many hexadecimal digits; no other text is looked up.
COOKIE_DIGITS = 64

metadata = sa.MetaData()
SESSIONS = sa.Table(
    "console_sessions",
    metadata,
    sa.Column("cookie_sha256", sa.Text, primary_key=True),
    sa.Column("token_sha256", sa.Text),
    sa.Column("issuer", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("scopes", sa.Text),
    sa.Column("began_at", sa.TIMESTAMP(timezone=True)),
    sa.Column("ends_at", sa.TIMESTAMP(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a person who knew a token, or whom an identity provider signed in.

    name: of the token or the person. form_token: part of each form of this session, and required
    when the form is sent.
    """

    name: str
    scopes: frozenset[Scope]
    form_token: str

    @property
    def may_operate(self) -> bool:
        """Whether the person is an operator; else they are a viewer."""
        return Scope.OPERATE in self.scopes


class Sessions:
    """Begins, finds and ends sessions; one holds no longer than its token or its provider."""

    def __init__(self, authorizer: Authorizer, url: sa.URL, *, issuer: str = "") -> None:
        """Keep sessions in a database.

        Args:
            authorizer: Judges tokens.
            url: The database.
            issuer: The identity provider of the settings; empty where none is set.
        """
        self.authorizer = authorizer
        self._url, self._issuer = url, issuer

    @cached_property
    def _engine(self) -> sa.Engine:
        migrate(self._url, Path(__file__).parent / "migrations", version_table=VERSION_TABLE)
        return pooled_engine(self._url)

    def begin(self, typed: str, address: str, now: datetime) -> str | Refusal:
        """Begin a session and return the value of its cookie, or why there is none.

        Args:
            typed: The token as a person typed it.
            address: Of the client, for the limit of wrong tokens.
            now: The present instant.
        """
        grant = self.authorizer.of_token(typed.encode(), address, Scope.READ)
        if isinstance(grant, Refusal):
            return grant
        return self._begun(now, token_sha256=grant.digest)

    def begin_for(self, person: Person, now: datetime) -> str:
        """Begin a session of a person whom the provider signed in; the value of its cookie."""
        scopes = " ".join(sorted(person.scopes))
        return self._begun(now, issuer=self._issuer, name=person.name, scopes=scopes)

    def _begun(self, now: datetime, **values: str) -> str:
        cookie = secrets.token_hex(COOKIE_DIGITS // 2)
        row = {"cookie_sha256": _digest(cookie), "began_at": now, "ends_at": now + LASTS, **values}
        with self._engine.begin() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.ends_at <= now))
            connection.execute(SESSIONS.insert().values(row))
        return cookie

    def open(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; None if it ended, is over, or nobody vouches for it any more."""
        if len(cookie) != COOKIE_DIGITS:
            return None
        query = sa.select(SESSIONS).where(
            SESSIONS.c.cookie_sha256 == _digest(cookie), SESSIONS.c.ends_at > now
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.token_sha256 is not None:
            grant = self.authorizer.tokens.grant_by_digest(row.token_sha256, now)
            return None if grant is None else _session(grant.name, grant.scopes, cookie)
        if not self._issuer or row.issuer != self._issuer:
            return None
        return _session(row.name, frozenset(map(Scope, row.scopes.split())), cookie)

    def end(self, cookie: str) -> None:
        """End a session in every process; idempotent."""
        with self._engine.begin() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.cookie_sha256 == _digest(cookie)))

    def of_header(self, authorization: str, address: str) -> Session | Refusal:
        """The session of a caller who sends a token itself.

        Without a cookie, another site cannot forge a request of the caller.
        """
        header = authorization.encode("latin-1", "replace")
        grant = self.authorizer.of_header(header, address, Scope.READ)
        if isinstance(grant, Refusal):
            return grant
        return _session(grant.name, grant.scopes, grant.digest)


def is_own_form(session: Session, typed: str) -> bool:
    """Whether a form came from a page of this session."""
    return hmac.compare_digest(session.form_token.encode(), typed.encode())


def _session(name: str, scopes: frozenset[Scope], secret: str) -> Session:
    return Session(name, scopes, _digest(f"form {secret}"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
