"""An ASGI application behind RSGI, the interface that granian speaks itself; it leaves logins the shorter way.

RSGI 1.5 has no message for the cut of a request's body: the chunk that fails comes as an empty one, as the last does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Headers(Protocol):
    """Of a request; names in lower case, values of visible ASCII (others are left out)."""

    def get(self, key: str, default: str = ...) -> str:
        """The first value of a name."""

    def items(self) -> list[tuple[str, str]]:
        """All, a name as often as it was sent."""


class Scope(Protocol):
    """A request without its body. path: with no escapes left. server, client: host and port, or a socket's path."""

    http_version: str
    scheme: str
    method: str
    path: str
    query_string: str
    server: str
    client: str
    headers: Headers


class Transport(Protocol):
    """A body that is answered piece by piece; it ends when nobody holds this."""

    async def send_bytes(self, data: bytes) -> None:
        """Queue a piece."""


class Proto(Protocol):
    """Where a request's body comes from and its answer goes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces, of which the last is empty."""

    async def client_disconnect(self) -> None:
        """Wait until the client is gone."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer as a whole."""

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Transport:
        """Begin an answer that comes in pieces."""


class Bridge:
    """Hands RSGI requests to an ASGI application. It passes no lifespan on: the server's own callbacks are that."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, proto: Proto) -> None:
        """One request."""
        await self._application(asgi_scope(scope), _Body(proto), _Answer(proto))


def asgi_scope(scope: Scope) -> Message:
    """An RSGI scope in ASGI's words (HTTP, version 2.3)."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "scheme": scope.scheme,
        "method": scope.method,
        "path": scope.path,
        "raw_path": quote(scope.path).encode(),
        "query_string": scope.query_string.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in scope.headers.items()],
        "server": _address(scope.server),
        "client": _address(scope.client),
        "state": {},
    }


def _address(text: str) -> tuple[str, int | None]:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else (text, None)


class _Body:
    """ASGI's `receive`: the pieces of the body, then the client's departure."""

    def __init__(self, proto: Proto) -> None:
        self._proto = proto
        self._pieces: AsyncIterator[bytes] | None = None
        self._whole = self._cut = False

    async def __call__(self) -> Message:
        if self._whole:
            await self._proto.client_disconnect()
        elif not self._cut:
            return await self._next()
        return {"type": "http.disconnect"}

    async def _next(self) -> Message:
        if self._pieces is None:
            self._pieces = aiter(self._proto)
        piece = await anext(self._pieces)
        if piece:
            return {"type": "http.request", "body": piece, "more_body": True}
        # An empty piece is the end, and nothing follows; where one does, the one before could not be read.
        try:
            await anext(self._pieces)  # without a default: granian's awaitables do not bear what `anext` makes of it
        except StopAsyncIteration:
            self._whole = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self._cut = True
        return {"type": "http.disconnect"}


class _Answer:
    """ASGI's `send`: an answer of one piece goes as a whole."""

    def __init__(self, proto: Proto) -> None:
        self._proto = proto
        self._status, self._headers = 500, list[tuple[str, str]]()
        self._transport: Transport | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(_text(name), _text(value)) for name, value in message.get("headers", ())]
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._transport is None:
            if not more:
                self._proto.response_bytes(self._status, self._headers, body)
                return
            self._transport = self._proto.response_stream(self._status, self._headers)
        if body:
            await self._transport.send_bytes(body)
        if not more:
            self._transport = None


def _text(value: bytes) -> str:
    """What RSGI takes for a header: ASCII alone."""
    return value.decode("ascii", "backslashreplace")
