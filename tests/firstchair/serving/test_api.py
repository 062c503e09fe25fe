"""The interface over HTTP: answers, refusals that are problem documents, and events that arrive."""

import gzip
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
import psutil
import pytest
import sqlalchemy as sa

from benchmarks.logins.service import wait_for
from firstchair.access.authorizer import Authorizer
from firstchair.access.hosts import AllowedHosts
from firstchair.access.limits import AT_ONCE, WrongTokens
from firstchair.access.scopes import Scope
from firstchair.access.tokens import Tokens, add_token, revoke_token
from firstchair.http.api import Api, ApiConfig
from firstchair.login.logins import MAX_K
from firstchair.outbox import delivery
from firstchair.outbox.segment import SUFFIX
from firstchair.outbox.spooled import UNREADABLE
from firstchair.promotion import Decision, Ledger, Registry, entry_document
from firstchair.promotion.status import status
from firstchair.sources import Tombstone, Tombstones
from tests.firstchair.serving.conftest import (
    ALL_CHAMPION,
    AS_OF,
    CHAMPION,
    KEY,
    LENGTH,
    Stocked,
    put_there,
)

TOKEN = {"Authorization": "Bearer a test's token"}
EVENT = {
    "event_id": "e1",
    "event_type": "follow",
    "occurred_at": "2026-02-01T09:00:00+01:00",
    "user_id": "user-1",
    "source": "app",
    "source_seq": 1,
    "artist_id": "a001",
}
PutOut = Callable[..., Path]


@pytest.fixture(scope="module")
def memory(
    stocked: Stocked, new_session_database: Callable[..., sa.URL], ledger_template: str
) -> tuple[Registry, Ledger]:
    """The registry, and a ledger that made version 1 champion; they are only read here."""
    ledger = Ledger(new_session_database(ledger_template))
    ledger.append(
        Decision(
            decision_id="first",
            decided_at=datetime(2026, 2, 1, tzinfo=UTC),
            as_of=AS_OF,
            decision="promote",
            champion_before=None,
            champion_after=CHAMPION,
            challenger=CHAMPION,
            stage_before="candidate",
            stage_after="champion",
            reason_codes=("first_champion",),
            reasons=("There was none before.",),
            evidence={"kind": "first_champion"},
            data_fingerprint="one",
            actor="run",
        )
    )
    return stocked.registry, ledger


def config_at(folder: Path, memory: tuple[Registry, Ledger]) -> ApiConfig:
    return ApiConfig(
        published=folder / "published",
        spool=folder / "spool",
        events_url=str(folder / "events"),
        pseudonym_key=KEY,
        authorizer=Authorizer(
            Tokens(lambda: "a test's token", folder / "tokens.json"), WrongTokens(lambda: 0.0)
        ),
        seed=1,
        champion=lambda: status(*memory),
        decisions=lambda before: list(map(entry_document, memory[1].entries(before=before))),
        tombstones=Tombstones(folder, lambda: b"another key"),
    )


@pytest.fixture
def config(tmp_path: Path, memory: tuple[Registry, Ledger]) -> ApiConfig:
    return config_at(tmp_path, memory)


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    api.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client
    finally:
        api.stop()


class Client:
    """Asks one question at a time of a worker."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self.ask = ask

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.ask(method, path, **({"headers": TOKEN} | more))


@contextmanager
def working(config: ApiConfig) -> Iterator[tuple[Api, Client]]:
    """A worker that runs until the block ends."""
    import anyio

    with anyio.from_thread.start_blocking_portal() as portal:
        api = Api(config)
        with portal.wrap_async_context_manager(serving(api)) as client:

            def ask(method: str, path: str, **more: Any) -> httpx.Response:
                async def call() -> httpx.Response:
                    return await client.request(method, path, **more)

                return portal.call(call)

            yield api, Client(ask)


@pytest.fixture
def worker(config: ApiConfig) -> Iterator[tuple[Api, Client]]:
    """The test's own, which it may stop, and whose deliveries are all of its doing."""
    with working(config) as found:
        yield found


