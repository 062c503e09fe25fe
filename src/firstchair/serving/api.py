"""The HTTP interface: logins straight from the protocol or by ASGI, all else through FastAPI."""

import logging
import time

from starlette.types import Message, Receive, Send

from firstchair.serving.answers import (
    JSON,
    NOT_PUBLISHED,
    OUT_OF_RANGE,
    UNAUTHORIZED,
    UNFORESEEN,
    Answer,
    headers_of,
    named_user,
    refused,
    requested_length,
    unspooled,
)
from firstchair.serving.logins import DEFAULT_K
from firstchair.serving.routes import routes
from firstchair.serving.service import ApiConfig, Service

__all__ = ["Api", "ApiConfig"]

log = logging.getLogger(__name__)


class Api(Service):
    """One worker: an ASGI application over the published lists and a spool of its own."""

    def __init__(self, config: ApiConfig) -> None:
        super().__init__(config)
        # Headers of logins that were allowed, to the byte as a client sends them (`LoginProtocol`).
        self.known_headers: set[bytes] = set()
        self._pages = routes(self)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["method"] == "GET":
            user_id = named_user(scope["path"])
            if user_id is not None:
                await self._login(scope, user_id, send)
                return
        await self._pages(scope, receive, send)

    async def _login(self, scope: Message, user_id: str, send: Send) -> None:
        given = dict(scope["headers"])
        status_code, kind, body = UNAUTHORIZED
        if self.allows(given.get(b"authorization", b"")):
            request = given.get(b"idempotency-key", b"")
            status_code, kind, body = self.admitted(scope["query_string"], user_id, request)
        headers = [*headers_of(status_code, kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def admitted(self, query: bytes, user_id: str, request: bytes = b"") -> Answer:
        """The answer to a login with our token; it never waits, and raises nothing.

        Args:
            query: What stands behind the path's question mark.
            user_id: Without escapes.
            request: The client's own id of the request, empty where it gave none.
        """
        k = requested_length(query) if query else DEFAULT_K
        if k is None:
            return OUT_OF_RANGE
        if self.logins is None:
            return NOT_PUBLISHED
        try:
            return 200, JSON, self.logins.login(user_id, k, time.time(), request)
        except OSError as error:
            return refused(*unspooled(error))
        except Exception:
            log.exception("A login failed.")
            return UNFORESEEN
