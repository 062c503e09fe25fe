"""Signing in by an identity provider: only who it vouches for, here and now, and with a role."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from httpx import Response
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from starlette.testclient import TestClient

from firstchair.access.audit import NAME, AuditLog
from firstchair.access.authorizer import Authorizer
from firstchair.access.oidc import PATIENCE, Failure, Person, Provider
from firstchair.access.scopes import Scope
from firstchair.access.sessions import COOKIE, Sessions
from firstchair.access.tokens import Tokens
from firstchair.console import console
from firstchair.errors import SourceError
from firstchair.settings import Settings
from tests.firstchair.access.issuer import CLIENT, SECRET, Issuer, issuing

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)
BACK = "http://127.0.0.1:8000/sign-in/provider/back"
OPERATOR = {"groups": ["staff", "ops"]}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as found:
        found.claims |= OPERATOR
        yield found


@pytest.fixture
def provider(issuer: Issuer, tmp_path: Path) -> Provider:
    settings = Settings(
        home=tmp_path,
        oidc_issuer=issuer.address,
        oidc_client_id=CLIENT,
        oidc_client_secret=cast(Any, SECRET),
        oidc_operators="ops, admins",
        oidc_viewers="staff",
    )
    found = Provider.of(settings)
    assert found is not None
    return found


def came_back(provider: Provider, issuer: Issuer, **changed: str) -> Any:
    address, cookie = provider.begin(BACK, "/drift")
    return provider.finish(cookie, issuer.sign_in(address) | changed)


@pytest.mark.parametrize(
    ("claimed", "scopes"),
    [
        (["staff", "ops"], {Scope.READ, Scope.OPERATE}),
        ("admins", {Scope.READ, Scope.OPERATE}),
        (["staff"], {Scope.READ}),
    ],
)
def test_a_persons_claims_make_them_operator_or_viewer(
    provider: Provider, issuer: Issuer, claimed: Any, scopes: set[Scope]
) -> None:
    issuer.claims["groups"] = claimed

    assert came_back(provider, issuer) == (Person("ana", frozenset(scopes)), "/drift")


@pytest.mark.parametrize("claimed", [None, [], ["guests"], {"ops": True}, 7, ["op"], "ops,staff"])
def test_who_has_no_role_is_not_signed_in(provider: Provider, issuer: Issuer, claimed: Any) -> None:
    issuer.claims["groups"] = claimed

    assert came_back(provider, issuer) == Failure.NO_ROLE


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://another.example"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"iat": 4102444800},
        {"sub": None},
        {"azp": "another"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_proves_nothing(
    provider: Provider, issuer: Issuer, claims: dict[str, Any]
) -> None:
    issuer.claims |= claims

    assert came_back(provider, issuer) == Failure.NOT_PROVEN


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ES256", ECKey.generate_key("P-256", {"kid": "first"})),
        ("HS256", OctKey.import_key(SECRET)),
    ],
)
def test_a_token_that_another_key_signed_proves_nothing(
    provider: Provider, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, algorithm: str, key: Any
) -> None:
    told = Issuer.token

    def forged(self: Issuer, *asked: Any) -> dict[str, Any] | None:
        honest = told(self, *asked)
        assert honest is not None
        claims = jwt.decode(honest["id_token"], issuer.key).claims
        return {"id_token": jwt.encode({"alg": algorithm, "kid": "first"}, claims, key)}

    monkeypatch.setattr(Issuer, "token", forged)

    assert came_back(provider, issuer) == Failure.NOT_PROVEN


def test_new_keys_of_the_provider_are_read(provider: Provider, issuer: Issuer) -> None:
    came_back(provider, issuer)
    issuer.key = ECKey.generate_key("P-256", {"kid": "second"})

    assert isinstance(came_back(provider, issuer), tuple)


@pytest.mark.parametrize(
    ("changed", "failure"),
    [
        ({"state": "another"}, Failure.STALE),
        ({"code": ""}, Failure.DENIED),
        ({"code": "made up"}, Failure.NOT_PROVEN),
        ({"iss": "https://another.example"}, Failure.NOT_PROVEN),
    ],
)
def test_an_answer_to_another_sign_in_is_refused(
    provider: Provider, issuer: Issuer, changed: dict[str, str], failure: Failure
) -> None:
    assert came_back(provider, issuer, **changed) == failure


def test_who_was_away_too_long_begins_anew(provider: Provider, issuer: Issuer) -> None:
    address, cookie = provider.begin(BACK, "/")
    late = replace(provider, now=lambda: provider.now() + PATIENCE + 61)

    assert late.finish(cookie, issuer.sign_in(address)) == Failure.STALE
    assert provider.finish("", issuer.sign_in(address)) == Failure.STALE
    assert provider.finish(f"{cookie}x", issuer.sign_in(address)) == Failure.STALE


def test_a_provider_that_does_not_answer_is_named(provider: Provider) -> None:
    with issuing() as gone:
        pass

    with pytest.raises(SourceError, match=re.escape(gone.address)):
        replace(provider, issuer=gone.address).begin(BACK, "/")
    with pytest.raises(SourceError, match="calls itself"):
        replace(provider, issuer=f"{provider.issuer}/").begin(BACK, "/")


@pytest.fixture
def browser(provider: Provider, new_database: Callable[[], sa.URL], tmp_path: Path) -> TestClient:
    """A browser in front of a console with that provider; the console's data are not read."""
    sessions = Sessions(
        Authorizer(Tokens(lambda: "a token", tmp_path / "tokens.json")),
        new_database(),
        issuer=provider.issuer,
    )
    app = FastAPI()
    app.state.sessions = sessions
    app.include_router(
        console(
            cast(Any, None),
            sessions=sessions,
            audit=AuditLog.at(tmp_path),
            clock=lambda: NOW,
            provider=provider,
        )
    )
    return TestClient(
        app,
        base_url="http://127.0.0.1:8000",
        headers={"accept": "text/html"},
        follow_redirects=False,
    )


