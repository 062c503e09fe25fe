"""The HTTP interface: logins on a path of their own, by ASGI or by the server's own RSGI; all else through FastAPI."""

import asyncio
import hmac
import signal
import time
from functools import lru_cache

from firstchair.serving.answers import (
    JSON,
    NOT_PUBLISHED,
    OUT_OF_RANGE,
    UNAUTHORIZED,
    Answer,
    named_user,
    refused,
    requested_length,
    unspooled,
)
from firstchair.serving.logins import DEFAULT_K
from firstchair.serving.routes import routes
from firstchair.serving.rsgi import Bridge, Message, Proto, Receive, Scope, Send
from firstchair.serving.service import ApiConfig, Service

__all__ = ["Api", "ApiConfig"]

# Signals to end, which the server holds back from a worker that cannot hear them yet.
ENDING = frozenset({signal.SIGINT, signal.SIGTERM})


class Api(Service):
    """One worker: an ASGI and RSGI application over the published lists and a spool of its own."""

    def __init__(self, config: ApiConfig) -> None:
        super().__init__(config)
        self._bearer = b"Bearer " + config.token.encode()
        self._pages = routes(self)
        self._bridge = Bridge(self._pages)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server is about to accept; from here on the worker hears that it is to end."""

        async def begin() -> None:  # within the loop: a signal that comes while it stands still is lost
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            await asyncio.to_thread(self.start)

        loop.run_until_complete(begin())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server has answered its last request."""
        loop.run_until_complete(asyncio.to_thread(self.stop))

    async def __rsgi__(self, scope: Scope, proto: Proto) -> None:
        """RSGI 1.5, for the server alone: a login costs it half of what ASGI's dictionaries and messages do."""
        if scope.method == "GET":
            user_id = named_user(scope.path)
            if user_id is not None:
                headers = scope.headers
                allowed = hmac.compare_digest(headers.get("authorization", "").encode(), self._bearer)
                request = headers.get("idempotency-key", "").encode()
                status_code, kind, body = self._answer(scope.query_string.encode(), user_id, allowed, request)
                proto.response_bytes(status_code, _head(status_code, kind), body)
                return
        await self._bridge(scope, proto)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["method"] == "GET":
            user_id = named_user(scope["path"])
            if user_id is not None:
                await self._login(scope, user_id, send)
                return
        await self._pages(scope, receive, send)

    async def _login(self, scope: Message, user_id: str, send: Send) -> None:
        allowed, request = False, b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                allowed = hmac.compare_digest(value, self._bearer)
            elif name == b"idempotency-key":
                request = value
        status_code, kind, body = self._answer(scope["query_string"], user_id, allowed, request)
        headers = [(name.encode(), value.encode()) for name, value in _head(status_code, kind)]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, query: bytes, user_id: str, allowed: bool, request: bytes) -> Answer:
        if not allowed:
            return UNAUTHORIZED
        k = requested_length(query) if query else DEFAULT_K
        if k is None:
            return OUT_OF_RANGE
        if self.logins is None:
            return NOT_PUBLISHED
        try:
            return 200, JSON, self.logins.login(user_id, k, time.time(), request)
        except OSError as error:
            return refused(*unspooled(error))


@lru_cache
def _head(status_code: int, kind: bytes) -> list[tuple[str, str]]:
    """Headers of an answer, but for its length."""
    challenge = [("www-authenticate", "Bearer")] if status_code == 401 else []
    return [("content-type", kind.decode()), *challenge]
