"""Decisions by hand: accepted from the person's own session alone, with a reason, kept for ever."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markupsafe import escape
from starlette.testclient import TestClient

from firstchair.access.audit import AuditLog
from firstchair.access.authorizer import Authorizer
from firstchair.access.limits import AT_ONCE, WrongTokens
from firstchair.access.scopes import Scope
from firstchair.access.sessions import Sessions
from firstchair.access.tokens import Tokens, add_token, revoke_token
from firstchair.console import ConsoleConfig, Sources, console
from firstchair.console.opening import ConsoleDecisions
from firstchair.databases import Databases
from firstchair.lake import tables as t
from firstchair.platform.alerts import Alert
from firstchair.platform.journal import Journal, Silence
from firstchair.platform.platform import Platform
from firstchair.promotion.audition import Effect
from firstchair.settings import Settings
from tests.firstchair.promotion.conftest import AS_OF, NOW
from tests.firstchair.promotion.test_live import Stand

TOKEN = "a reviewer's token"
REASON = "The label asks for it & we <agree>."
FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')
Enter = Callable[..., TestClient]


@pytest.fixture
def alarmed(stand: Stand) -> Journal:
    """Two alerts are open on the console of `enter`; what is said of them is kept here."""
    journal = Journal(stand.a.ledger.url)
    journal.migrate()
    return journal


@pytest.fixture
def enter(
    stand: Stand, session_databases: Databases, tmp_path: Path, request: pytest.FixtureRequest
) -> Enter:
    """Gives a browser that has signed in to a console over the stand's ledger and registry."""
    is_alarmed = "alarmed" in request.fixturenames
    alerts = (Alert("stale_data", "Old."), Alert("sequence_gaps", "Holes.")) if is_alarmed else ()
    a = stand.a
    journal = Journal(a.ledger.url)
    settings = Settings(home=tmp_path / "home")
    platform = Platform(settings, session_databases, a.lake, a.registry, a.ledger, journal, NOW)
    config = ConsoleConfig(
        lake=a.lake,
        k_anonymity=20,
        reports=tmp_path,
        addresses={},
        alerts=lambda: alerts,
        causes=tuple,
        by_hand=ConsoleDecisions(platform),
        silences=journal if is_alarmed else None,
    )
    sources = Sources(config, a.registry, a.ledger, b"key", lambda: None)
    app = FastAPI()
    tokens = Tokens(lambda: TOKEN, tmp_path / "tokens.json")
    sessions = Sessions(Authorizer(tokens, WrongTokens(lambda: 0.0)), a.ledger.url)
    audit = AuditLog.at(tmp_path)
    app.include_router(console(sources, sessions=sessions, audit=audit, clock=lambda: NOW))

    def call(token: str = TOKEN) -> TestClient:
        tokens.refresh(NOW)
        client = TestClient(app, headers={"accept": "text/html"}, follow_redirects=False)
        answer = client.post("/sign-in", data={"token": token, "next": "/"})
        assert answer.headers["location"] == "/"
        return client

    return call


def form_token(client: TestClient) -> str:
    found = FORM_TOKEN.search(client.get("/by-hand").text)
    assert found is not None
    return found[1]


def typed(client: TestClient, **fields: str) -> dict[str, str]:
    return {"form_token": form_token(client), "person": "ana", "reason": REASON, **fields}


def test_a_typed_reason_lands_in_the_ledger_and_the_alias_follows(
    enter: Enter, stand: Stand
) -> None:
    client, version = enter(), stand.a.number("content")

    answer = client.post("/promote", data=typed(client, version=version))

    entry = stand.a.ledger.last()
    assert entry is not None
    assert (answer.status_code, answer.headers["location"]) == (303, f"/decisions/{entry.sequence}")
    assert (entry.decision, entry.champion_after, entry.actor) == ("promote", version, "ana")
    assert (entry.reasons, entry.reason_codes) == ((REASON,), ("by_hand",))
    assert stand.a.aliases()["champion"] == version
    assert stand.a.ledger.verify().ok
    assert "we &lt;agree&gt;" in client.get(answer.headers["location"]).text
    assert f"version {version}" in client.get("/").text