def through(browser: TestClient, issuer: Issuer, then: str = "/drift") -> Response:
    assert f"Sign in by {issuer.address}" in browser.get("/sign-in").text
    asked = browser.get("/sign-in/provider", params={"next": then})
    assert asked.status_code == 303
    assert parse_qs(urlsplit(asked.headers["location"]).query)["redirect_uri"] == [BACK]
    return browser.get("/sign-in/provider/back", params=issuer.sign_in(asked.headers["location"]))


def test_a_person_goes_through_the_provider_to_the_page_that_they_wanted(
    browser: TestClient, issuer: Issuer, tmp_path: Path
) -> None:
    answer = through(browser, issuer)

    assert (answer.status_code, 'content="0;url=/drift"' in answer.text) == (200, True)
    session = browser.app.state.sessions.open(browser.cookies[COOKIE], NOW)  # type: ignore[attr-defined]
    assert (session.name, session.may_operate) == ("ana", True)
    cookies = answer.headers.get_list("set-cookie")
    assert any(c.startswith(COOKIE) and "HttpOnly" in c and "SameSite=strict" in c for c in cookies)
    assert browser.get("/sign-in?next=/drift").headers["location"] == "/drift"
    line = json.loads((tmp_path / "logs" / NAME).read_text().splitlines()[-1])
    assert (line["deed"], line["by"], line["outcome"]) == ("sign in", "ana", "done")


def test_a_person_without_a_role_is_told_so_and_gets_no_session(
    browser: TestClient, issuer: Issuer
) -> None:
    issuer.claims["groups"] = ["guests"]

    answer = through(browser, issuer)

    assert (answer.status_code, Failure.NO_ROLE.value in answer.text) == (403, True)
    assert COOKIE not in browser.cookies


def test_the_way_back_leads_to_pages_of_this_site_alone(
    browser: TestClient, issuer: Issuer
) -> None:
    answer = through(browser, issuer, "//elsewhere.example/")

    assert 'content="0;url=/"' in answer.text


def test_a_session_ends_with_the_provider_of_the_settings(
    new_database: Callable[[], sa.URL], tmp_path: Path
) -> None:
    authorizer, url = (
        Authorizer(Tokens(lambda: "a token", tmp_path / "tokens.json")),
        new_database(),
    )
    sessions = Sessions(authorizer, url, issuer="https://one.example")
    person = Person("ana", frozenset({Scope.READ}))

    cookie = sessions.begin_for(person, NOW)

    opened = sessions.open(cookie, NOW)
    assert opened is not None
    assert (opened.name, opened.may_operate) == ("ana", False)
    assert Sessions(authorizer, url, issuer="https://two.example").open(cookie, NOW) is None
    assert Sessions(authorizer, url).open(cookie, NOW) is None
