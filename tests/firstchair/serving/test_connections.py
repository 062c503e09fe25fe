"""Slow and many connections over real sockets: deadlines, and a cap that spares whole requests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from firstchair.access import bodies
from firstchair.access.authorizer import Authorizer
from firstchair.access.tokens import Tokens
from firstchair.http import connections, protocol
from firstchair.http.api import Api, ApiConfig
from firstchair.http.protocol import LoginProtocol
from tests.event_loop import run_apart

TOKEN = b"Authorization: Bearer secret\r\n"
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
LOGIN = b"GET /v1/users/u/recommendations HTTP/1.1\r\nHost: localhost\r\n"
MOST = 16
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def worker_at(folder: Path, most: int = MOST) -> Api:
    """A worker over a folder in which nothing is published."""
    return Api(
        ApiConfig(
            published=folder / "published",
            spool=folder / "spool",
            events_url=str(folder / "events"),
            pseudonym_key=b"key",
            authorizer=Authorizer(Tokens(lambda: "secret")),
            seed=1,
            champion=dict,
            decisions=lambda _: [],
            connections=most,
        )
    )


@asynccontextmanager
async def server(
    folder: Path, most: int = MOST
) -> AsyncIterator[Callable[[bytes], "asyncio.Future[Link]"]]:
    """A worker's server in this process; gives what connects to it and sends some bytes."""
    api = worker_at(folder, most)
    config = uvicorn.Config(api, http=LoginProtocol, ws="none", lifespan="off", access_log=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def make() -> LoginProtocol:
        return LoginProtocol(config=config, server_state=state, app_state={})

    listening = await loop.create_server(make, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]

    async def connect(sent: bytes) -> Link:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        return reader, writer

    try:
        yield lambda sent: asyncio.ensure_future(connect(sent))
    finally:
        listening.close()


async def status(link: Link) -> int:
    line = await asyncio.wait_for(link[0].readline(), 30)
    return int(line.split()[1])


async def is_closed(link: Link) -> bool:
    """Wait until the server closes; whatever it sends before is passed over."""
    try:
        await asyncio.wait_for(link[0].read(), 30)
    except ConnectionResetError:
        return True
    return link[0].at_eof()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(connections, "RECEIVE_SECONDS", 0.3)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.05)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET /hea", None),
        (LOGIN, None),
        (POST + b"\r\n[", 401),
        (POST + TOKEN + b"\r\n[", 408),
        (PROBE.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"), 200),
        (PROBE.replace(b"GET", b"PUT") + b"GET /hea", 405),
    ],
)
def test_a_request_that_does_not_become_whole_is_ended(
    tmp_path: Path, sent: bytes, answer: int | None
) -> None:
    async def told() -> None:
        async with server(tmp_path) as connect:
            link = await connect(sent)
            if answer is not None:
                assert await status(link) == answer
            assert await is_closed(link)

    run_apart(told)


def test_a_refused_body_is_not_waited_for_and_its_answer_is_read(tmp_path: Path) -> None:
    async def told() -> None:
        async with server(tmp_path) as connect:
            link = await connect(POST.replace(b"1000", b"1000000") + b"\r\n")
            assert await status(link) == 401
            link[1].write(b"x" * 1_000_000 + PROBE)
            await link[1].drain()
            heard = await asyncio.wait_for(link[0].readuntil(b'"status":"ok"}'), 30)
            assert b"200 OK" in heard

    run_apart(told)


def test_whole_requests_come_through_however_many_slow_ones_there_are(tmp_path: Path) -> None:
    async def told() -> None:
        async with server(tmp_path) as connect:
            kept = await connect(POST.replace(b"1000", b"0") + TOKEN + b"\r\n")
            assert await status(kept) == 202
            slow = [await connect(POST + b"\r\n[") for _ in range(3 * MOST)]

            assert await status(await connect(PROBE)) == 200

            closed = [await is_closed(link) for link in slow[: 2 * MOST]]
            assert all(closed)
            await asyncio.wait_for(kept[0].readuntil(b"}"), 30)
            kept[1].write(PROBE)
            assert await status(kept) == 200

    run_apart(told)


def test_closed_connections_leave_room_whoever_answered_them(tmp_path: Path) -> None:
    most = 3
    closing = TOKEN + b"Connection: close\r\n\r\n"
    calls = {
        PROBE: 200,
        PROBE.replace(b"healthz", b"readyz"): 503,
        PROBE.replace(b"healthz", b"metrics"): 200,
        b"GET /v1/champion HTTP/1.1\r\nHost: localhost\r\n" + TOKEN + b"\r\n": 200,
        POST.replace(b"1000", b"2") + TOKEN + b"\r\n[]": 202,
        LOGIN + TOKEN + b"\r\n": 503,
        LOGIN + closing: 503,
        LOGIN.replace(b"HTTP/1.1", b"HTTP/1.0") + closing: 503,
    }

    async def told() -> None:
        async with server(tmp_path, most) as connect:
            for sent, answer in calls.items():
                for _ in range(3 * most):
                    link = await connect(sent)
                    assert await status(link) == answer
                    link[1].close()

            held = [await connect(PROBE) for _ in range(most)]
            assert [await status(link) for link in held] == [200] * most
            assert await status(await connect(PROBE)) == 200
            assert await is_closed(held[0])

    run_apart(told, uses_uvloop=True)


def test_a_body_that_ends_with_its_connection_is_refused_and_is_no_fault_of_the_server(
    tmp_path: Path,
) -> None:
    api = worker_at(tmp_path)
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer secret")]
    scope = {"type": "http", "method": "POST", "path": "/v1/events", "headers": headers}
    scope |= {"raw_path": b"/v1/events", "query_string": b"", "scheme": "http", "root_path": ""}
    scope |= {"http_version": "1.1", "server": ("localhost", 80), "client": ("127.0.0.1", 9)}
    arrives = iter(
        [
            {"type": "http.request", "body": b"[", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(arrives)

    async def send(message: Any) -> None:
        answered.append(dict(message))

    run_apart(lambda: api(scope, receive, send))

    assert answered[0]["status"] == 400