def test_a_rollback_names_the_version_that_comes_back_and_waits_for_a_yes(
    enter: Enter, stand: Stand
) -> None:
    client, content = enter(), stand.a.number("content")
    client.post("/promote", data=typed(client, version=content))
    entries = stand.a.ledger.entries()

    asked = client.post("/rollback", data=typed(client, reason="It was a mistake."))

    assert asked.status_code == 200
    assert f"Bring back version {stand.als}" in asked.text
    assert f"Version {content} (Content) is removed" in " ".join(asked.text.split())
    assert stand.a.ledger.entries() == entries

    confirmed = typed(client, reason="It was a mistake.", version=stand.als)
    answer = client.post("/rollback", data=confirmed)

    entry = stand.a.ledger.last()
    assert (answer.status_code, entry and entry.reasons) == (303, ("It was a mistake.",))
    assert stand.a.aliases()["champion"] == stand.als


def test_a_second_click_on_rollback_brings_nothing_back(enter: Enter, stand: Stand) -> None:
    client, content = enter(), stand.a.number("content")
    client.post("/promote", data=typed(client, version=content))
    confirmed = typed(client, reason="It was a mistake.", version=stand.als)
    client.post("/rollback", data=confirmed)
    entries = stand.a.ledger.entries()

    again = [
        client.post("/rollback", data=confirmed | {"version": v}) for v in (stand.als, content)
    ]

    assert {answer.status_code for answer in again} == {409}
    assert f"{content} was rolled back" in again[0].text
    assert stand.a.ledger.entries() == entries
    assert stand.a.aliases()["champion"] == stand.als
    assert "No version that served before may come back" in client.get("/by-hand").text


def test_the_versions_of_the_day_are_offered_with_their_stage(enter: Enter, stand: Stand) -> None:
    page = enter().get("/by-hand").text

    offered = re.findall(r'<option value="(\d+)">\1: [^<]*, ([a-z ]+)</option>', page)

    a = stand.a
    assert set(offered) >= {(stand.xgboost, "canary"), (a.number("random"), "candidate")}
    assert stand.als not in dict(offered)


