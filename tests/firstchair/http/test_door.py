"""The door of Dagster and MLflow: who may read, who may write, and what nobody may."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from firstchair.access.audit import AuditLog
from firstchair.access.authorizer import Authorizer
from firstchair.access.scopes import Scope
from firstchair.access.sessions import COOKIE, Sessions
from firstchair.access.tokens import Tokens, add_token
from firstchair.http.door import Door, application
from firstchair.http.door_rules import Ask, Asked, dagster_rule, mlflow_rule
from tests.event_loop import run_apart

DAGSTER, MLFLOW = "http://localhost:3000", "http://localhost:5000"
HERE, ELSEWHERE = "127.0.0.1", "192.0.2.7"
READ = json.dumps({"query": "query A { version } fragment B on C { d }"}).encode()
WRITE = json.dumps({"query": 'mutation { stopRunningSchedule(id: "a") { id } }'}).encode()
AS_JSON = "application/json"
Ways = dict[str, Any]


def graphql(method: str, query: str = "", body: bytes = b"", kind: str = AS_JSON) -> Asked:
    return Asked(method, "/graphql", query, kind, body)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (graphql("POST", body=READ), Ask.READ),
        (graphql("POST", body=WRITE), Ask.WRITE),
        (graphql("POST", body=b'{"query": "subscription { a }"}'), Ask.WRITE),
        (graphql("POST", body=b'{"query": "query A { a } mutation B { b }"}'), Ask.WRITE),
        (graphql("POST", body=b'{"query": "query A { a }", "query": "mutation { b }"}'), Ask.WRITE),
        (graphql("POST", body=b'{"query": "no graphql"}'), Ask.WRITE),
        (graphql("POST", body=b"[%b]" % READ), Ask.REFUSED),
        (graphql("POST", body=b"{"), Ask.REFUSED),
        (graphql("POST", body=READ, kind="text/plain"), Ask.REFUSED),
        (graphql("POST", body=b"mutation { a }", kind="application/graphql"), Ask.REFUSED),
        (graphql("POST", query="query=mutation{a}", body=READ), Ask.REFUSED),
        (graphql("PUT", body=READ), Ask.REFUSED),
        (graphql("GET"), Ask.READ),
        (graphql("GET", query="query={version}"), Ask.READ),
        (graphql("GET", query="query=mutation%7Ba%7D"), Ask.REFUSED),
        (graphql("GET", query="query={a}&query=mutation{a}"), Ask.REFUSED),
        (graphql("GET", query="%71uery=mutation{a}"), Ask.REFUSED),
        (Asked("GET", "/runs/1"), Ask.READ),
        (Asked("POST", "/report_asset_materialization/a"), Ask.WRITE),
    ],
)
def test_what_dagster_is_asked_for(asked: Asked, expected: Ask) -> None:
    assert dagster_rule(asked) is expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/ajax-api/2.0/mlflow/registered-models/get", Ask.READ),
        ("POST", "/ajax-api/2.0/mlflow/runs/search", Ask.READ),
        ("POST", "/api/2.0/mlflow/experiments/search", Ask.READ),
        ("POST", "/api/2.0/mlflow/registered-models/alias", Ask.WRITE),
        ("POST", "/api/2.0/mlflow/runs/search/../delete", Ask.WRITE),
        ("DELETE", "/api/2.0/mlflow/registered-models/alias", Ask.WRITE),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", Ask.WRITE),
        ("PATCH", "/api/2.0/mlflow/runs/search", Ask.WRITE),
    ],
)
def test_what_mlflow_is_asked_for(method: str, path: str, expected: Ask) -> None:
    assert mlflow_rule(Asked(method, path)) is expected


@given(st.text(), st.binary(), st.sampled_from(["GET", "POST"]))
@settings(max_examples=100, deadline=None)
def test_no_input_fails_the_rules(text: str, body: bytes, method: str) -> None:
    written = json.dumps({"query": text}).encode()
    for rule in (dagster_rule, mlflow_rule):
        for sent in (written, body):
            assert rule(graphql(method, text, sent)) in Ask


async def _echo(request: Request) -> Response:
    if request.url.path == "/moved":
        return RedirectResponse(f"http://behind{'/runs'}")
    seen = {"path": request.url.path, "method": request.method, "headers": dict(request.headers)}
    return JSONResponse(seen, headers={"access-control-allow-origin": "*"})


class House:
    """The door before an application that answers with what it saw."""

    def __init__(self, folder: Path, url: sa.URL) -> None:
        self.folder = folder
        scopes = {"viewer": Scope.READ, "operator": Scope.OPERATE, "app": Scope.WRITE_EVENTS}
        made = {n: add_token(folder / "tokens.json", name=n, scopes=[s]) for n, s in scopes.items()}
        self.bearers = {n: {"authorization": f"Bearer {token}"} for n, token in made.items()}
        self.operator = made["operator"]
        self.tokens = Tokens(lambda: "root", folder / "tokens.json")
        self.sessions = Sessions(Authorizer(self.tokens), url)
        self.seen: list[str] = []

    def ask(
        self, method: str, url: str, *, at: str = HERE, loopback_reads: bool = True, **more: Any
    ) -> httpx.Response:
        async def call() -> httpx.Response:
            async with self._client(at, loopback_reads) as client:
                return await client.request(method, url, **more)

        return run_apart(call)

    @asynccontextmanager
    async def _client(self, at: str, loopback_reads: bool) -> AsyncIterator[httpx.AsyncClient]:
        methods = ["GET", "POST", "PUT", "DELETE"]
        behind = Starlette(routes=[Route("/{path:path}", _echo, methods=methods)])
        rules = {3000: ("Dagster", dagster_rule), 5000: ("MLflow", mlflow_rule)}
        doors = {
            port: Door(
                name,
                "http://behind",
                rule,
                self.sessions,
                AuditLog.at(self.folder),
                loopback_reads=loopback_reads,
                transport=httpx.ASGITransport(app=behind),
            )
            for port, (name, rule) in rules.items()
        }
        transport = httpx.ASGITransport(app=application(doors, self.tokens), client=(at, 9))
        async with httpx.AsyncClient(transport=transport) as client:
            yield client

    def audited(self) -> list[tuple[str, str, str]]:
        file = self.folder / "logs" / "audit.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(x["deed"], x["by"], x["outcome"]) for x in map(json.loads, lines)]


@pytest.fixture
def house(tmp_path: Path, new_database: Callable[[], sa.URL]) -> House:
    return House(tmp_path, new_database())


def write(house: House, **more: Any) -> httpx.Response:
    headers = {"content-type": AS_JSON} | more.pop("headers", {})
    return house.ask("POST", f"{DAGSTER}/graphql", content=WRITE, headers=headers, **more)


def test_over_loopback_one_reads_and_does_not_write(house: House) -> None:
    assert house.ask("GET", f"{DAGSTER}/runs").json()["path"] == "/runs"
    as_json = {"content-type": AS_JSON}
    assert house.ask("POST", f"{DAGSTER}/graphql", content=READ, headers=as_json).is_success
    assert house.ask("POST", f"{MLFLOW}/api/2.0/mlflow/runs/search", json={}).is_success

    assert write(house).status_code == 403
    alias = house.ask("DELETE", f"{MLFLOW}/api/2.0/mlflow/registered-models/alias")
    assert alias.status_code == 403
    assert house.ask("GET", f"{DAGSTER}/runs", loopback_reads=False).status_code == 401
    assert house.audited() == [
        (name, "loopback", "the token's scopes do not include this")
        for name in ("Dagster", "MLflow")
    ]


def test_from_elsewhere_the_door_is_closed_without_a_token(house: House) -> None:
    page = house.ask("GET", f"{DAGSTER}/runs", at=ELSEWHERE, headers={"accept": "text/html"})

    assert house.ask("GET", f"{DAGSTER}/runs", at=ELSEWHERE).status_code == 401
    assert (page.status_code, page.headers["location"]) == (303, "http://localhost:8000/sign-in")
    viewer, app = house.bearers["viewer"], house.bearers["app"]
    assert house.ask("GET", f"{DAGSTER}/runs", at=ELSEWHERE, headers=viewer).is_success
    assert house.ask("GET", f"{DAGSTER}/runs", at=ELSEWHERE, headers=app).status_code == 403
    wrong = {"authorization": "Bearer wrong"}
    assert house.ask("GET", f"{DAGSTER}/runs", headers=wrong).status_code == 401


def test_an_operator_writes_and_each_write_is_audited(house: House) -> None:
    assert write(house, headers=house.bearers["viewer"]).status_code == 403
    assert write(house, headers=house.bearers["operator"]).is_success

    assert house.audited()[-1] == ("Dagster", "operator", "answered 200")


def test_a_session_of_the_console_writes_from_the_doors_own_pages_alone(house: House) -> None:
    cookie = house.sessions.begin(house.operator, HERE, datetime.now(UTC))
    signed_in = {"cookie": f"{COOKIE}={cookie}; other=1"}

    assert write(house, headers=signed_in | {"origin": "http://localhost:3000"}).is_success
    for origin in ("http://localhost:8000", "http://evil.example", "null"):
        assert write(house, headers=signed_in | {"origin": origin}).status_code == 403
    for site in ("same-site", "cross-site"):
        assert write(house, headers=signed_in | {"sec-fetch-site": site}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/graphql?query=mutation{a}",
        "/%67raphql?query=mutation{a}",
        "/./graphql?query=mutation{a}",
        "/x/../graphql?query=mutation{a}",
        "/GraphQL/?query=mutation{a}",
        "//graphql?query=mutation{a}",
    ],
)
def test_nobody_commands_by_an_address(house: House, path: str) -> None:
    operator = house.bearers["operator"]
    for headers in ({}, operator):
        assert house.ask("GET", f"{DAGSTER}{path}", headers=headers).status_code == 403


def test_a_foreign_host_is_refused(house: House) -> None:
    operator = house.bearers["operator"]
    answer = house.ask("GET", f"{DAGSTER}/runs", headers=operator | {"host": "evil.example:3000"})

    assert answer.status_code == 421


def test_what_is_behind_learns_no_secret_and_opens_itself_to_no_other_site(house: House) -> None:
    sent = house.bearers["viewer"] | {"cookie": f"{COOKIE}=secret", "x-forwarded-for": "1.2.3.4"}

    answer = house.ask("GET", f"{DAGSTER}/runs", headers=sent)

    seen = answer.json()["headers"]
    assert {"authorization", "cookie", "x-forwarded-for", "origin"} & set(seen) == set()
    assert seen["host"] == "behind"
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert house.ask("GET", f"{DAGSTER}/moved").headers["location"] == "/runs"
