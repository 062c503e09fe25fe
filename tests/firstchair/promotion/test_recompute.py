"""Every decision can be recomputed from what its entry names; alterations are found."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from firstchair.errors import LedgerError, StoreAwayError
from firstchair.lake import Lake, connect, maintain_table
from firstchair.lake import tables as t
from firstchair.promotion import (
    Ledger,
    ManualDecision,
    Phase,
    promote_by_hand,
    replay,
    replay_all,
)
from firstchair.promotion.audition import Effect
from tests.firstchair.promotion.conftest import AS_OF, NEXT_DAY, NOW, SALT, Audition, Copies
from tests.firstchair.promotion.test_live import Stand, day


@pytest.fixture
def stand(probation: Stand) -> Stand:
    """A ledger with a first champion, a challenger, and three decisions on live evidence."""
    return probation


def outcomes(a: Audition) -> dict[str, set[str]]:
    """Outcomes by kind of entry."""
    found: dict[str, set[str]] = {}
    for one in replay_all(a.lake, a.registry, a.ledger).results:
        found.setdefault(one.kind, set()).add(str(one.outcome))
    return found


def alter(a: Audition, table: t.Table, column: str) -> None:
    """Change one value of a table in its files, behind the back of Delta."""
    for file in sorted(Path(a.lake.url, table.name).rglob("*.parquet")):
        rows = pq.read_table(file)
        values = rows.column(column).to_pylist()
        values[0] = values[0] + 1
        place = rows.column_names.index(column)
        pq.write_table(rows.set_column(place, rows.schema.field(column), pa.array(values)), file)


def rewrite(a: Audition, kind: str, path: str, value: str) -> None:
    """Change a value in the evidence of every entry of a kind, behind the back of the ledger."""
    statement = sa.text(
        "update decisions set evidence = jsonb_set(evidence, cast(:path as text[]), "
        "cast(:value as jsonb)) where evidence->>'kind' = :kind"
    )
    with sa.create_engine(a.ledger.url).begin() as connection:
        connection.execute(sa.text("alter table decisions disable trigger user"))
        connection.execute(statement, {"path": path, "value": value, "kind": kind})
        connection.execute(sa.text("alter table decisions enable trigger user"))


def test_a_ledger_longer_than_a_page_is_recomputed_whole(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stand.a.ledger.entries()[-1]
    monkeypatch.setattr(Ledger.entries, "__kwdefaults__", {"limit": 2, "before": None})

    report = replay_all(stand.a.lake, stand.a.registry, stand.a.ledger)
    alone = replay(stand.a.lake, stand.a.registry, stand.a.ledger, first.decision_id)

    assert (report.entries, report.reproduced) == (5, 5), report.results
    assert alone.outcome == "reproduced"


def test_every_entry_of_a_ledger_is_reproduced(stand: Stand) -> None:
    report = replay_all(stand.a.lake, stand.a.registry, stand.a.ledger)

    assert (report.entries, report.reproduced) == (5, 5), report.results
    assert report.ok


def test_later_data_change_nothing_because_tables_are_read_as_they_were(stand: Stand) -> None:
    stand.a.enter(AS_OF, als=0.4, xgboost=0.1)
    stand.a.lake.delete(t.EVIDENCE, "arm = 'challenger'")

    assert replay_all(stand.a.lake, stand.a.registry, stand.a.ledger).reproduced == 5


def test_upkeep_without_retention_leaves_every_decision_reproducible(stand: Stand) -> None:
    a = stand.a
    for level in (0.4, 0.3):
        a.enter(AS_OF, als=level, xgboost=0.1)  # versions that no entry names
    named = a.ledger.table_versions()
    assert named[t.EVIDENCE.name] and named[t.OFFLINE_EVIDENCE.name]
    written = [table for table in t.ALL_TABLES if a.lake.snapshot(table) is not None]
    done = [
        maintain_table(a.lake, table, keep=named.get(table.name, ()), retention=timedelta(0))
        for table in (*written, *written)
    ]

    assert sum(one.removed for one in done) > 0
    assert replay_all(a.lake, a.registry, a.ledger).reproduced == 5


def test_an_entry_from_before_a_table_was_read_is_reproduced(stand: Stand) -> None:
    (entry,) = [e for e in stand.a.ledger.entries() if e.evidence["kind"] == "challenge"]
    tables = {k: v for k, v in entry.evidence["tables"].items() if k != t.PROMPTED_EVIDENCE.name}
    rewrite(stand.a, "challenge", "{tables}", json.dumps(tables))
    stand.a.led_to(entry.as_of, als=0.75, xgboost=0.25)

    assert outcomes(stand.a)["challenge"] == {"reproduced"}


def test_entries_from_before_the_day_of_the_assignment_was_kept_are_reproduced(
    begun: Stand, copy_of: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand, record = begun.copied(copy_of), Phase.record
    with monkeypatch.context() as older:
        older.setattr(
            Phase, "record", lambda phase: record(replace(phase, assigned_on=phase.first_day))
        )
        for number in (1, 2):
            stand.live(Effect(), 1)
            stand.decide(number)

    stand.live(Effect(), 1)
    stand.decide(3)

    assert stand.phase is not None
    assert stand.phase.assigned_on == stand.phase.first_day == day(2)
    assert outcomes(stand.a)["trial"] == {"reproduced"}


def test_an_altered_row_of_offline_evidence_is_found(stand: Stand) -> None:
    alter(stand.a, t.OFFLINE_EVIDENCE, "ndcg_at_10")

    found = outcomes(stand.a)

    assert found["first_champion"] == found["challenge"] == {"different"}
    assert found["trial"] == {"reproduced"}


def test_an_altered_row_of_live_evidence_is_found(stand: Stand) -> None:
    alter(stand.a, t.EVIDENCE, "impressions")

    found = outcomes(stand.a)

    assert found["trial"] == {"different"}
    assert found["challenge"] == {"reproduced"}


def test_an_altered_rule_is_found_even_where_the_verdict_stays(stand: Stand) -> None:
    rewrite(stand.a, "trial", "{settings,live,looks}", "31")

    assert outcomes(stand.a)["trial"] == {"different"}


def test_an_altered_salt_is_found(stand: Stand) -> None:
    rewrite(stand.a, "trial", "{salt}", '"another"')

    results = replay_all(stand.a.lake, stand.a.registry, stand.a.ledger).results

    assert {str(one.outcome) for one in results if one.kind == "trial"} == {"different"}


def test_an_altered_salt_of_a_stage_puts_users_into_other_arms(stand: Stand) -> None:
    rewrite(stand.a, "challenge", "{phase,salt}", '"another"')

    results = replay_all(stand.a.lake, stand.a.registry, stand.a.ledger).results

    first_evaluation = next(one for one in results if one.kind == "trial")
    assert "users are in another arm than the salt assigns them" in first_evaluation.detail


def test_a_decision_whose_tables_are_gone_says_so(stand: Stand) -> None:
    for file in Path(stand.a.lake.url, t.EVIDENCE.name).rglob("*.parquet"):
        file.unlink()

    results = replay_all(stand.a.lake, stand.a.registry, stand.a.ledger).results

    gone = [one for one in results if one.kind == "trial"]
    assert {str(one.outcome) for one in gone} == {"unavailable"}
    assert "gone" in gone[0].detail


class FullDisk(Lake):
    """The engine finds no space when tables are read."""

    def scan(self, table: t.Table, **_: Any) -> str:
        with connect() as connection:
            connection.execute("copy (from range(100000)) to '/dev/full' (format csv)")
        raise AssertionError


class StoreAway(Lake):
    """S3 times out, in the form in which the engine reports an error below it."""

    def scan(self, table: t.Table, **_: Any) -> str:
        raise duckdb.Error("Traceback (most recent call last):\nTimeoutError: no answer")


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [(FullDisk, duckdb.IOException, "No space left"), (StoreAway, StoreAwayError, "no answer")],
)
def test_a_full_disk_or_a_store_that_is_away_is_no_outcome_of_a_decision(
    stand: Stand, kind: type[Lake], fault: type[Exception], words: str
) -> None:
    a = stand.a

    with pytest.raises(fault, match=words):
        replay_all(kind(a.lake.url), a.registry, a.ledger)


def test_what_a_person_decided_is_not_computed(stand: Stand) -> None:
    a, word = stand.a, ManualDecision("ana", "The label asks for it.", NOW, NEXT_DAY)
    promote_by_hand(a.registry, a.ledger, word, version=a.number("content"), users=100, salt=SALT)

    assert outcomes(a)["by_hand"] == {"not_computed"}


def test_one_decision_is_found_by_its_id_and_an_unknown_one_is_refused(stand: Stand) -> None:
    a = stand.a
    entry = a.ledger.entries()[-1]

    assert replay(a.lake, a.registry, a.ledger, entry.decision_id).outcome == "reproduced"
    with pytest.raises(LedgerError, match="no decision nothing"):
        replay(a.lake, a.registry, a.ledger, "nothing")
