"""When a condition is a cause: only if it lasts, once an episode, never twice in a short time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
import sqlalchemy as sa

from firstchair.platform.causes import outcome
from firstchair.platform.journal import Journal, TriggerRecord

START = date(2026, 1, 1)


@dataclass(frozen=True)
class Rule:
    hold_days: int = 1
    clear_days: int = 1
    cool_down_days: int = 0


def outcomes(rule: Rule, held: str) -> str:
    """A letter a day: what a condition that held on the days marked x comes to."""
    days = {START + timedelta(days=n): mark == "x" for n, mark in enumerate(held)}
    fired: list[date] = []
    told = ""
    for day in days:
        came_to = outcome(rule, days, fired, as_of=day)
        fired += [day] if came_to == "fired" else []
        told += {None: ".", "fired": "F", "not_held": "n", "same_episode": "s", "cool_down": "c"}[
            came_to
        ]
    return told


@pytest.mark.parametrize(
    ("rule", "held", "expected"),
    [
        (Rule(), "x.xx.x", "F.Fs.F"),
        (Rule(hold_days=2), "x.xx.x", "n.nF.n"),
        (Rule(clear_days=2), "xx.x..x", "Fs.s..F"),
        (Rule(cool_down_days=4), "x.x.xx", "F.c.Fs"),
        (Rule(clear_days=0), "xxx", "FFF"),
        (Rule(clear_days=0, cool_down_days=2), "xxx", "FcF"),
    ],
)
def test_a_condition_fires_when_it_lasts_and_then_keeps_quiet(
    rule: Rule, held: str, expected: str
) -> None:
    assert outcomes(rule, held) == expected


def test_an_episode_longer_than_what_is_known_of_it_fires_once() -> None:
    held = {START + timedelta(days=n): True for n in range(40, 101)}
    fired_on, as_of = [START], START + timedelta(days=100)

    known_from = START + timedelta(days=40)

    rule = Rule(clear_days=3)
    assert outcome(rule, held, fired_on, as_of=as_of, known_from=known_from) == "same_episode"
    held |= {START + timedelta(days=n): False for n in (60, 61, 62)}
    assert outcome(rule, held, fired_on, as_of=as_of, known_from=known_from) == "fired"


@pytest.mark.parametrize("seed", range(20))
def test_noise_cannot_flap(seed: int) -> None:
    random = Random(seed)
    held = "".join(random.choice("x.") for _ in range(200))

    told = outcomes(Rule(hold_days=2, clear_days=3, cool_down_days=7), held)

    fired = [n for n, mark in enumerate(told) if mark == "F"]
    assert all(later - earlier >= 7 for earlier, later in pairwise(fired))
    assert all(held[n - 1 : n + 1] == "xx" for n in fired)


@pytest.fixture
def journal(new_database: Callable[[], sa.URL]) -> Journal:
    made = Journal(new_database())
    made.migrate()
    made.migrate()
    return made


def record(as_of: date, outcome: str, detail: str = "why") -> TriggerRecord:
    return TriggerRecord(
        datetime(2026, 1, 1, tzinfo=UTC), as_of, "drift:response", outcome, detail, {"ctr": 0.3}
    )


def test_the_first_outcome_of_a_cause_and_a_day_stands(journal: Journal) -> None:
    journal.record([record(START, "fired")])
    journal.record(
        [record(START, "same_episode", "another"), record(START + timedelta(days=1), "cool_down")]
    )

    assert [(found.as_of, found.outcome, found.detail) for found in journal.triggers()] == [
        (START + timedelta(days=1), "cool_down", "why"),
        (START, "fired", "why"),
    ]
    assert journal.triggers(outcome="fired")[0].evidence == {"ctr": 0.3}


@pytest.mark.parametrize(
    "change",
    ["update retraining_triggers set outcome = 'fired'", "delete from retraining_triggers"],
)
def test_what_was_recorded_cannot_be_changed(journal: Journal, change: str) -> None:
    journal.record([record(START, "cool_down")])

    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        journal._engine.begin() as connection,
    ):
        connection.execute(sa.text(change))