@pytest.fixture(scope="module")
def ask(
    tmp_path_factory: pytest.TempPathFactory, memory: tuple[Registry, Ledger]
) -> Iterator[Client]:
    """Of a worker for all tests that look at nothing but the answer; no lists are published."""
    with working(config_at(tmp_path_factory.mktemp("unpublished"), memory)) as (_, found):
        yield found


@pytest.fixture(scope="module")
def ask_for_lists(
    tmp_path_factory: pytest.TempPathFactory,
    memory: tuple[Registry, Ledger],
    publication: Callable[..., Path],
) -> Iterator[Client]:
    """As `ask`, over published lists."""
    config = config_at(tmp_path_factory.mktemp("published"), memory)
    put_there(publication(0, ALL_CHAMPION, False), config.published)
    with working(config) as (_, found):
        yield found


def delivered(config: ApiConfig) -> list[dict[str, Any]]:
    files = sorted(Path(config.events_url).rglob("*.jsonl.gz"))
    return [
        json.loads(line)
        for path in files
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def test_a_login_gets_the_slate_of_the_contract(ask_for_lists: Client) -> None:
    answer = ask_for_lists("GET", "/v1/users/user-4/recommendations?k=3").json()

    assert (answer["user_id"], answer["as_of"], len(answer["items"])) == ("user-4", "2026-02-01", 3)
    assert answer["model"]["name"] in {"als", "trending"}
    assert answer["fallback"] == "stale"
    assert [set(item) for item in answer["items"]] == [
        {"position", "artist_id", "name", "score", "reason", "propensity"}
    ] * 3
    assert answer["items"][0]["name"] == f'The "{answer["items"][0]["artist_id"]}"s'
    assert all(0 < item["propensity"] <= 1 and -1 <= item["score"] <= 1 for item in answer["items"])


@pytest.mark.parametrize("user", ["nobody", "ü/../%2e", "a b?c", "'; drop table users"])
def test_whoever_asks_gets_a_list(ask_for_lists: Client, user: str) -> None:
    answer = ask_for_lists("GET", f"/v1/users/{quote(user, safe='')}/recommendations")

    assert answer.status_code == 200
    assert answer.json()["fallback"] == "cold_start"
    assert len(answer.json()["items"]) == 10


def test_impressions_are_those_that_were_answered(
    put_copy: PutOut, config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy()
    api.reload()

    answers = [
        ask("GET", f"/v1/users/user-{number}/recommendations?k=4").json() for number in range(20)
    ]
    api.stop()

    shown = {
        (e["slate_id"], e["position"], e["artist_id"], e["propensity"], e["model_version"])
        for e in delivered(config)
    }
    told = {
        (a["slate_id"], i["position"], i["artist_id"], i["propensity"], a["model"]["version"])
        for a in answers
        for i in a["items"]
    }
    assert shown == told
    assert sorted(event["source_seq"] for event in delivered(config)) == list(range(80))


def test_nothing_of_a_forgotten_user_is_taken_or_kept(
    put_copy: PutOut, config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy()
    api.reload()
    assert ask("POST", "/v1/events", json=[EVENT]).json()["accepted"] == 1
    put_tombstone(config, "user-1")
    api.reload()

    listed = ask("GET", "/v1/users/user-1/recommendations?k=4").json()
    posted = ask("POST", "/v1/events", json=[EVENT, EVENT | {"user_id": "user-2"}]).json()
    api.stop()

    assert len(listed["items"]) == 4
    assert posted["accepted"] == 1
    assert [(r["index"], r["reason"]) for r in posted["rejected"]] == [(0, "unknown_user")]
    assert [event["user_id"] for event in delivered(config)] == ["user-1", "user-2"]


def put_tombstone(config: ApiConfig, user_id: str) -> None:
    """As another process does."""
    folder = config.spool.parent
    tombstones = Tombstones(folder, lambda: b"another key")
    tombstones.put(Tombstone(tombstones.hash_of(user_id), "an erasure", "2026-02-01T00:00:00Z"))


def test_a_retry_with_its_key_is_the_same_slate(ask_for_lists: Client) -> None:
    path = "/v1/users/user-1/recommendations"

    first, retry = (
        ask_for_lists("GET", path, headers=TOKEN | {"Idempotency-Key": "abc"}).json()
        for _ in range(2)
    )
    other = ask_for_lists("GET", path).json()

    assert first == retry
    assert first["slate_id"] != other["slate_id"]


def test_new_lists_are_served_from_the_next_login_on(
    put_copy: PutOut, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy()
    api.reload()
    before = ask("GET", "/readyz").json()["published"]

    put_copy(turn=1)
    api.reload()

    assert ask("GET", "/readyz").json()["published"] != before


def test_accepted_events_are_in_the_store_and_refused_ones_are_told_why(
    config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    bad = [
        EVENT | {"event_id": "e2", "occurred_at": "2026-02-01T09:00:00"},
        EVENT | {"event_type": "dance"},
        7,
        EVENT | {"source_seq": -1},
    ]

    answer = ask("POST", "/v1/events", json=[EVENT, *bad])
    api.stop()

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert [(r["index"], r["reason"]) for r in answer.json()["rejected"]] == [
        (1, "bad_timestamp"),
        (2, "unknown_event_type"),
        (3, "not_an_object"),
        (4, "out_of_range"),
    ]
    assert delivered(config) == [EVENT]


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), TimeoutError(), OSError("?")])
def test_only_a_fault_of_the_spool_is_reported_as_one(config: ApiConfig, error: OSError) -> None:
    def fails(*_: object) -> NoReturn:
        raise error

    with working(replace(config, champion=fails)) as (api, ask):
        champion = ask("GET", "/v1/champion")
        api.spool.append = fails  # type: ignore[method-assign]
        posted = ask("POST", "/v1/events", json=[EVENT])

    assert (champion.status_code, champion.json()["type"]) == (500, "urn:firstchair:unforeseen")
    assert (posted.status_code, posted.json()["type"]) == (503, "urn:firstchair:spool_failed")
    assert str(error.strerror or error) in posted.json()["title"]


def test_lines_that_cannot_be_read_are_counted_by_probe_and_metric(
    put_copy: PutOut, config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy()
    api.reload()
    before = ask("GET", "/readyz").json()["unreadable_bytes"]

    (config.spool / f"api-dead-1{UNREADABLE}").write_bytes(b"no event\n")

    assert (before, ask("GET", "/readyz").json()["unreadable_bytes"]) == (0, 9)
    series = ask("GET", "/metrics").text.splitlines()
    name = f'firstchair_spool_unreadable_bytes{{worker="{api.spool.source}"}}'
    assert f"{name} 9.0" in series


def delivery_processes() -> set[psutil.Process]:
    """The processes that deliver for the workers of this one."""
    children = psutil.Process().children()
    return {child for child in children if delivery.__name__ in child.cmdline()}


def test_what_is_spooled_is_delivered_at_the_end_though_delivery_gets_no_processor(
    config: ApiConfig,
) -> None:
    others = delivery_processes()
    with working(config) as (api, ask):
        # A process has no command line for a moment when it begins.
        wait_for(lambda: delivery_processes() - others)
        (process,) = delivery_processes() - others
        process.suspend()

        ask("POST", "/v1/events", json=[EVENT])
        api.stop()

    assert delivered(config) == [EVENT]
    assert not process.is_running()


def test_a_closed_segment_without_an_event_does_not_outlive_its_worker(
    config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, _ = worker
    (config.spool / f"nothing{SUFFIX}").touch()

    api.stop()

    assert list(config.spool.iterdir()) == []


def clicks(user: str, *artists: str) -> list[dict[str, Any]]:
    """Clicks of this moment."""
    common = {
        "event_type": "click",
        "occurred_at": datetime.now(UTC).isoformat(),
        "slate_id": "s",
        "position": 1,
    }
    return [
        EVENT
        | common
        | {
            "event_id": f"{user}-{artist}",
            "source_seq": number,
            "user_id": user,
            "artist_id": artist,
        }
        for number, artist in enumerate(artists)
    ]


def test_an_unknown_user_has_a_list_of_their_own_right_after_three_clicks(
    put_copy_matrix: PutOut, config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy_matrix()
    api.reload()
    path = "/v1/users/somebody%20new/recommendations?k=20"
    before = ask("GET", path).json()

    ask("POST", "/v1/events", json=clicks("somebody new", "a004", "a008", "a012", "no such artist"))
    after = ask("GET", path).json()
    api.stop()

    assert (before["fallback"], before["model"]["role"]) == ("cold_start", "cold_start")
    # The lists of the test are of a day long past.
    assert (after["fallback"], after["model"]) == (
        "stale",
        {"name": "als", "version": "1", "role": "champion"},
    )
    assert [set(item) for item in after["items"]] == [set(item) for item in before["items"]]
    shown = [item["artist_id"] for item in after["items"]]
    assert len(set(shown)) == 20
    assert not {"a004", "a008", "a012"} & set(shown)
    assert sum(int(artist[1:]) % 2 == 0 for artist in shown[:15]) >= 14
    impressions = [e for e in delivered(config) if e.get("slate_id") == after["slate_id"]]
    assert [(e["artist_id"], e["propensity"], e["model_version"]) for e in impressions] == [
        (item["artist_id"], item["propensity"], "1") for item in after["items"]
    ]


def test_another_worker_knows_at_its_next_look(
    put_copy_matrix: PutOut, config: ApiConfig, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy_matrix()
    other = Api(config)
    for one in (api, other):
        one.reload()
    ask("POST", "/v1/events", json=clicks("user-5", "a004", "a008"))

    other.read_signals()
    logins = [one.logins for one in (api, other) if one.logins is not None]
    shown = [json.loads(found.login("user-5", 20, time.time()))["items"] for found in logins]
    other.spool.close()

    assert shown[0] == shown[1]
    assert not {"a004", "a008"} & {item["artist_id"] for item in shown[0]}


def test_an_event_that_comes_again_changes_nothing(
    put_copy_matrix: PutOut, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy_matrix()
    api.reload()
    answers = []

    for _ in range(2):
        ask("POST", "/v1/events", json=clicks("user-5", "a004"))
        answers.append(ask("GET", "/v1/users/user-5/recommendations").json()["items"])

    assert answers[0] == answers[1]


def test_switched_off_a_login_is_the_list(put_copy_matrix: PutOut, config: ApiConfig) -> None:
    put_copy_matrix()
    api = Api(replace(config, fold_in=False))
    api.reload()
    assert api.logins is not None

    api.take(
        [json.dumps(event).encode() for event in clicks("somebody new", "a004", "a008", "a012")]
    )
    answer = json.loads(api.logins.login("somebody new", 10, time.time()))
    api.spool.close()

    assert answer["fallback"] == "cold_start"


def test_what_the_lists_know_is_not_folded_in_again(
    put_copy_matrix: PutOut, worker: tuple[Api, Client]
) -> None:
    api, ask = worker
    put_copy_matrix()
    api.reload()
    assert api.logins is not None
    ask("POST", "/v1/events", json=clicks("user-5", "a004"))
    day_after_tomorrow = time.time() + 2 * 86_400

    now, later = (
        json.loads(api.logins.login("user-5", 20, when))
        for when in (time.time(), day_after_tomorrow)
    )

    assert "a004" not in [item["artist_id"] for item in now["items"]]
    assert later["items"] != now["items"]


def test_json_lines_are_taken_too_and_a_broken_line_is_named(ask: Client) -> None:
    body = "\n".join([json.dumps(EVENT), "{broken", json.dumps(EVENT | {"event_id": "e3"})])
    answer = ask("POST", "/v1/events", content=body).json()

    assert answer["accepted"] == 2
    assert [(r["index"], r["reason"]) for r in answer["rejected"]] == [(1, "not_json")]


def test_an_event_is_spooled_as_it_was_sent(config: ApiConfig, worker: tuple[Api, Client]) -> None:
    api, ask = worker
    # Lines of the spool that stand for impressions have a `slate`; the number is over 64 bits.
    event = EVENT | {"slate": {"items": []}, "big": 10**30, "text": "ü\u2028"}

    answer = ask("POST", "/v1/events", content=json.dumps(event, indent=2, ensure_ascii=False))
    api.stop()

    assert answer.json() == {"accepted": 1, "rejected": []}
    assert delivered(config) == [event]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (0, [(0, "not_json")])),
        (b"[]", (0, [])),
        (b"{1}{1}[", (0, [(0, "not_json"), (1, "not_json"), (2, "not_json")])),
        (b'{"event_id":"a","event_id":"b"}', (0, [(0, "not_json")])),
        (json.dumps(EVENT).encode() * 2, (2, [])),
        (json.dumps([EVENT, EVENT]).encode() * 2, (4, [])),
        (json.dumps(EVENT).encode() + b"\x00", (1, [(1, "not_json")])),
        (json.dumps([EVENT, EVENT]).encode()[:-5], (1, [(1, "not_json")])),
        (json.dumps(
            EVENT | {"event_type": "play", "track_id": "t", "ms_played": 86_400_001}).encode(),
         (0, [(0, "out_of_range")])),
    ],
)  # fmt: skip
def test_every_record_of_a_body_is_accounted_for(
    ask: Client, body: bytes, expected: tuple[int, list[tuple[int, str]]]
) -> None:
    answer = ask("POST", "/v1/events", content=body)

    taken = answer.json()
    found = taken["accepted"], [(one["index"], one["reason"]) for one in taken["rejected"]]
    assert (answer.status_code, found) == (202, expected)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity", ""])
def test_a_body_may_be_packed(ask: Client, coding: str) -> None:
    body = json.dumps([EVENT]).encode()
    packed = gzip.compress(body[:9]) + gzip.compress(body[9:])
    headers = TOKEN | ({"Content-Encoding": coding} if coding else {})

    answer = ask(
        "POST", "/v1/events", content=packed if "gzip" in coding.lower() else body, headers=headers
    )

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})


@pytest.mark.parametrize(
    ("coding", "body", "expected"),
    [
        ("gzip", b"plain", 400),
        ("gzip", gzip.compress(b"[]" * 99)[:-9], 400),
        ("gzip", gzip.compress(b"[]")[:-8] + bytes(8), 400),
        ("gzip", gzip.compress(b" " * (1 << 26), compresslevel=1), 413),
        ("gzip", b"x" * (5 << 20), 413),
        ("br", b"[]", 415),
        ("gzip, gzip", b"[]", 415),
    ],
    ids=["plain", "cut", "damaged", "a bomb", "large", "brotli", "twice"],
)
def test_a_body_that_cannot_be_unpacked_is_a_problem(
    ask: Client, coding: str, body: bytes, expected: int
) -> None:
    answer = ask("POST", "/v1/events", content=body, headers=TOKEN | {"Content-Encoding": coding})

    assert (answer.status_code, answer.json()["status"]) == (expected, expected)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("accept-encoding") == ("gzip" if expected == 415 else None)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR "])
@pytest.mark.parametrize("path", ["/v1/champion", "/v1/users/user-1/recommendations"])
def test_the_scheme_of_the_token_may_be_in_any_case(
    ask_for_lists: Client, scheme: str, path: str
) -> None:
    allowed = ask_for_lists("GET", path, headers={"Authorization": f"{scheme} a test's token"})
    others = ("Basic a test's token", "a test's token", "Bearer A TEST'S TOKEN", "Bearer", "")

    assert allowed.status_code == 200
    refused = [ask_for_lists("GET", path, headers={"Authorization": other}) for other in others]
    assert [answer.status_code for answer in refused] == [401] * len(others)


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/champion", "/v1/decisions"],
)
def test_head_is_get_without_its_body(ask_for_lists: Client, path: str) -> None:
    head, get = ask_for_lists("HEAD", path), ask_for_lists("GET", path)

    assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("query", "headers", "expected"), [("", TOKEN, 200), ("?k=0", TOKEN, 422), ("", {}, 401)]
)
def test_head_of_a_login_shows_nothing_to_nobody(
    put_copy: PutOut,
    config: ApiConfig,
    worker: tuple[Api, Client],
    query: str,
    headers: dict[str, str],
    expected: int,
) -> None:
    api, ask = worker
    put_copy()
    api.reload()

    head = ask("HEAD", f"/v1/users/user-1/recommendations{query}", headers=headers)
    api.stop()

    assert (head.status_code, head.content) == (expected, b"")
    assert delivered(config) == []


