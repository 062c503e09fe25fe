"""Answer plain logins as soon as their last byte is read; leave every other request to uvicorn."""

import asyncio
import re
import time
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools

from firstchair.access.scopes import Scope
from firstchair.http.answers import (
    AFTER,
    BEFORE,
    MISDIRECTED,
    Answer,
    headers_of,
    refused,
)
from firstchair.http.connections import CountedProtocol

if TYPE_CHECKING:
    from firstchair.http.api import Api

# Limit of path and headers of a connection's first requests; h11 has one of the same size.
MAX_HEAD_BYTES = 64 << 10
# Seconds from their first byte to their last.
HEAD_SECONDS = 10
_HEAD_END = re.compile(rb"\n\r?\n")
# A login in one piece, as nearly every client sends it: user, query, headers.
_LOGIN = re.compile(
    rb"GET %b([\w.~%%!$&'()*+,;=:@-]+)%b(?:\?([\w=&]*))? HTTP/1\.1\r\n(.+\r\n\r\n)"
    % (BEFORE.encode(), AFTER.encode()),
    re.DOTALL,
)
# Clients send the same headers each time. Limits of how many are remembered and of their length.
KNOWN, KNOWN_BYTES = 1_000, 1_000
# Headers that change the meaning of a request, so that it is not a plain login.
_MEANINGFUL = frozenset({b"content-length", b"expect", b"transfer-encoding", b"upgrade"})
UNREADABLE = refused(
    400, "bad_request", "This is no HTTP request.", "Send HTTP/1.1; the connection is closed."
)
TOO_LONG = refused(
    431,
    "too_large",
    f"Path and headers are over {MAX_HEAD_BYTES:,} bytes.",
    "Send fewer headers; the connection is closed.",
)


