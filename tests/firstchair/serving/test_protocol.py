"""The server over sockets: fast-path answers to logins equal those of ASGI, however bytes come."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson
import psutil
import pytest

from benchmarks.logins.lists import Catalogue
from benchmarks.logins.service import TOKEN, running, serving, settings_of, wait_for
from firstchair.http.protocol import KNOWN, MAX_HEAD_BYTES
from firstchair.lake import Lake
from firstchair.settings import Settings

AUTHORIZED = f"Authorization: Bearer {TOKEN}"
KEYED = (AUTHORIZED, "Idempotency-Key: one")
LOGIN = "/v1/users/user-000001/recommendations?k=3"


@dataclass(frozen=True)
class Told:
    """An answer."""

    status_code: int
    headers: dict[str, str]
    body: bytes


class Link:
    """A connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file: BinaryIO = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def heard(self, *, without_body: bool = False) -> Told:
        status_code = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        size = 0 if without_body else int(headers["content-length"])
        return Told(status_code, headers, self.file.read(size))

    def is_cut(self) -> bool:
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


def asking(path: str = LOGIN, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join(
        [f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""]
    ).encode()


def publish(home: Path, settings: Settings) -> None:
    catalogue, lake = (
        Catalogue(200, 400, 20, datetime.now(UTC).date(), b"a benchmark's key"),
        Lake(str(home / "lake")),
    )
    catalogue.write(lake)
    catalogue.put_out(lake, settings.published, 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where lists are published."""
    home = tmp_path_factory.mktemp("protocol")
    publish(home, settings_of(home))
    return home


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    """Of the server."""
    settings = settings_of(home)
    with serving(settings):
        yield settings.api_port


@pytest.fixture(scope="module")
def asgi_port(home: Path) -> Iterator[int]:
    """Of a uvicorn that is told nothing of our protocol, over the same lists."""
    port = settings_of(home).api_port
    quiet = ("--no-access-log", "--log-level", "warning")
    options = ("--factory", "--http", "h11", "--ws", "none", *quiet, "--port", str(port))
    command = (sys.executable, "-m", "uvicorn", *options, "firstchair.http.worker:app")
    known = {"HOME": str(home), "API_TOKEN": TOKEN, "PSEUDONYM_KEY": "a benchmark's key"}
    with running(
        command, port, "/readyz", {f"FIRSTCHAIR_{name}": value for name, value in known.items()}
    ):
        yield port


@pytest.fixture
def linked(port: int) -> Iterator[Link]:
    with connected(port) as link:
        yield link


@contextmanager
def connected(port: int) -> Iterator[Link]:
    link = Link(port)
    with link.socket, link.file:
        yield link


def at(port: int, data: bytes) -> Told:
    with connected(port) as link:
        link.send(data)
        return link.heard(without_body=data.startswith(b"HEAD"))


def slates_told(port: int) -> float:
    """Slates that the worker counts."""
    lines = at(port, asking("/metrics")).body.decode().splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("firstchair_slates_total{")
    )


@pytest.mark.parametrize(
    "asked",
    [
        asking(LOGIN, *KEYED),
        asking("/v1/users/nobody/recommendations", *KEYED),
        asking("/v1/users/%C3%BC%2F..%20b/recommendations?k=50", *KEYED),
        asking("/v1/users/a/b/recommendations", *KEYED),
        asking("/v1/users//recommendations", *KEYED),
        asking("http://localhost" + LOGIN, *KEYED),
        asking(LOGIN + "&k=4", *KEYED),
        asking("/v1/users/user-000001/recommendations?k=0", *KEYED),
        asking("/v1/users/user-000001/recommendations?k=%33", *KEYED),
        asking("/v1/users/user-000001/recommendations?", *KEYED),
        asking(LOGIN, "Authorization: Bearer another"),
        asking(LOGIN),
        asking(LOGIN, *KEYED, method="POST"),
        asking(LOGIN, *KEYED, method="HEAD"),
        asking(LOGIN, *KEYED, "Connection: Upgrade", "Upgrade: websocket"),
        asking(LOGIN, *KEYED, "Content-Length: 3") + b"abc",
        asking(LOGIN, *KEYED, "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
        asking(LOGIN, *KEYED, "Expect: 100-continue"),
        asking(LOGIN, *KEYED, "Connection: close"),
    ],
)
def test_a_login_is_answered_as_by_asgi(port: int, asgi_port: int, asked: bytes) -> None:
    ours, by_asgi = at(port, asked), at(asgi_port, asked)

    named = ("content-type", "content-length", "www-authenticate", "connection")
    assert ours.status_code == by_asgi.status_code
    assert [ours.headers.get(name) for name in named] == [
        by_asgi.headers.get(name) for name in named
    ]
    assert ours.body == by_asgi.body
    assert ours.headers["date"].endswith("GMT")


def test_a_client_who_sends_the_same_headers_again_gets_another_slate_and_another_user_his_own(
    linked: Link,
) -> None:
    answers = []
    for user in ("user-000001", "user-000001", "user-000002", "nobody"):
        linked.send(asking(f"/v1/users/{user}/recommendations", AUTHORIZED))
        answers.append(orjson.loads(linked.heard().body))

    assert [answer["user_id"] for answer in answers] == [
        "user-000001",
        "user-000001",
        "user-000002",
        "nobody",
    ]
    assert len({answer["slate_id"] for answer in answers}) == 4
    assert answers[0]["items"] == answers[1]["items"] != answers[2]["items"]


def test_a_token_that_was_allowed_lets_no_other_in(linked: Link) -> None:
    for headers, expected in (
        ([AUTHORIZED], 200),
        (["Authorization: Bearer another"], 401),
        ([], 401),
        ([AUTHORIZED, "Authorization: Bearer another"], 401),
        ([AUTHORIZED], 200),
    ):
        linked.send(asking(LOGIN, *headers))
        assert linked.heard().status_code == expected


def test_more_clients_than_are_remembered_are_answered_too(linked: Link) -> None:
    for number in range(KNOWN + 10):
        linked.send(asking(LOGIN, AUTHORIZED, f"User-Agent: {number}") * 2)
        assert [linked.heard().status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("known", [False, True])
def test_a_request_in_pieces_has_one_answer(linked: Link, known: bool) -> None:
    whole = asking(LOGIN, AUTHORIZED, f"User-Agent: pieces {known}")
    for _ in range(2 if known else 0):
        linked.send(whole)
        linked.heard()

    for place in range(0, len(whole), 7):
        linked.send(whole[place : place + 7])
    linked.send(asking("/healthz"))

    assert orjson.loads(linked.heard().body)["user_id"] == "user-000001"
    assert orjson.loads(linked.heard().body) == {"status": "ok"}


def test_requests_that_do_not_wait_for_answers_are_answered_in_their_order(linked: Link) -> None:
    paths = ["/healthz", LOGIN, LOGIN, "/readyz", LOGIN, "/nowhere", LOGIN]

    linked.send(b"".join(asking(path, AUTHORIZED) for path in paths))
    answers = [orjson.loads(linked.heard().body) for _ in paths]

    kinds = ["user_id" in answer for answer in answers]
    assert kinds == [path == LOGIN for path in paths]


def test_a_client_who_asks_much_before_he_reads_misses_nothing(linked: Link) -> None:
    users = [f"user-{number % 200:06d}" for number in range(20_000)]
    asked = b"".join(asking(f"/v1/users/{user}/recommendations?k=10", AUTHORIZED) for user in users)

    linked.socket.setblocking(
        False
    )  # as long as the server takes it: with nothing read, it stops to
    sent = 0
    while sent < len(asked):
        try:
            sent += linked.socket.send(asked[sent : sent + (1 << 16)])
        except BlockingIOError:
            break
    linked.socket.settimeout(60)
    whole = asked[:sent].count(b"\r\n\r\n")
    answers = [orjson.loads(linked.heard().body)["user_id"] for _ in range(whole)]

    assert whole > 1_000
    assert answers == users[:whole]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (b"this is no request\r\n\r\n", 400),
        (asking(LOGIN, AUTHORIZED, "Content-Length: three"), 400),
        (asking("/v1/users/\xff/recommendations", AUTHORIZED), 400),
        (asking(LOGIN, AUTHORIZED, "X-Long: " + "x" * MAX_HEAD_BYTES)[:-1], 431),
        (b"GET /" + b"x" * (MAX_HEAD_BYTES + 10), 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(
    linked: Link, asked: bytes, expected: int
) -> None:
    linked.send(asked)

    answer = linked.heard()

    assert (answer.status_code, orjson.loads(answer.body)["status"]) == (expected, expected)
    assert (answer.headers["content-type"], answer.headers["connection"]) == (
        "application/problem+json",
        "close",
    )
    assert linked.is_cut()


@pytest.mark.parametrize(
    "asked",
    [asking(LOGIN, AUTHORIZED, "Connection: close"), asking(LOGIN, AUTHORIZED, version="1.0")],
)
def test_a_connection_that_is_not_kept_ends_with_its_answer(
    port: int, linked: Link, asked: bytes
) -> None:
    before = slates_told(port)

    linked.send(asked * 2)

    assert linked.heard().headers["connection"] == "close"
    assert linked.is_cut()
    assert slates_told(port) == before + 1


RECORDS = [
    {"event_id": "e1", "event_type": "login", "occurred_at": "2026-02-01T09:00:00Z"}
    | {"user_id": "user-1", "source": "app", "source_seq": 1},
    {"event_id": "e2"},
    7,
]
POSTED = b"\n".join(orjson.dumps(record) for record in RECORDS)
LENGTH = f"Content-Length: {len(POSTED)}"
CHUNKED = (
    b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (POSTED[:9], POSTED[9:]))
    + b"0\r\n\r\n"
)
IN_CHUNKS = "Transfer-Encoding: chunked"
# As the HttpClient of a stock JDK sends it over cleartext.
H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk",
)
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


def posting(*headers: str) -> bytes:
    return asking("/v1/events", AUTHORIZED, *headers, method="POST")


def accounted(answer: Told) -> tuple[int, int, list[int]]:
    taken = orjson.loads(answer.body)
    return answer.status_code, taken["accepted"], [one["index"] for one in taken["rejected"]]


@pytest.mark.parametrize(
    "asked",
    [
        posting(LENGTH) + POSTED,
        posting(IN_CHUNKS) + CHUNKED,
        posting(LENGTH, *H2C) + POSTED,
        posting(IN_CHUNKS, *H2C) + CHUNKED,
        posting(LENGTH, *WEBSOCKET) + POSTED,
        posting(LENGTH, "Upgrade: h2c") + POSTED,
        posting(LENGTH, "Connection: Upgrade", "Upgrade: TLS/1.0") + POSTED,
    ],
)
@pytest.mark.parametrize("pieces", [1, 2, 50])
@pytest.mark.parametrize("login_before", [False, True])
def test_a_202_accounts_for_every_record_of_the_body(
    linked: Link, asked: bytes, pieces: int, login_before: bool
) -> None:
    if login_before:
        linked.send(asking(LOGIN, AUTHORIZED))
        linked.heard()

    # The second of two pieces is the body alone, as clients send it that write head and body apart.
    size = asked.index(b"\r\n\r\n") + 4 if pieces == 2 else -(-len(asked) // pieces)
    for place in range(0, len(asked), size):
        linked.send(asked[place : place + size])

    assert accounted(linked.heard()) == (202, 1, [1, 2])
    linked.send(asking("/healthz"))
    assert linked.heard().status_code == 200


def test_a_client_who_waits_for_leave_to_send_the_body_loses_nothing(linked: Link) -> None:
    linked.send(posting(LENGTH, "Expect: 100-continue"))
    leave = linked.heard(without_body=True)

    linked.send(POSTED)

    assert leave.status_code == 100
    assert accounted(linked.heard()) == (202, 1, [1, 2])


def test_posts_that_do_not_wait_for_answers_lose_nothing(linked: Link) -> None:
    plain, upgrading = posting(LENGTH) + POSTED, posting(IN_CHUNKS, *H2C) + CHUNKED

    linked.send(plain + asking(LOGIN, AUTHORIZED) + upgrading + plain + asking(LOGIN, AUTHORIZED))
    answers = [linked.heard() for _ in range(5)]

    posts = [answer for answer in answers if answer.status_code == 202]
    assert [answer.status_code for answer in answers] == [202, 200, 202, 202, 200]
    assert [accounted(answer) for answer in posts] == [(202, 1, [1, 2])] * 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent_and_leave_nothing_undelivered(
    tmp_path: Path, number: signal.Signals
) -> None:
    settings = settings_of(tmp_path, workers=2)
    publish(tmp_path, settings)
    with serving(settings) as server:
        wait_for(lambda: len(server.children(recursive=True)) == 4)  # 2 workers, 2 deliveries
        behind = server.children(recursive=True)
        at(settings.api_port, asking(LOGIN, AUTHORIZED))

        server.send_signal(number)

        wait_for(lambda: not any(psutil.pid_exists(process.pid) for process in behind))
    assert list(Path(settings.events_url).rglob("*.jsonl.gz"))
