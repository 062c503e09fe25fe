"""The function behind an API gateway: the API's slates, impressions stored before the answer."""

import gzip
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from firstchair.access.tokens import Tokens
from firstchair.errors import SettingsError
from firstchair.hosts import lambda_handler
from firstchair.hosts.diskless import Diskless, config_of
from firstchair.hosts.lambda_handler import LambdaLogins
from firstchair.login.slates import make_slate
from firstchair.publication.published import open_published
from firstchair.settings import Settings
from tests.firstchair.serving.conftest import AS_OF, KEY

PutOut = Callable[..., Path]
NOON = 1_769_947_200.0  # 2026-02-01T12:00:00Z
PATH = "/v1/users/user-4/recommendations"


def event(path: str = PATH, **more: Any) -> dict[str, Any]:
    """What the gateway sends (format 2.0); its names of headers are in lower case."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": "Bearer a test's token"},
        "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default"},
        "isBase64Encoded": False,
    } | more


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        events_url=str(tmp_path / "events"),
        pseudonym_key=KEY.decode(),
        api_token="a test's token",
    )


@pytest.fixture
def function(settings: Settings) -> LambdaLogins:
    diskless = Diskless(config_of(settings, published=settings.published), prefix="lambda")
    return LambdaLogins(diskless, tokens=Tokens.of(settings))


def delivered(settings: Settings) -> list[dict[str, Any]]:
    files = sorted(Path(settings.events_url).rglob("*.jsonl.gz"))
    return [
        json.loads(line)
        for path in files
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def test_a_login_gets_the_slate_that_the_api_would_show(
    put_copy: PutOut, function: LambdaLogins, settings: Settings
) -> None:
    published = open_published(put_copy())
    key = bytes.fromhex(_key("user-4"))
    expected = make_slate(published, key, k=7, day=AS_OF, seed=settings.seed)

    answer = function.answer(event(rawQueryString="k=7"), NOON)

    assert (answer["statusCode"], answer["headers"]) == (200, {"content-type": "application/json"})
    told = json.loads(answer["body"])
    assert (told["user_id"], told["as_of"], told["fallback"]) == ("user-4", "2026-02-01", None)
    assert [item["artist_id"] for item in told["items"]] == [
        published.artist_ids[a] for a in expected.artists
    ]


def test_the_scheme_of_the_token_may_be_in_any_case(
    put_copy: PutOut, function: LambdaLogins
) -> None:
    put_copy()

    for scheme in ("bearer", "BEARER"):
        asked = event(headers={"authorization": f"{scheme} a test's token"})
        assert function.answer(asked, NOON)["statusCode"] == 200


def test_head_shows_nothing_to_nobody(
    put_copy: PutOut, function: LambdaLogins, settings: Settings
) -> None:
    head = {"http": {"method": "HEAD", "path": PATH}, "stage": "$default"}
    before = function.answer(event(requestContext=head), NOON)
    put_copy()

    after = function.answer(event(requestContext=head), NOON)

    assert [(answer["statusCode"], answer["body"]) for answer in (before, after)] == [
        (503, ""),
        (200, ""),
    ]
    assert delivered(settings) == []


def test_impressions_are_in_the_store_when_the_answer_is_given(
    put_copy: PutOut, function: LambdaLogins, settings: Settings
) -> None:
    put_copy()

    for number in range(3):
        answer = json.loads(
            function.answer(event(f"/v1/users/user-{number}/recommendations"), NOON)["body"]
        )
        shown = {
            (e["slate_id"], e["position"], e["artist_id"], e["propensity"])
            for e in delivered(settings)
        }
        assert {
            (answer["slate_id"], i["position"], i["artist_id"], i["propensity"])
            for i in answer["items"]
        } <= shown

    assert [e["source_seq"] for e in delivered(settings)] == list(range(30))
    assert not settings.spool.exists()


def test_no_slate_is_shown_when_the_store_does_not_take_its_impressions(
    put_copy: PutOut, function: LambdaLogins, settings: Settings
) -> None:
    put_copy()
    Path(settings.events_url).write_text("a file where the folder should be")

    refused = function.answer(event(), NOON)
    Path(settings.events_url).unlink()
    answer = function.answer(event(), NOON)

    assert (refused["statusCode"], json.loads(refused["body"])["type"]) == (
        503,
        "urn:firstchair:source_unavailable",
    )
    assert answer["statusCode"] == 200
    assert [e["source_seq"] for e in delivered(settings)] == list(range(10, 20))


def test_a_retry_with_its_key_is_no_second_impression(
    put_copy: PutOut, function: LambdaLogins, settings: Settings
) -> None:
    put_copy()
    asked = event(headers={"authorization": "Bearer a test's token", "idempotency-key": "abc"})

    first, retry = (json.loads(function.answer(asked, NOON)["body"]) for _ in range(2))

    assert first == retry
    assert len({e["event_id"] for e in delivered(settings)}) == 10


def test_the_user_is_the_one_of_the_path(put_copy: PutOut, function: LambdaLogins) -> None:
    put_copy()
    named = event("/v1/users/100%25/recommendations", pathParameters={"user_id": "100%"})
    raw = event(
        "/prod/v1/users/a%20b/recommendations",
        requestContext={"http": {"method": "GET"}, "stage": "prod"},
    )

    assert json.loads(function.answer(named, NOON)["body"])["user_id"] == "100%"
    assert json.loads(function.answer(raw, NOON)["body"])["user_id"] == "a b"


def test_new_lists_are_served_from_the_next_event_on(
    put_copy: PutOut, function: LambdaLogins
) -> None:
    put_copy()
    before = json.loads(function.answer(event(), NOON)["body"])

    put_copy(turn=1)

    after = json.loads(function.answer(event(), NOON)["body"])
    assert [item["artist_id"] for item in after["items"]] != [
        item["artist_id"] for item in before["items"]
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (event(headers={}), 401),
        (event(headers={"authorization": "Bearer wrong"}), 401),
        (event(headers={"authorization": "Bearer wröng"}), 401),
        (event(rawQueryString="k=0"), 422),
        (event(rawQueryString="k=ten"), 422),
        (event("/v1/champion"), 404),
        (event(requestContext={"http": {"method": "POST"}}), 404),
        (event(), 503),
    ],
)
def test_every_refusal_is_a_problem_document(
    function: LambdaLogins, asked: dict[str, Any], expected: int
) -> None:
    answer = function.answer(asked, NOON)

    assert (answer["statusCode"], answer["headers"]) == (
        expected,
        {"content-type": "application/problem+json"},
    )
    assert json.loads(answer["body"])["status"] == expected


@pytest.mark.parametrize("missing", ["pseudonym_key", "api_token"])
def test_a_secret_that_could_not_be_kept_must_be_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    given = _environment(settings)
    del given[f"FIRSTCHAIR_{missing.upper()}"]
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"{missing} is not set"):
        lambda_handler.handler(event(), None)


class Gateway(ThreadingHTTPServer):
    """The runtime interface of Lambda: events to take, answers that came back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Interface)
        self.offered: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.answered: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()


