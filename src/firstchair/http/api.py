"""The HTTP interface: logins come from the protocol or by ASGI, all else goes through FastAPI."""

import logging
import time

from starlette.types import Message, Receive, Send

from firstchair.access.scopes import Scope
from firstchair.http.answers import (
    JSON,
    MISDIRECTED,
    NOT_PUBLISHED,
    OUT_OF_RANGE,
    UNFORESEEN,
    Answer,
    address_of,
    headers_of,
    named_user,
    refused,
    requested_length,
    sealed,
    unspooled,
)
from firstchair.http.routes import routes
from firstchair.http.service import ApiConfig, Service
from firstchair.login.logins import DEFAULT_K

__all__ = ["Api", "ApiConfig"]

log = logging.getLogger(__name__)


class Api(Service):
    """One worker: an ASGI application over the published lists and a spool of its own."""

    def __init__(self, config: ApiConfig) -> None:
        super().__init__(config)
        self._pages = routes(self)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer an ASGI request."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        scope = _as_routed(scope)
        send = _without_body(send) if is_head else send
        if not self.config.hosts.admits(dict(scope["headers"]).get(b"host", b"")):
            await _answer(send, MISDIRECTED)
            return
        user_id = named_user(scope["path"]) if scope["method"] == "GET" else None
        if user_id is None:
            await self._pages(scope, receive, _sealing(send))
        else:
            await self._login(scope, user_id, send, is_head=is_head)

    async def _login(self, scope: Message, user_id: str, send: Send, *, is_head: bool) -> None:
        given, query = dict(scope["headers"]), scope["query_string"]
        answer = self.refusal(given.get(b"authorization", b""), address_of(scope), Scope.READ)
        if answer is None:
            self.keep_connection(scope)
            request_id = given.get(b"idempotency-key", b"")
            answer = self.admitted(query, user_id, request_id, is_head=is_head)
        await _answer(send, answer, is_head=is_head)

    def admitted(
        self, query: bytes, user_id: str, request: bytes = b"", *, is_head: bool = False
    ) -> Answer:
        """Answer a login that carries the token; it never waits and raises nothing.

        Args:
            query: The query string, without the question mark.
            user_id: The user, without escapes.
            request: The client's own id of the request, empty if there is none.
            is_head: Whether only the head is asked for. Then no slate is made, since its
                impressions would count although no user sees it.
        """
        k = requested_length(query) if query else DEFAULT_K
        if k is None:
            return OUT_OF_RANGE
        if self.logins is None:
            return NOT_PUBLISHED
        if is_head:
            return 200, JSON, b""
        try:
            return 200, JSON, self.logins.login(user_id, k, time.time(), request)
        except OSError as error:
            return refused(*unspooled(error))
        except Exception:
            log.exception("A login failed.")
            return UNFORESEEN


async def _answer(send: Send, answer: Answer, *, is_head: bool = False) -> None:
    status_code, kind, body = answer
    headers = [*headers_of(status_code, kind)]
    if not is_head:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _sealing(send: Send) -> Send:
    """Send an answer with the headers of `SEALED` that it does not set itself."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": sealed(message.get("headers", ()))}
        await send(message)

    return with_headers


def _as_routed(scope: Message) -> Message:
    """The request in the form that routes match: with a path alone, and GET in place of HEAD.

    A client may send a whole URL as the target of its request (RFC 9112, section 3.2.2); uvicorn
    over h11 takes that for the path.
    """
    if scope["path"].startswith("/") and scope["method"] != "HEAD":
        return scope
    path = scope["path"]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "path": path, "method": method}


def _without_body(send: Send) -> Send:
    """Send an answer to HEAD: its start without a body (RFC 9110, section 9.3.2)."""

    async def head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return head
