"""Tokens: known by digest alone, each with scopes, changed while a service runs."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstchair.access.authorizer import Authorizer, Refusal
from firstchair.access.limits import AT_ONCE, SECONDS_EACH, WrongTokens
from firstchair.access.scopes import Scope
from firstchair.access.tokens import Tokens, add_token, read_tokens, revoke_token
from firstchair.cli import app
from firstchair.errors import SettingsError

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)
SHORT, LONG = b"open sesame", b"firstchair_" + b"0" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "tokens.json"


def test_a_token_is_kept_by_its_digest_alone_for_its_owner_alone(file: Path) -> None:
    token = add_token(file, name="app", scopes=[Scope.WRITE_EVENTS])

    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert add_token(file, name="other", scopes=[Scope.READ]) != token


def test_tokens_are_added_and_revoked_while_a_service_runs(file: Path) -> None:
    tokens = Tokens(lambda: "root", file)
    first = add_token(file, name="first", scopes=[Scope.READ]).encode()
    second = add_token(file, name="second", scopes=[Scope.OPERATE]).encode()

    assert tokens.grant_of(first, NOW) is None
    assert tokens.refresh(NOW) and not tokens.refresh(NOW)
    grants = [tokens.grant_of(token, NOW) for token in (first, second, b"root")]
    assert [grant and grant.scopes for grant in grants] == [
        {Scope.READ},
        {Scope.READ, Scope.OPERATE},
        set(Scope),
    ]

    revoke_token(file, name="first")
    assert tokens.refresh(NOW)
    assert (tokens.grant_of(first, NOW), tokens.grant_of(b"", NOW)) == (None, None)
    assert tokens.grant_of(second, NOW) is not None


def test_the_api_token_is_rotated_while_a_service_runs(file: Path) -> None:
    kept = ["before"]
    tokens = Tokens(lambda: kept[0], file)

    kept[0] = "after"

    assert tokens.refresh(NOW)
    assert tokens.grant_of(b"before", NOW) is None
    assert tokens.grant_of(b"after", NOW) is not None


def test_a_token_is_of_no_use_after_its_time(file: Path) -> None:
    token = add_token(file, name="a", scopes=[Scope.READ], ends_at=NOW + timedelta(days=1)).encode()
    tokens = Tokens(lambda: "root", file)

    assert tokens.grant_of(token, NOW) is not None
    assert tokens.grant_of(token, NOW + timedelta(days=1)) is None
    assert tokens.refresh(NOW + timedelta(days=1))


def test_a_file_that_cannot_be_read_changes_nothing_and_is_named(file: Path) -> None:
    token = add_token(file, name="a", scopes=[Scope.READ]).encode()
    tokens = Tokens(lambda: "root", file)

    file.write_text('{"tokens": [{"name": "a", "scopes": ["everything"]}]}')

    with pytest.raises(SettingsError, match="file of tokens cannot be read"):
        tokens.refresh(NOW)
    assert tokens.grant_of(token, NOW) is not None


def test_names_are_taken_once_and_an_unknown_one_is_not_revoked(file: Path) -> None:
    add_token(file, name="a", scopes=[Scope.READ])
    before = file.read_text()

    with pytest.raises(SettingsError, match="named a already"):
        add_token(file, name="a", scopes=[Scope.READ])
    with pytest.raises(SettingsError, match="no token named b"):
        revoke_token(file, name="b")
    assert file.read_text() == before


def test_the_commands_make_list_and_revoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path / "home"))

    def told(*arguments: str) -> object:
        return json.loads(CliRunner().invoke(app, ["token", *arguments, "--json"]).stdout)

    made = told("add", "ana", "--scope", "read", "--scope", "write-events", "--days", "30")

    (grant,) = read_tokens(tmp_path / "home" / "tokens.json")
    assert isinstance(made, dict)
    assert (grant.name, grant.scopes) == ("ana", {Scope.READ, Scope.WRITE_EVENTS})
    assert [token["name"] for token in told("list")] == ["ana"]  # type: ignore[attr-defined]
    assert told("revoke", "ana") == {"revoked": "ana"}
    assert told("list") == []
    audit = (tmp_path / "home" / "logs" / "audit.jsonl").read_text()
    assert [json.loads(line)["deed"] for line in audit.splitlines()] == [
        "add token",
        "revoke token",
    ]
    assert made["token"] not in audit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_wrong_tokens_of_an_address_meet_a_limit_that_ends(file: Path) -> None:
    clock = Clock()
    authorizer = Authorizer(Tokens(SHORT.decode, file), WrongTokens(clock))

    def guess(address: str, token: bytes = b"wrong") -> object:
        found = authorizer.of_header(b"Bearer " + token, address, Scope.READ)
        return found if isinstance(found, Refusal) else "allowed"

    found = [guess("10.0.0.1") for _ in range(AT_ONCE + 5)]
    assert found == [Refusal.NO_TOKEN] * AT_ONCE + [Refusal.TOO_MANY_WRONG] * 5
    assert guess("10.0.0.1", SHORT) is Refusal.TOO_MANY_WRONG  # a guess that is right tells nothing
    assert guess("10.0.0.2", SHORT) == "allowed"
    clock.now += 3 * SECONDS_EACH
    assert guess("10.0.0.1", SHORT) == "allowed"
    for _ in range(AT_ONCE):
        guess("10.0.0.1")
    assert guess("10.0.0.1") is Refusal.TOO_MANY_WRONG
    assert guess("10.0.0.1", SHORT) == "allowed"  # it was right from there before


def test_a_flood_of_wrong_tokens_locks_out_nobody_whose_token_cannot_be_guessed(file: Path) -> None:
    authorizer = Authorizer(Tokens(LONG.decode, file))

    for _ in range(3 * AT_ONCE):
        authorizer.of_header(b"Bearer wrong", "10.0.0.1", Scope.READ)

    assert not isinstance(authorizer.of_header(b"Bearer " + LONG, "10.0.0.1", Scope.READ), Refusal)


def test_a_host_does_not_escape_the_limit_by_its_many_addresses_nor_fill_the_memory() -> None:
    wrong = WrongTokens()

    for number in range(AT_ONCE):
        wrong.count(f"2001:db8::{number:x}")

    assert wrong.is_over("2001:db8::ffff")
    assert not wrong.is_over("2001:db8:0:1::1")


def test_a_request_without_a_token_is_no_guess(file: Path) -> None:
    authorizer = Authorizer(Tokens(lambda: "root", file))

    found = {authorizer.of_header(b"", "10.0.0.1", Scope.READ) for _ in range(2 * AT_ONCE)}

    assert found == {Refusal.NO_TOKEN}
