"""HTTP/1.1 as uvicorn speaks it, but for logins: those are answered where their last byte is read, with no task."""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from firstchair.serving.answers import AFTER, BEFORE, UNAUTHORIZED, Answer, headers_of, refused

if TYPE_CHECKING:
    import asyncio

    from firstchair.serving.api import Api

# What a request may take before its body; the parser has no bound of its own.
MAX_HEAD_BYTES = 64 << 10
_BEFORE, _AFTER = BEFORE.encode(), AFTER.encode()
# A login as nearly every client sends it, whole: user, query, and what follows the request line.
_PLAIN = re.compile(rb"GET %b([\w.~-]+)%b(?:\?([\w=]*))? HTTP/1\.1\r\n(.+\r\n\r\n)" % (_BEFORE, _AFTER), re.DOTALL)
# A client sends the same headers each time; so many clients are remembered, with no more than so many bytes each.
KNOWN, KNOWN_BYTES = 1_000, 1_000
# Headers that say more than who asks.
_TELLING = frozenset({b"content-length", b"expect", b"idempotency-key", b"transfer-encoding", b"upgrade"})
UNREADABLE = refused(400, "bad_request", "This is no HTTP request.", "Send HTTP/1.1; the connection is closed.")
TOO_LONG = refused(
    431,
    "too_large",
    f"Path and headers are over {MAX_HEAD_BYTES:,} bytes.",
    "Send fewer headers; the connection is closed.",
)


class LoginProtocol(HttpToolsProtocol):
    """One connection.

    A login needs no I/O, so it is answered in the event loop: a task, its messages and its dictionaries would cost as
    much as the login. All else goes the way of ASGI, and so does a login that has to wait its turn: behind a request
    that is not answered yet, or for a client who does not read.

    Headers that the parser took for those of a plain, authorised login are remembered to the byte, and not parsed when
    they come again. Then only the request line is read here, by a pattern narrower than the parser's.
    """

    app: "Api"
    _login: tuple[str, bytes] | None = None
    _head_bytes, _in_head, _in_message = 0, False, False
    # Requests begun on this connection, and whether the last was a login of which the headers may be remembered.
    _begun, _plain = 0, False
    _last_answer = 0.0
    _dated: Iterable[tuple[bytes, bytes]] = ()

    def connection_made(self, transport: "asyncio.Transport") -> None:  # type: ignore[override]
        """A client who never asks is not kept for ever either."""
        super().connection_made(transport)
        self._last_answer = self.loop.time()
        self._keep_alive(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is kept of it, however it was lost."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Of uvicorn's, without a timer that is stopped and started for each request."""
        plain = None if self._in_message else _PLAIN.fullmatch(data)
        if plain is not None:
            user_id, query, headers = plain.groups(b"")
            if headers in self.app.known_headers and self._at_once():
                self._write(self.app.admitted(query, user_id.decode()), keep=True)
                return
        begun = self._begun
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._unsupported_upgrade_warning()
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        # That one request alone, and all of it, so the headers are its own.
        if plain is not None and self._plain and self._begun == begun + 1 and not self._in_message:
            self._remember(plain[3])
        if self._in_head:
            self._head_bytes += len(data.rpartition(b"\r\n\r\n")[2])  # before it, others may have ended
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(TOO_LONG)

    def on_message_begin(self) -> None:
        """Less than uvicorn prepares: what only ASGI needs is made where it is needed."""
        self.url, self.headers = b"", []
        self.expect_100_continue = False
        self._login, self._head_bytes = None, 0
        self._in_head = self._in_message = True
        self._begun, self._plain = self._begun + 1, False

    def on_headers_complete(self) -> None:
        """Who logs in, or a request for ASGI."""
        self._in_head = False
        if self.parser.get_method() == b"GET" and self.url.startswith(_BEFORE) and self._at_once():
            self._login = _named(self.url)
            if self._login is not None:
                return
        url, headers, waits = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, waits
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A login has none that is heard."""
        if self._login is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer a login."""
        self._in_message = False
        if self._login is None:
            super().on_message_complete()
            return
        user_id, query = self._login
        given = dict(self.headers)
        request = given.get(b"idempotency-key", b"")
        allowed = self.app.allows(given.get(b"authorization", b""))
        keep = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        self._plain = allowed and keep and not _TELLING.intersection(given)
        self._write(self.app.admitted(query, user_id, request) if allowed else UNAUTHORIZED, keep=keep)

    def send_400_response(self, msg: str) -> None:
        """As every other fault: a problem document."""
        self._refuse(UNREADABLE)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing was asked for so long; one that is in use is looked at again."""
        rest = self._last_answer + self.timeout_keep_alive - self.loop.time()
        if self.cycle is not None and not self.cycle.response_complete:
            rest = self.timeout_keep_alive
        if rest > 0 and not self.transport.is_closing():
            self._keep_alive(rest)
        else:
            super().timeout_keep_alive_handler()

    def _remember(self, headers: bytes) -> None:
        known = self.app.known_headers
        if len(headers) <= KNOWN_BYTES and len(known) < KNOWN:
            known.add(headers)

    def _keep_alive(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _at_once(self) -> bool:
        """Whether nothing before it waits, and the client reads."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _refuse(self, answer: Answer) -> None:
        self._in_head = False
        self._write(answer, keep=False)

    def _write(self, answer: Answer, *, keep: bool) -> None:
        if self.transport.is_closing():
            return
        status_code, kind, body = answer
        if self._dated is not self.server_state.default_headers:  # uvicorn makes them anew each second
            self._dated = self.server_state.default_headers
            self._common = _lines(self._dated)
        head = _head(status_code, kind, keep)
        self.transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (head, self._common, len(body), body))
        self.server_state.total_requests += 1
        self._last_answer = self.loop.time()
        if not keep:
            self.transport.close()


def _named(url: bytes) -> tuple[str, bytes] | None:
    """User and query of a login; None where ASGI is to make out what is asked."""
    path, _, query = url.partition(b"?")
    if b"#" in url or not path.endswith(_AFTER) or len(path) <= len(_BEFORE) + len(_AFTER):
        return None
    user_id = path[len(_BEFORE) : -len(_AFTER)].decode("ascii")
    return unquote(user_id) if "%" in user_id else user_id, query


@lru_cache
def _head(status_code: int, kind: bytes, keep: bool) -> bytes:
    """An answer's first lines."""
    ending = () if keep else ((b"connection", b"close"),)
    return b"HTTP/1.1 %d %b\r\n" % (status_code, HTTPStatus(status_code).phrase.encode()) + _lines(
        (*headers_of(status_code, kind), *ending)
    )


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)