class LoginProtocol(asyncio.Protocol):
    """One connection.

    A login needs no I/O, so it is answered in the event loop: a task, its messages and its
    dictionaries would cost as much as the login. At the first request that is no plain login, the
    connection passes to uvicorn's own protocol over h11 with all that follows
    (`asyncio.Transport.set_protocol`). It also passes if a login must wait because the client does
    not read.

    It is h11 and not httptools, because httptools drops the body of a request that offers an
    upgrade (https://github.com/MagicStack/httptools/issues/124, with httptools 0.9.0).

    Headers of a plain, authorized login are remembered byte for byte and not parsed again.
    """

    def __init__(self, **of_uvicorn: Any) -> None:
        self._uvicorn = CountedProtocol(**of_uvicorn)
        self._app: Api = of_uvicorn["config"].app
        self._idle_seconds: float = of_uvicorn["config"].timeout_keep_alive
        self._received = b""
        self._is_kept = False
        self._writing_paused = False
        self._last_answer = self._head_ends = 0.0
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch for idleness; uvicorn's protocol closes the connection at shutdown."""
        self._transport = transport
        self._uvicorn.connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address: str = peer[0] if isinstance(peer, tuple) else ""
        self._loop = asyncio.get_running_loop()
        self._last_answer = self._loop.time()
        self._timer = self._loop.call_later(self._idle_seconds, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the timer and uvicorn's own protocol."""
        self._timer.cancel()
        self._uvicorn.connection_lost(exc)

    def pause_writing(self) -> None:
        """Stop answering logins here until the client reads."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Answer logins again."""
        self._writing_paused = False

    def data_received(self, data: bytes) -> None:
        """Answer a plain login, wait for the rest of a head, or pass the connection to uvicorn."""
        received = self._received + data if self._received else data
        login = None if self._writing_paused else _LOGIN.fullmatch(received)
        if login is not None and login[3] in self._app.known_headers:
            self._answer(login, b"")
            return
        end = _HEAD_END.search(received)
        if (len(received) if end is None else end.end()) > MAX_HEAD_BYTES:
            self._write(TOO_LONG, keep=False)
        elif end is None:
            if not self._received:
                ends = self._loop.time() + HEAD_SECONDS
                self._loop.call_at(ends, self._close_if_slow, ends)
                self._head_ends = ends
            self._received = received
        else:
            self._read_head(received, received[: end.end()], login)

    def _read_head(self, received: bytes, head: bytes, login: "re.Match[bytes] | None") -> None:
        """Answer the first request of the bytes if it is a login; else pass the connection on."""
        try:
            parsed = _Head(head)
        except httptools.HttpParserError:
            self._write(UNREADABLE, keep=False)
            return
        if login is None or len(head) < len(received) or not parsed.is_plain:
            self._pass_on(received)
        elif not self._app.config.hosts.admits(parsed.headers.get(b"host", b"")):
            self._received = b""
            self._write(MISDIRECTED, keep=True)
        elif refusal := self._app.refusal(
            parsed.headers.get(b"authorization", b""), self._address, Scope.READ
        ):
            self._received = b""
            self._write(refusal, keep=True)
        else:
            request_id = parsed.headers.get(b"idempotency-key", b"")
            if not request_id:
                self._remember(login[3])
            self._answer(login, request_id)

    def _answer(self, login: "re.Match[bytes]", request_id: bytes) -> None:
        self._received = b""
        if not self._is_kept:
            self._is_kept = True
            self._app.connections.authorized(self._transport)
        user_id, query = login[1].decode(), login[2] or b""
        user_id = unquote(user_id) if "%" in user_id else user_id
        self._write(self._app.admitted(query, user_id, request_id), keep=True)

    def _pass_on(self, received: bytes) -> None:
        """Pass the connection to uvicorn for good."""
        self._timer.cancel()
        self._received = b""
        self._transport.set_protocol(self._uvicorn)
        if self._writing_paused:
            self._uvicorn.pause_writing()
        self._uvicorn.data_received(received)

    def _remember(self, headers: bytes) -> None:
        known = self._app.known_headers
        if len(headers) <= KNOWN_BYTES and len(known) < KNOWN:
            known.add(headers)

    def _close_if_slow(self, ends: float) -> None:
        """Close a connection whose path and headers are not whole yet."""
        if self._received and ends == self._head_ends:
            self._transport.close()

    def _close_if_idle(self) -> None:
        """Close a connection without a recent answer; check any other again later."""
        rest = self._last_answer + self._idle_seconds - self._loop.time()
        if rest > 0:
            self._timer = self._loop.call_later(rest, self._close_if_idle)
        else:
            self._transport.close()

    def _write(self, answer: Answer, *, keep: bool) -> None:
        if self._transport.is_closing():
            return
        status_code, kind, body = answer
        head = _head(status_code, kind, keep, int(time.time()))
        self._transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        self._last_answer = self._loop.time()
        if not keep:
            self._transport.close()


class _Head:
    """Path and headers of one request, whether it is whole, and whether nothing follows it.

    Raises:
        httptools.HttpParserError: The bytes are no HTTP/1.
    """

    def __init__(self, head: bytes) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.is_plain = False
        self._parser = httptools.HttpRequestParser(self)
        with suppress(httptools.HttpParserUpgrade):
            self._parser.feed_data(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the last value of a name, as the ASGI side does."""
        self.headers[name.lower()] = value

    def on_message_complete(self) -> None:
        """Judge a request that ends with its head; the parser forgets `Connection: close` later."""
        keeps = self._parser.should_keep_alive()
        self.is_plain = keeps and _MEANINGFUL.isdisjoint(self.headers)


@lru_cache(maxsize=32)
def _head(status_code: int, kind: bytes, keep: bool, second: int) -> bytes:
    """The lines of an answer before its length; `second`: seconds since 1970, for its date."""
    headers: tuple[tuple[bytes, bytes], ...] = headers_of(status_code, kind)
    headers = (*headers, (b"date", formatdate(second, usegmt=True).encode()))
    if not keep:
        headers = (*headers, (b"connection", b"close"))
    first = b"HTTP/1.1 %d %b\r\n" % (status_code, HTTPStatus(status_code).phrase.encode())
    return first + b"".join(b"%b: %b\r\n" % pair for pair in headers)