@pytest.mark.parametrize("path", ["/", "/decisions", "/nosuch"])
def test_head_of_a_page_answers_as_get_does(ask: Client, path: str) -> None:
    page = {"Accept": "text/html"}
    head, get = (ask(method, path, headers=page) for method in ("HEAD", "GET"))

    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_where_only_post_is_says_so(ask: Client) -> None:
    assert ask("HEAD", "/v1/events").status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "more", "expected"),
    [
        ("GET", "/v1/users/user-1/recommendations", {"headers": {}}, 401),
        (
            "GET",
            "/v1/users/user-1/recommendations",
            {"headers": {"Authorization": "Bearer wrong"}},
            401,
        ),
        ("GET", "/v1/champion", {"headers": {}}, 401),
        ("POST", "/v1/events", {"headers": {}, "json": []}, 401),
        ("GET", "/v1/users/user-1/recommendations?k=0", {}, 422),
        ("GET", "/v1/users/user-1/recommendations?k=51", {}, 422),
        ("GET", "/v1/users/user-1/recommendations?k=ten", {}, 422),
        ("GET", "/v1/users/user-1/recommendations", {}, 503),
        ("GET", "/readyz", {}, 503),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", "/v1/events", {}, 405),
    ],
)
def test_every_refusal_is_a_problem_document(
    ask: Client, method: str, path: str, more: dict[str, Any], expected: int
) -> None:
    answer = ask(method, path, **more)

    assert answer.status_code == expected
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(answer.json())
    assert answer.json()["status"] == expected


