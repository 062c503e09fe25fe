"""Whatever is sent to the running API: never a fault of ours; each refusal a problem document."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import date

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from benchmarks.logins.lists import Catalogue
from benchmarks.logins.service import TOKEN, serving, settings_of
from firstchair.databases import Databases
from firstchair.lake import Lake
from firstchair.settings import Settings

EXAMPLES = 25
LOGINS = "/v1/users/{user_id}/recommendations"
LOGIN = b"GET /v1/users/u/recommendations"
BEARER = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
EVENTS = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + BEARER


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, session_databases: Databases
) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("fuzzed")
    url = session_databases.ledger.set(database="fuzzed").render_as_string(hide_password=False)
    found = settings_of(home).model_copy(update={"database_url": url, "source_database_url": url})
    catalogue, lake = (
        Catalogue(50, 400, 50, date(2026, 1, 31), b"a benchmark's key"),
        Lake(str(home / "lake")),
    )
    catalogue.write(lake)
    catalogue.put_out(lake, found.published, 0)
    with serving(found):
        yield found


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(
    ("verb", "path"),
    [
        *(
            ("GET", path)
            for path in ("/healthz", "/readyz", "/metrics", "/v1/champion", "/v1/decisions", LOGINS)
        ),
        ("POST", "/v1/events"),
    ],
)
def test_whatever_the_interface_allows_or_forbids_is_answered(
    service: Settings, verb: str, path: str, mode: str
) -> None:
    import schemathesis  # here: whoever only collects the tests need not wait for it

    schema = schemathesis.openapi.from_url(f"{service.api_address}/openapi.json")
    operation = schema[path][verb]

    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120)

        assert answer.status_code < 500
        if answer.status_code >= 400:
            assert_problem(answer.status_code, answer.headers["content-type"][0], answer.content)
        elif mode == "positive":  # parameters that nobody knows are passed over, as is usual
            case.validate_response(answer)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that has no parameter
        ask()


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
)
def test_every_method_is_answered_on_every_path(service: Settings, method: str) -> None:
    paths = requests.get(f"{service.api_address}/openapi.json", timeout=60).json()["paths"]

    for path in [*paths, "/", "/openapi.json", "/v1/users/u/recommendations"]:
        target = path.replace("{", "%7B").replace("}", "%7D")
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        status, kind, body = sent(service, head.encode() + BEARER + b"Connection: close\r\n\r\n")

        assert status < 500
        if status >= 400 and method != "HEAD":
            assert_problem(status, kind, body)


HOSTILE = {
    "bad percent-encoding": b"GET /v1/users/%zz%/recommendations HTTP/1.1\r\nHost: localhost\r\n"
    + BEARER,
    "null byte in the path": b"GET /v1/users/%00/recommendations HTTP/1.1\r\nHost: localhost\r\n"
    + BEARER,
    "path that is not UTF-8": b"GET /v1/users/%ff%fe/recommendations HTTP/1.1\r\n"
    b"Host: localhost\r\n" + BEARER,
    "surrogate in the path": b"GET /v1/users/%ed%a0%80/recommendations HTTP/1.1\r\n"
    b"Host: localhost\r\n" + BEARER,
    "query that is not UTF-8": LOGIN + b"?k=%ff HTTP/1.1\r\nHost: localhost\r\n" + BEARER,
    "a number without end": LOGIN
    + b"?k="
    + b"9" * 5_000
    + b" HTTP/1.1\r\nHost: localhost\r\n"
    + BEARER,
    "digits that are not ASCII": LOGIN
    + b"?k=%D9%A3"
    + b" HTTP/1.1\r\nHost: localhost\r\n"
    + BEARER,
    "nobody's path": b"GET /v1/users/recommendations HTTP/1.1\r\nHost: localhost\r\n" + BEARER,
    "two tokens": LOGIN + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer no\r\n" + BEARER,
    "token that is not ASCII": LOGIN
    + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n",
    "token that is not ASCII, elsewhere": b"GET /v1/champion HTTP/1.1\r\nHost: localhost\r\n"
    + b"Authorization: Bearer \xff\r\n",
    "HEAD": b"HEAD /v1/users/u/recommendations HTTP/1.1\r\nHost: localhost\r\n" + BEARER,
    "OPTIONS": b"OPTIONS /v1/users/u/recommendations HTTP/1.1\r\nHost: localhost\r\n" + BEARER,
    "TRACE": b"TRACE /v1/events HTTP/1.1\r\nHost: localhost\r\n" + BEARER,
    "a verb of one's own": b"DANCE /v1/events HTTP/1.1\r\nHost: localhost\r\n" + BEARER,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_get_an_answer(service: Settings, name: str) -> None:
    status, kind, body = sent(service, HOSTILE[name] + b"Connection: close\r\n\r\n")

    assert status < 500
    if status >= 400 and name != "HEAD":
        assert_problem(status, kind, body)


BODIES = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "null bytes": b"\x00\x00\n\x00",
    "null byte in a text": b'[{"event_id":"\\u0000","event_type":"login","user_id":"a\\u0000b"}]',
    "half of a surrogate": b'[{"event_id":"\\ud800"}]',
    "a number without end": b'[{"event_id":"a","source_seq":' + b"9" * 400 + b"}]",
    "deep": b"[" * 5_000,
    "a number": b"7",
    "null": b"null",
    "names twice": b'{"event_id":"a","event_id":"b"}',
    "odd keys": b'[{"":"","event_id":{"a":[null]},"occurred_at":1e999}]',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_any_kind_are_judged(service: Settings, name: str, chunked: bool) -> None:
    body = BODIES[name]
    parts = (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]) if part)
        + b"0\r\n\r\n"
    )
    framed = (
        b"Transfer-Encoding: chunked\r\n\r\n" + parts
        if chunked
        else b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )

    status, kind, answer = sent(
        service, EVENTS + b"Content-Type: text/plain; charset=utf-16\r\n" + framed
    )

    assert status == 202, answer
    assert kind == "application/json"
    assert json.loads(answer)["accepted"] == 0


@pytest.mark.parametrize("body", [b"[" + b"1," * 5_000 + b"1]", b"1\n" * 5_000, b" " * (5 << 20)])
def test_too_much_at_once_is_refused_whole(service: Settings, body: bytes) -> None:
    answer = requests.post(
        f"{service.api_address}/v1/events",
        data=body,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )

    assert answer.status_code == 413
    assert_problem(413, answer.headers["content-type"], answer.content)


def sent(service: Settings, request: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to bytes as they are."""
    with socket.create_connection(("127.0.0.1", service.api_port), timeout=60) as link:
        link.sendall(request)
        heard = b""
        while data := link.recv(1 << 16):
            heard += data
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    kinds = [line.partition(": ")[2] for line in lines if line.startswith("content-type")]
    return int(lines[0].split()[1]), kinds[0] if kinds else "", body


def assert_problem(status: int, kind: str, body: bytes) -> None:
    assert kind == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(json.loads(body))
    assert json.loads(body)["status"] == status