def test_a_form_of_no_or_another_session_does_nothing(enter: Enter, stand: Stand) -> None:
    client, entries = enter(), stand.a.ledger.entries()
    forged = ("", "0" * 64, form_token(enter()))

    answers = [
        client.post(deed, data=typed(client, version=stand.a.number("content"), form_token=token))
        for deed in ("/promote", "/rollback")
        for token in forged
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert stand.a.ledger.entries() == entries
    assert stand.a.aliases()["champion"] == stand.als


def test_a_form_sent_from_another_site_does_nothing(enter: Enter, stand: Stand) -> None:
    client, entries = enter(), stand.a.ledger.entries()
    data = typed(client, version=stand.a.number("content"))

    answer = client.post("/promote", data=data, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403
    assert stand.a.ledger.entries() == entries


def test_without_a_reason_a_name_or_a_version_nothing_is_done(enter: Enter, stand: Stand) -> None:
    client, entries = enter(), stand.a.ledger.entries()
    whole = typed(client, version=stand.a.number("content"))

    for missing in (
        {"reason": "because"},
        {"person": " "},
        {"person": "a" * 101},
        {"version": ""},
        {"version": "1\x00"},
        {"reason": f"{REASON}\x00"},
    ):
        answer = client.post("/promote", data=whole | missing)

        assert answer.status_code == 422
        assert "Nothing was done." in answer.text
    assert stand.a.ledger.entries() == entries


def test_a_version_that_cannot_be_promoted_is_refused_with_its_reason(
    enter: Enter, stand: Stand
) -> None:
    client, entries = enter(), stand.a.ledger.entries()

    sitting = client.post("/promote", data=typed(client, version=stand.als))
    unknown = client.post("/promote", data=typed(client, version="999"))

    assert (sitting.status_code, unknown.status_code) == (409, 404)
    assert "is the champion already" in sitting.text
    assert stand.a.ledger.entries() == entries


def test_who_is_not_signed_in_sees_the_form_or_is_told_what_he_lacks(enter: Enter) -> None:
    client = enter()
    client.cookies.clear()

    page, machine = (
        client.get("/decisions?text=a"),
        client.get("/decisions", headers={"accept": "*/*"}),
    )

    assert (page.status_code, page.headers["location"]) == (
        303,
        "/sign-in?next=/decisions%3Ftext%3Da",
    )
    sent = client.post("/promote", data={"version": "2", "person": "ana", "reason": REASON})
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=/")
    assert (machine.status_code, machine.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert (
        client.get("/", headers={"authorization": "Bearer wrong", "accept": "*/*"}).status_code
        == 401
    )


TEXTS = st.text(max_size=60) | st.sampled_from([
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "9999-12-31",
    "99999-01-01", "-1", "0", "9223372036854775807", "9223372036854775808", "1e400", "nan", "\x00",
    "\ud7ff\uffff", "%", "..",
])  # fmt: skip
PATHS = {
    "/": (), "/audition": ("stage",), "/engagement": ("segment", "days"), "/drift": ("day",),
    "/quality": (), "/decisions": ("decision", "text", "before", "at"), "/decisions/{}": (),
    "/reports/{}/{}": (), "/lineage": (), "/listener": (), "/by-hand": (), "/sign-in": ("next",),
}  # fmt: skip
FORMS = {
    "/sign-in": ("token", "next"),
    "/listener": ("user_id",),
    "/promote": ("version", "reason", "person"),
    "/rollback": ("version", "reason", "person"),
}


def test_whatever_a_person_sends_no_page_fails(enter: Enter) -> None:
    client = enter()
    token = form_token(client)
    quick = settings(
        max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )

    @quick
    @given(data=st.data())
    @example(data=None)
    def ask(data: st.DataObject | None) -> None:
        if data is None:
            answer = client.get("/decisions", params={"at": "0001-01-01T00:00:00+14:00"})
            assert answer.status_code == 422
            return
        if data.draw(st.booleans()):
            path = data.draw(st.sampled_from(sorted(PATHS)))
            parts = (quote(data.draw(TEXTS), safe="") for _ in range(path.count("{}")))
            query = {name: data.draw(TEXTS) for name in PATHS[path] if data.draw(st.booleans())}
            answer = client.get(path.format(*parts), params=query)
        else:
            path = data.draw(st.sampled_from(sorted(FORMS)))
            fields = {name: data.draw(TEXTS) for name in FORMS[path]}
            answer = client.post(path, data={"form_token": token, **fields})
        assert answer.status_code < 500, (path, answer.text[:300])

    ask()


def audited(folder: Path) -> list[tuple[str, str, str]]:
    lines = (folder / "logs" / "audit.jsonl").read_text().splitlines()
    return [(line["deed"], line["by"], line["outcome"]) for line in map(json.loads, lines)]


def test_a_copied_cookie_opens_nothing_after_signing_out(enter: Enter, tmp_path: Path) -> None:
    client, other = enter(), enter()
    copied = dict(client.cookies)

    client.post("/sign-out", data={"form_token": form_token(client)})

    client.cookies.update(copied)
    assert client.get("/").headers["location"].startswith("/sign-in")
    assert other.get("/").status_code == 200
    signed_in, signed_out = ("sign in", "api_token", "done"), ("sign out", "api_token", "done")
    assert audited(tmp_path) == [signed_in, signed_in, signed_out]


def test_a_viewer_sees_all_pages_and_decides_nothing(
    enter: Enter, stand: Stand, tmp_path: Path
) -> None:
    viewer = add_token(tmp_path / "tokens.json", name="ana", scopes=[Scope.READ])
    operator = add_token(tmp_path / "tokens.json", name="ben", scopes=[Scope.OPERATE])
    entries, version = stand.a.ledger.entries(), stand.a.number("content")
    ana, ben = enter(viewer), enter(operator)

    page = ana.get("/decisions")
    form = typed(ben, version=version) | {"form_token": own_form_token(ana)}
    refused = ana.post("/promote", data=form)

    assert (page.status_code, refused.status_code) == (200, 403)
    assert "signed in as a viewer" in ana.get("/by-hand").text
    assert stand.a.ledger.entries() == entries
    assert ben.post("/promote", data=typed(ben, version=version)).status_code == 303
    assert audited(tmp_path)[-2:] == [
        ("promote", "ana", "refused, 403"),
        ("promote", "ben", "done"),
    ]


def own_form_token(client: TestClient) -> str:
    """The secret of a session, from the form for signing out, which every page has."""
    found = FORM_TOKEN.search(client.get("/").text)
    assert found is not None
    return found[1]


def test_a_token_without_the_scope_to_read_opens_no_page(enter: Enter, tmp_path: Path) -> None:
    sender = add_token(tmp_path / "tokens.json", name="app", scopes=[Scope.WRITE_EVENTS])
    client = enter()
    client.cookies.clear()

    assert client.post("/sign-in", data={"token": sender}).status_code == 403
    assert client.get("/", headers={"authorization": f"Bearer {sender}"}).status_code == 403


def test_a_revoked_token_ends_its_sessions(enter: Enter, tmp_path: Path) -> None:
    client = enter(add_token(tmp_path / "tokens.json", name="ana", scopes=[Scope.READ]))
    assert client.get("/").status_code == 200

    revoke_token(tmp_path / "tokens.json", name="ana")
    enter()

    assert client.get("/").headers["location"].startswith("/sign-in")


def test_wrong_tokens_on_the_sign_in_page_meet_a_limit(enter: Enter) -> None:
    client = enter()
    client.cookies.clear()

    guesses = [{"token": f"wrong {n}"} for n in range(AT_ONCE + 1)]
    found = [client.post("/sign-in", data=guess).status_code for guess in guesses]

    assert found == [401] * AT_ONCE + [429]


def test_signing_in_leads_nowhere_else(enter: Enter) -> None:
    client = enter()

    for elsewhere in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil.example",
    ):
        assert (
            client.post("/sign-in", data={"token": TOKEN, "next": elsewhere}).headers["location"]
            == "/"
        )


def test_pages_are_kept_by_no_cache_and_load_nothing(enter: Enter) -> None:
    headers = enter().get("/").headers

    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_audition_is_told_look_by_look_with_its_bounds(enter: Enter, stand: Stand) -> None:
    first = stand.climb()
    for number in (1, 2, 3):
        stand.live(Effect(0.1), number)
        stand.decide(first + number)
    last = stand.a.ledger.last()
    assert last is not None

    page = enter().get("/audition").text

    clicks = last.evidence["metrics"][0]
    for bound in ("relative_difference", "lower", "upper"):
        assert f"{100 * clicks[bound]:+.2f} %".replace("-", "−") in page
    assert (
        page.count(
            f'<td class="tight"><a href="/decisions/{last.sequence}">'
            f"{AS_OF + timedelta(days=5)}</a>"
        )
        == 1
    )
    assert "canary at 50 %" in page and "canary at 5 %" in page
    for check in last.evidence["checks"]:
        assert str(escape(check["detail"])) in page


def test_a_segment_of_too_few_users_is_not_shown(enter: Enter, stand: Stand) -> None:
    first = stand.climb()
    stand.live(Effect(0.1), 3)
    stand.decide(first + 3)
    entry = stand.a.ledger.last()
    assert entry is not None
    rows = stand.a.lake.read(t.EVIDENCE).to_pandas()
    users = (
        rows[rows["day"] >= AS_OF + timedelta(days=first)].groupby("country")["user_key"].nunique()
    )
    smallest, largest = users.idxmin(), users.idxmax()
    assert {smallest, largest} <= {
        s["value"] for s in entry.evidence["segments"] if s["segment"] == "country"
    }
    few = rows[
        (rows["country"] != smallest)
        | rows["user_key"].isin(rows[rows["country"] == smallest]["user_key"][:1])
    ]
    stand.a.lake.overwrite(
        t.EVIDENCE, t.pa.Table.from_pandas(few, schema=t.EVIDENCE.schema, preserve_index=False)
    )

    page = enter().get("/audition").text

    assert f"country {largest}<" in page
    assert f"country {smallest}<" not in page


def test_a_segment_in_which_no_harm_could_be_found_does_not_pass(
    enter: Enter, stand: Stand
) -> None:
    first = stand.climb()
    stand.live(Effect(0.1), 3)
    stand.decide(first + 3)
    entry = stand.a.ledger.last()
    assert entry is not None
    harm = entry.evidence["settings"]["live"]["screen_harm"]
    found = {
        s["value"]: "proven worse"
        if s["deteriorated"]
        else "not enough users"
        if s["minimum_detectable_effect"] > harm
        else "no harm found"
        for s in entry.evidence["segments"]
        if s["segment"] == "country"
    }

    page = enter().get("/audition").text

    table = page.partition("Clicks by segment at the newest evaluation")[2].partition("</table>")[0]
    shown = dict(re.findall(r"country</th><td>([^<]+)</td><td><span[^>]*>([^<]+)</span>", table))
    assert "not enough users" in shown.values()
    assert shown == {value: found[value] for value in shown}


def test_an_alert_is_acknowledged_snoozed_and_taken_back_by_name(
    enter: Enter, alarmed: Journal, tmp_path: Path
) -> None:
    client, known = enter(), []

    for deed in ("acknowledge", "snooze", "withdraw"):
        form = {"form_token": form_token(client), "deed": deed}
        answer = client.post("/alerts/stale_data", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/#alerts")
        known.append((alarmed.silences(now=NOW), client.get("/").text))

    (first, page), (second, snoozed), (third, none) = known
    assert first == {"stale_data": Silence("stale_data", "api_token", NOW, None)}
    assert second["stale_data"].until == NOW + timedelta(days=1)
    assert third == {}
    assert "Acknowledged by api_token" in page and "Snoozed by api_token until" in snoozed
    assert "Acknowledged" not in none and none.count("Snooze for a day") == 2
    lines = (tmp_path / "logs" / "audit.jsonl").read_text().splitlines()
    deeds = [(json.loads(line)["deed"], json.loads(line).get("about")) for line in lines]
    assert ("snooze alert", "stale_data") in deeds


def test_nothing_is_said_of_an_alert_by_a_viewer_a_forged_form_or_of_none(
    enter: Enter, alarmed: Journal, tmp_path: Path
) -> None:
    token = add_token(tmp_path / "tokens.json", name="ana", scopes=[Scope.READ])
    viewer, operator = enter(token), enter()
    fields = {"form_token": form_token(operator), "deed": "acknowledge"}

    answers = [
        viewer.post("/alerts/stale_data", data=fields | {"form_token": form_token(viewer)}),
        operator.post("/alerts/stale_data", data=fields | {"form_token": "0" * 64}),
        operator.post("/alerts/no_data", data=fields),
        operator.post("/alerts/stale_data", data=fields | {"deed": "forget"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 404, 404]
    assert alarmed.silences(now=NOW) == {}
    assert "Acknowledge" not in viewer.get("/").text
