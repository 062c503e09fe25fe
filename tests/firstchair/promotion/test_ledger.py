"""The ledger on a real Postgres: a chain that only grows at its end and names a broken link."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firstchair.databases import Databases
from firstchair.errors import LedgerError
from firstchair.promotion import Decision, Ledger, Verification, arms_of
from firstchair.promotion import ledger as ledger_module

NOW = datetime(2026, 2, 1, 6, tzinfo=UTC)
DECISION = Decision(
    decision_id="d0",
    decided_at=NOW,
    as_of=date(2026, 2, 1),
    decision="hold",
    champion_before=None,
    champion_after=None,
    challenger="2",
    stage_before="candidate",
    stage_after="shadow",
    reason_codes=("too_few_users",),
    reasons=("1,435 test users; a proof wants 2,000.",),
    evidence={"kind": "challenge", "metrics": [{"name": "ndcg_at_10", "lower": -0.06}]},
    data_fingerprint="f" * 32,
    actor="run",
)


def decision(number: int, **changes: Any) -> Decision:
    return replace(
        DECISION, decision_id=f"d{number}", decided_at=NOW + timedelta(days=number), **changes
    )


@pytest.fixture
def meddle(ledger: Ledger) -> Callable[[str], None]:
    """A statement by somebody who has got at the database behind our back."""

    def execute(statement: str) -> None:
        engine = sa.create_engine(ledger.url)
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()

    return execute


def test_entries_come_back_as_they_were_written_newest_first(ledger: Ledger) -> None:
    written = [ledger.append(decision(number)) for number in range(3)]

    assert ledger.entries() == written[::-1]
    assert ledger.entries(limit=1, before=3) == written[1:2]
    assert ledger.entries(before=1) == []
    assert ledger.last() == written[-1]
    assert [entry.sequence for entry in written] == [1, 2, 3]
    assert [entry.previous_hash for entry in written[1:]] == [entry.hash for entry in written[:-1]]


def test_a_decision_written_again_is_the_entry_that_stands(ledger: Ledger) -> None:
    first = ledger.append(decision(1))

    again = ledger.append(decision(1, decision="promote"))

    assert again == first
    assert len(ledger.entries()) == 1


def test_an_empty_ledger_verifies(ledger: Ledger) -> None:
    assert (ledger.verify().ok, ledger.verify().entries, ledger.last()) == (True, 0, None)


@pytest.mark.parametrize(
    ("statement", "first_broken"),
    [
        ("update decisions set decision = 'promote' where sequence = 3", 3),
        (
            "update decisions set decided_at = decided_at - interval '1 second' where sequence = 2",
            2,
        ),
        (
            "update decisions set evidence = jsonb_set(evidence, '{kind}', '\"seat\"') "
            "where sequence = 4",
            4,
        ),
        ("update decisions set reasons = array['because'] where sequence = 5", 5),
        ("delete from decisions where sequence = 2", 3),
        ("delete from decisions where sequence = 1", 2),
        ("update decisions set sequence = -sequence where sequence = 1", -1),
    ],
)
def test_whoever_changes_an_entry_is_found_out_at_that_entry(
    ledger: Ledger, meddle: Callable[[str], None], statement: str, first_broken: int
) -> None:
    for number in range(5):
        ledger.append(decision(number))
    assert ledger.verify().ok

    meddle("drop trigger append_only on decisions")
    meddle(statement)

    found = ledger.verify()
    assert (found.ok, found.first_broken) == (False, first_broken)


def test_an_entry_in_the_words_of_before_verifies_and_gives_the_same_arms(ledger: Ledger) -> None:
    phase = {"stage": "probation", "on_trial": "7", "standing": "3", "share": 0.8,
             "salt": "first/7", "first_day": "2026-01-20"}  # fmt: skip
    by_hand = {
        "reason_codes": ("by_hand",),
        "reasons": ("the holdback is too small, the yardsticks look well",),
    }
    written = ledger.append(decision(1, evidence={"kind": "by_hand", "phase": phase}, **by_hand))
    ledger.append(decision(2))

    found = ledger.entries()[-1]
    arms = arms_of(found.phase, salt="first", holdout_share=0.01)

    assert ledger.verify() == Verification(True, 2, None)
    assert (found, found.reasons) == (written, by_hand["reasons"])
    assert arms.bounds == (("champion", 7_920), ("previous", 9_900), ("holdout", 10_000))
    # As the release that called the last role `holdback` assigned them.
    assigned = {number: arms.bucket(number.to_bytes(16)) for number in (0, 1, 18, 19, 234, 270)}
    assert assigned == {0: 3910, 1: 396, 18: 9891, 19: 9801, 234: 9993, 270: 9944}
    assert [arms.role(bucket) for bucket in assigned.values()] == [
        *["champion"] * 2,
        *["previous"] * 2,
        *["holdout"] * 2,
    ]


@pytest.mark.parametrize(
    "statement",
    ["update decisions set actor = 'me'", "delete from decisions", "truncate decisions"],
)
def test_the_database_itself_refuses_to_change_what_was_decided(
    ledger: Ledger, meddle: Callable[[str], None], statement: str
) -> None:
    ledger.append(decision(1))

    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        meddle(statement)

    assert ledger.verify().ok


def test_two_who_write_at_once_make_one_chain(ledger: Ledger) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ledger.append(decision(number)), range(12)))

    assert sorted(entry.sequence for entry in ledger.entries()) == list(range(1, 13))
    assert ledger.verify().ok


def test_who_was_champion_at_an_instant(ledger: Ledger) -> None:
    ledger.append(decision(0, decision="promote", champion_before=None, champion_after="1"))
    ledger.append(decision(5, decision="hold", champion_before="1", champion_after="1"))
    ledger.append(decision(9, decision="promote", champion_before="1", champion_after="4"))

    def champion(day: float) -> str | None:
        entry = ledger.champion_at(NOW + timedelta(days=day))
        return None if entry is None else entry.champion_after

    assert [champion(day) for day in (-1, 0, 6, 8.99, 9, 100)] == [None, "1", "1", "1", "4", "4"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(evidence=st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3))
@example(evidence={"x": 1.192092896e-07})
def test_whatever_numbers_the_evidence_holds_the_chain_holds(
    ledger: Ledger, evidence: dict[str, Any]
) -> None:
    number = len(ledger.entries())

    ledger.append(decision(number, evidence={"kind": "challenge", **evidence}))

    assert ledger.verify().ok


def test_migrating_again_keeps_what_is_there(ledger: Ledger) -> None:
    ledger.append(decision(1))

    ledger.migrate()

    assert len(ledger.entries()) == 1


def test_a_ledger_out_of_reach_says_that_no_alias_moved(session_databases: Databases) -> None:
    unreachable = Ledger(session_databases.ledger.set(database="nowhere"))

    with pytest.raises(LedgerError) as raised:
        unreachable.append(decision(1))

    assert "no alias was moved" in raised.value.data


def test_ten_thousand_entries_are_verified_and_one_flipped_byte_among_them_is_found(
    ledger: Ledger, meddle: Callable[[str], None]
) -> None:
    for number in range(3):
        ledger.append(decision(number))
    rows, previous, alike = [], ledger.entries()[0].hash, asdict(DECISION)
    for sequence in range(4, 10_001):
        own = {"decision_id": f"d{sequence}", "decided_at": NOW + timedelta(days=sequence)}
        values = {**alike, **own, "sequence": sequence, "previous_hash": previous}
        previous = values["hash"] = ledger_module._digest(values)
        rows.append(values)
    engine = sa.create_engine(ledger.url)
    with engine.begin() as connection:
        connection.execute(ledger_module.DECISIONS.insert(), rows)
    engine.dispose()

    assert ledger.verify() == Verification(True, 10_000, None)
    meddle("drop trigger append_only on decisions")
    meddle(
        "update decisions set hash = 'f' || substr(hash, 2) where sequence = 7777 and hash "
        "not like 'f%'"
    )
    meddle(
        "update decisions set data_fingerprint = 'g' || substr(data_fingerprint, 2) "
        "where sequence = 7777"
    )
    assert ledger.verify().first_broken == 7_777


@pytest.mark.parametrize(
    "statement",
    ["update decisions set actor = 'me'", "delete from decisions", "truncate decisions"],
)
def test_the_role_that_writes_may_do_nothing_else(
    ledger: Ledger, meddle: Callable[[str], None], statement: str
) -> None:
    ledger.append(decision(1))
    meddle("drop trigger append_only on decisions")

    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        meddle(f"set role firstchair_ledger; {statement}")

    assert len(ledger.entries()) == 1


def test_a_server_that_ends_within_a_transaction_leaves_the_ledger_whole(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(decision(1))
    kept = ledger_module._as_kept

    def ending(connection: sa.Connection, evidence: Any) -> Any:
        own = connection.scalar(sa.text("select pg_backend_pid()"))
        admin = sa.create_engine(ledger.url, poolclass=sa.pool.NullPool)
        with admin.connect() as other:
            other.execute(sa.text("select pg_terminate_backend(:own, 10000)"), {"own": own})
        return kept(connection, evidence)

    monkeypatch.setattr(ledger_module, "_as_kept", ending)
    with pytest.raises(LedgerError, match="Nothing was written and no alias was moved"):
        ledger.append(decision(2))
    monkeypatch.undo()

    assert [entry.decision_id for entry in ledger.entries()] == ["d1"]
    assert ledger.append(decision(2)).sequence == 2
    assert ledger.verify().ok


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.made("1"),
        lambda ledger: ledger.phases(),
        lambda ledger: ledger.champion_at(NOW),
        lambda ledger: ledger.verify(),
        lambda ledger: ledger.champion_changes(),
        lambda ledger: ledger.table_versions(),
    ],
)
def test_a_ledger_that_is_away_is_one_error_whatever_is_asked(
    ledger: Ledger, ask: Callable[[Ledger], object]
) -> None:
    away = Ledger(ledger.url.set(database="gone"))

    with pytest.raises(LedgerError, match="The ledger cannot be read") as raised:
        ask(away)

    assert "Bring the database back" in raised.value.remedy