def test_a_slash_too_many_is_an_unknown_address_and_no_redirect(ask: Client) -> None:
    for path in ("/v1/champion/", "/v1/decisions/", "/healthz/", "/v1/events/"):
        answer = ask("GET", path)

        assert (answer.status_code, answer.headers.get("location")) == (404, None)


LOGIN = "/v1/users/user-1/recommendations"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
@pytest.mark.parametrize("path", [LOGIN, "/v1/champion", "/healthz"])
def test_the_service_answers_under_its_own_names(
    ask_for_lists: Client, path: str, host: str
) -> None:
    assert ask_for_lists("GET", path, headers={**TOKEN, "host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "[::2]"])
@pytest.mark.parametrize("path", [LOGIN, "/v1/champion", "/healthz", "/", "/openapi.json"])
def test_a_foreign_host_is_refused_on_every_path(
    ask_for_lists: Client, path: str, host: str
) -> None:
    answer = ask_for_lists("GET", path, headers={**TOKEN, "host": host})

    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:firstchair:misdirected"


@pytest.mark.parametrize(
    ("allowed", "listens_at", "host", "is_allowed"),
    [
        ("", "0.0.0.0", b"10.1.2.3:8000", True),
        ("", "0.0.0.0", b"[fe80::1]:8000", True),
        ("", "0.0.0.0", b"firstchair-api", False),
        ("firstchair-api", "0.0.0.0", b"firstchair-api:80", True),
        ("Music.Example.org", "127.0.0.1", b"music.example.org", True),
        ("a.example , *.b.example", "127.0.0.1", b"x.y.b.example.", True),
        ("a.example , *.b.example", "127.0.0.1", b"b.example", False),
        ("*", "127.0.0.1", b"anything", True),
        ("", "127.0.0.1", b"", True),
    ],
)
def test_hosts_are_allowed_by_name_and_beyond_loopback_by_address(
    allowed: str, listens_at: str, host: bytes, is_allowed: bool
) -> None:
    assert AllowedHosts.of(allowed, listens_at=listens_at).admits(host) is is_allowed


@pytest.mark.parametrize("path", [LOGIN, "/v1/champion", "/healthz", "/nowhere", "/openapi.json"])
def test_every_answer_says_that_it_is_private_and_what_its_type_says(
    ask_for_lists: Client, path: str
) -> None:
    for headers in (TOKEN, {}):
        answer = ask_for_lists("GET", path, headers=headers)

        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("scope", "read", "write"),
    [(Scope.READ, 200, 403), (Scope.WRITE_EVENTS, 403, 202), (Scope.OPERATE, 200, 403)],
)
def test_a_token_may_do_what_its_scopes_say_until_it_is_revoked(
    put_copy: PutOut, config: ApiConfig, scope: Scope, read: int, write: int
) -> None:
    file = config.spool.parent / "tokens.json"
    put_copy()

    with working(config) as (api, ask):
        token = add_token(file, name="ana", scopes=[scope])
        api.refresh_tokens()
        more: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}"}}
        reads = [ask("GET", path, **more) for path in (LOGIN, "/v1/champion", "/v1/decisions")]
        written = ask("POST", "/v1/events", json=[], **more)
        revoke_token(file, name="ana")
        api.refresh_tokens()

        assert {answer.status_code for answer in reads} == {read}
        assert written.status_code == write
        for answer in (*reads, written):
            if answer.status_code == 403:
                assert answer.json()["type"] == "urn:firstchair:forbidden"
        assert ask("GET", LOGIN, **more).status_code == 401