class _Interface(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        invocation, offered = self.server.offered.get()
        self._reply(json.dumps(offered).encode(), {"Lambda-Runtime-Aws-Request-Id": invocation})

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.answered.put((self.path.removeprefix("/2018-06-01/runtime/invocation/"), told))
        self._reply(b"{}", {})

    def _reply(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def test_the_process_of_the_image_answers_event_after_event(
    put_copy: PutOut, settings: Settings, gateway: Gateway
) -> None:
    put_copy()
    environment = _environment(settings) | {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{gateway.server_port}"
    }
    gateway.offered.put(("one", event()))
    gateway.offered.put(("two", {"no": "event of the gateway"}))
    gateway.offered.put(("three", event(headers={})))

    with subprocess.Popen(
        [sys.executable, "-m", "firstchair.hosts.lambda_runtime"],
        env=environment,
        cwd=settings.home,
    ) as process:
        told = dict(gateway.answered.get(timeout=60) for _ in range(3))
        process.kill()  # as Lambda does

    assert told["one/response"]["statusCode"] == 200
    assert told["two/error"]["errorType"] == "KeyError"
    assert told["three/response"]["statusCode"] == 401
    assert len(delivered(settings)) == 10


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "FIRSTCHAIR_HOME": str(settings.home),
        "FIRSTCHAIR_EVENTS_URL": settings.events_url,
        "FIRSTCHAIR_PSEUDONYM_KEY": KEY.decode(),
        "FIRSTCHAIR_API_TOKEN": "a test's token",
    }


def _key(user_id: str) -> str:
    from firstchair.privacy import user_key

    return user_key(user_id, KEY)
