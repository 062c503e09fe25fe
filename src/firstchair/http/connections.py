"""The open connections of a worker: a cap on their number, and deadlines for what clients send."""

import asyncio
import resource
from typing import Any

import h11
from starlette.types import Message, Receive, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds from the first byte of a request to its last; the body of a posted event has fewer.
RECEIVE_SECONDS = 30
# Seconds in which the rest of a body is thrown away after its request was refused. Closed at once,
# the connection would be reset, and the client would not read the answer.
LINGER_SECONDS = 5
# Descriptors that a worker needs for other things: lists, the spool, databases, listening sockets.
OTHER_DESCRIPTORS = 256
# Name in an ASGI scope of the connection's transport.
TRANSPORT = "firstchair.transport"


class Connections:
    """Counts open connections, and closes the oldest without a valid token when there are too many.

    So neither slow requests nor idle connections keep out a client who sends whole requests.
    """

    def __init__(self, most: int) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        is_unlimited = descriptors == resource.RLIM_INFINITY
        self._most = most if is_unlimited else min(most, descriptors - OTHER_DESCRIPTORS)
        self._open = 0
        self._strangers: dict[Any, None] = {}

    def opened(self, transport: Any) -> None:
        """Count a connection; it may cost the oldest without a token, which may be itself."""
        self._open += 1
        self._strangers[transport] = None
        if self._open > self._most:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()

    def authorized(self, transport: Any) -> None:
        """Keep a connection over which a valid token came."""
        self._strangers.pop(transport, None)

    def closed(self, transport: Any) -> None:
        """Count a connection no more."""
        self._open -= 1
        self._strangers.pop(transport, None)


class DeadlineProtocol(H11Protocol):
    """uvicorn's protocol over h11, with deadlines, and the transport in the scope of requests."""

    def __init__(self, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._application, self.app = self.app, self._with_transport
        self._deadline: asyncio.TimerHandle | None = None

    async def _with_transport(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._application({**scope, TRANSPORT: self.transport}, receive, send)

    def data_received(self, data: bytes) -> None:
        """Read data, within the deadline of the request that they belong to."""
        super().data_received(data)
        if not self._is_receiving():
            self._set_deadline(None)
        elif self._deadline is None:
            self._set_deadline(RECEIVE_SECONDS)

    def on_response_complete(self) -> None:
        """Wait for the next request; throw away the rest of one that was answered early."""
        super().on_response_complete()
        if self._is_receiving():
            self._set_deadline(LINGER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the deadline."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def _is_receiving(self) -> bool:
        """Whether a request has begun to arrive and is not whole."""
        state = self.conn.their_state
        return state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        loop = asyncio.get_running_loop
        ends = self.transport.close
        self._deadline = None if seconds is None else loop().call_later(seconds, ends)


class CountedProtocol(DeadlineProtocol):
    """The same for an app with `connections`, where every connection is counted.

    `LoginProtocol` reports its start and, while it answers, its end; once it has passed the
    connection on, the event loop reports the end to this protocol.
    """

    def __init__(self, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._counted: Connections = of_uvicorn["config"].app.connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection."""
        super().connection_made(transport)
        self._counted.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no more."""
        self._counted.closed(self.transport)
        super().connection_lost(exc)