@pytest.mark.parametrize("path", [LOGIN, "/v1/champion"])
def test_wrong_tokens_meet_a_limit(config: ApiConfig, path: str) -> None:
    wrong = {"headers": {"Authorization": "Bearer wrong"}}

    with working(config) as (_, ask):
        found = [ask("GET", path, **wrong) for _ in range(AT_ONCE + 20)]

    codes = [answer.status_code for answer in found]
    assert codes[:AT_ONCE] == [401] * AT_ONCE
    # Some more are judged while time goes on.
    assert 429 in codes[AT_ONCE:]
    refused = found[codes.index(429)]
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) > 0


def test_a_body_without_end_is_refused(ask: Client) -> None:
    answer = ask("POST", "/v1/events", content=b"[" + b" " * (5 << 20))

    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_probes_and_metrics_want_no_token(ask_for_lists: Client) -> None:
    ask_for_lists("GET", "/v1/users/user-1/recommendations")

    assert ask_for_lists("GET", "/healthz", headers={}).json() == {"status": "ok"}
    assert ask_for_lists("GET", "/readyz", headers={}).json()["users"] == 30
    assert "firstchair_slates_total{" in ask_for_lists("GET", "/metrics", headers={}).text
    assert LENGTH == 20


def test_who_is_champion_is_told_as_the_command_tells_it(ask: Client) -> None:
    champion = ask("GET", "/v1/champion").json()["champion"]

    assert (champion["family"], champion["stage"]) == ("als", "champion")
    (entry,) = ask("GET", "/v1/decisions").json()
    assert entry["champion_after"] == champion["version"]


