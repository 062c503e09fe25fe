"""RSGI as granian speaks it: what an application behind the bridge is told and answers, and clients that leave."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.logins.service import running, wait_for

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the application writes what it heard last of a client that left."""
    return tmp_path_factory.mktemp("rsgi") / "seen"


@pytest.fixture(scope="module")
def port(seen: Path) -> Iterator[int]:
    """Of a granian that serves the bridge."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    granian = str(Path(sys.executable).parent / "granian")
    command = (granian, "--interface", "rsgi", "--no-ws", "--port", str(free), "--log-level", "warning")
    environment = {"SEEN": str(seen), "PYTHONPATH": os.getcwd()}
    with running((*command, "tests.firstchair.serving.rsgi_application:app"), free, "/", environment):
        yield free


def test_an_application_is_told_the_request(port: int) -> None:
    headers = [("X-Twice", "one"), ("X-Twice", "two")]

    answer = httpx.post(f"http://127.0.0.1:{port}/a%20b/%C3%A9?k=3&k=%20", headers=headers, content=b"x" * 3 * MEGABYTE)

    told = answer.json()
    asked = told.pop("headers")
    assert told == {
        "method": "POST",
        "path": "/a b/é",
        "scheme": "http",
        "http_version": "1.1",
        "query": "k=3&k=%20",
        "client": "127.0.0.1",
        "size": 3 * MEGABYTE,
    }
    assert [value for name, value in asked if name == "x-twice"] == ["one", "two"]
    assert (answer.status_code, answer.headers["content-length"]) == (201, str(len(answer.content)))


def test_a_body_without_a_length_arrives_whole(port: int) -> None:
    pieces = [b"x" * 1_000] * 300

    answer = httpx.post(f"http://127.0.0.1:{port}/", content=iter(pieces))

    assert answer.json()["size"] == 300_000


def test_an_answer_in_pieces_arrives_whole(port: int) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/pieces")

    assert answer.json() == [1, 2, 3]


def test_a_header_that_is_not_ascii_harms_no_answer(port: int) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/").headers["x-name"] == "\\xe9"


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"GET /leave HTTP/1.1\r\nHost: here\r\n\r\n", "http.disconnect"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nfirst", "in the middle"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", "in the middle"),
    ],
)
def test_an_application_hears_of_a_client_that_leaves(port: int, seen: Path, sent: bytes, heard: str) -> None:
    seen.unlink(missing_ok=True)

    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(sent)
        if heard == "http.disconnect":  # granian tells it to who waits for it already
            wait_for(seen.with_suffix(".asked").exists)

    wait_for(seen.exists)
    wait_for(seen.read_text)
    assert seen.read_text() == heard
