"""Sessions: signing in with the API token sets a signed cookie; forms belong to one session."""

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
    """The session of a person who knew the token.

    form_token: part of each form of this session, and required when the form is sent.
    """

    form_token: str


class Sessions:
    """Makes and checks cookies without storing them, so that every worker knows every session.

    The key comes from the API token; a new token ends all sessions.
    """

    def __init__(self, api_token: str) -> None:
        self._token = api_token.encode()
        self._key = hmac.digest(self._token, PURPOSE, "sha256")

    def knows(self, typed: str) -> bool:
        """Whether the typed text is the API token."""
        return hmac.compare_digest(typed.encode(), self._token)

    def knows_header(self, authorization: str) -> bool:
        """Whether an Authorization header carries the API token."""
        return is_bearer(authorization.encode("latin-1", "replace"), self._token)

    def cookie(self, now: datetime) -> str:
        """Value of the cookie of a new session: expiry, a nonce, and the seal of both."""
        body = f"{int((now + LASTS).timestamp())}.{secrets.token_hex(16)}"
        return f"{body}.{self._seal('session', body)}"

    def open(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; None if the cookie is not ours or has expired."""
        body, _, seal = cookie.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal("session", body).encode()):
            return None
        if int(body.partition(".")[0]) <= now.timestamp():
            return None
        return Session(self._seal("form", body))

    def bearer(self) -> Session:
        """The session of a caller who sends the token itself.

        Without a cookie, another site cannot forge a request of the caller.
        """
        return Session(self._seal("form", "bearer"))

    def _seal(self, purpose: str, body: str) -> str:
        return hmac.new(self._key, f"{purpose}|{body}".encode(), hashlib.sha256).hexdigest()


def is_own_form(session: Session, typed: str) -> bool:
    """Whether a form came from a page of this session."""
    return hmac.compare_digest(session.form_token.encode(), typed.encode())