def test_a_page_of_the_ledger_names_the_next_one(config: ApiConfig) -> None:
    def newest_two(before: int | None) -> list[dict[str, int]]:
        return [{"sequence": number} for number in range((before or 4) - 1, 0, -1)[:2]]

    with working(replace(config, decisions=newest_two)) as (_, ask):
        first = ask("GET", "/v1/decisions")
        second = ask("GET", first.links["next"]["url"])
        refused = ask("GET", "/v1/decisions?before=0")

    assert [entry["sequence"] for entry in first.json() + second.json()] == [3, 2, 1]
    assert "link" not in second.headers
    assert refused.status_code == 422


def test_the_interface_describes_itself(ask: Client) -> None:
    described = ask("GET", "/openapi.json").json()

    assert {
        "/v1/users/{user_id}/recommendations",
        "/v1/events",
        "/v1/champion",
        "/v1/decisions",
    } <= set(described["paths"])
    assert MAX_K == 50


def test_an_unknown_address_is_a_page_for_a_browser_and_a_document_for_a_machine(
    ask: Client,
) -> None:
    browser = {"headers": {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}}

    page, machine, call = (
        ask("GET", "/nosuch", **browser),
        ask("GET", "/nosuch"),
        ask("GET", "/v1/nosuch", **browser),
    )

    assert (page.status_code, machine.status_code, call.status_code) == (404, 404, 404)
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no such page." in page.text
    assert "application/problem+json" in machine.headers["content-type"]
    assert "application/problem+json" in call.headers["content-type"]
