"""Signing in: the API token once into a form, then a signed cookie; a form is taken only from its own session."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from firstchair.definitions.tokens import is_bearer

COOKIE = "firstchair_session"
LASTS = timedelta(hours=12)
PURPOSE = b"firstchair console"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who knew the token. `form_token` goes into each form of this session and is asked for again."""

    form_token: str


class Sessions:
    """Makes and checks cookies without keeping any, so that every worker knows every session.

    The key comes from the API token: another token ends all sessions.
    """

    def __init__(self, api_token: str) -> None:
        self._token = api_token.encode()
        self._key = hmac.digest(self._token, PURPOSE, "sha256")

    def knows(self, typed: str) -> bool:
        """Whether that is the API token."""
        return hmac.compare_digest(typed.encode(), self._token)

    def knows_header(self, authorization: str) -> bool:
        """Whether an Authorization header carries it."""
        return is_bearer(authorization.encode("latin-1", "replace"), self._token)

    def cookie(self, now: datetime) -> str:
        """Value of the cookie of a new session: expiry, a nonce, and the seal of both."""
        body = f"{int((now + LASTS).timestamp())}.{secrets.token_hex(16)}"
        return f"{body}.{self._seal('session', body)}"

    def open(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; None where it is not ours, or over."""
        body, _, seal = cookie.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal("session", body).encode()):
            return None
        if int(body.partition(".")[0]) <= now.timestamp():
            return None
        return Session(self._seal("form", body))

    def bearer(self) -> Session:
        """The session of a caller who sends the token itself; he sends no cookie, so nobody can ride on it."""
        return Session(self._seal("form", "bearer"))

    def _seal(self, purpose: str, body: str) -> str:
        return hmac.new(self._key, f"{purpose}|{body}".encode(), hashlib.sha256).hexdigest()


def is_own_form(session: Session, typed: str) -> bool:
    """Whether a form came from a page of this session."""
    return hmac.compare_digest(session.form_token.encode(), typed.encode())
