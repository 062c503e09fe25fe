"""The ladder: where a decision leads, and where it cannot."""

from dataclasses import replace
from datetime import date

import pytest

from firstchair.errors import LedgerError
from firstchair.promotion import Phase, Stage, Verb
from firstchair.promotion.stages import Outcome, after, begin, phase_of, require

ON = date(2026, 3, 10)
CANARY = begin(challenger="7", champion="3", salt="first", on=date(2026, 3, 1))
DECIDING = replace(CANARY, share=0.5)
PROBATION = replace(CANARY, stage=Stage.PROBATION, share=0.8)


def led(phase: Phase, verb: Verb, *codes: str, users: int = 60_000) -> Outcome:
    return after(phase, verb, codes, users=users, decision_share=0.5, on=ON)


def test_a_canary_begins_at_five_percent_under_a_salt_of_its_own() -> None:
    assert (CANARY.share, CANARY.salt, CANARY.stage) == (0.05, "first/7", Stage.CANARY)
    assert begin(challenger="8", champion="3", salt="first", on=ON).salt != CANARY.salt


def test_a_step_without_alarm_leads_to_the_next_with_a_new_clock() -> None:
    second = led(CANARY, Verb.HOLD, "ramp_clear").phase
    assert second is not None
    third = led(second, Verb.HOLD, "ramp_clear").phase

    assert (second.share, second.first_day, second.salt) == (0.2, ON, CANARY.salt)
    assert third is not None
    assert third.share == 0.5
    assert second.assigned_on == third.assigned_on == CANARY.first_day


@pytest.mark.parametrize(
    ("phase", "verb", "codes", "stage", "champion", "goes_on"),
    [
        (CANARY, Verb.HOLD, ("ramp_running",), Stage.CANARY, "3", True),
        (CANARY, Verb.REJECT, ("clicks_per_100_deteriorated",), Stage.REJECTED, "3", False),
        (DECIDING, Verb.HOLD, ("too_early",), Stage.CANARY, "3", True),
        (DECIDING, Verb.PROMOTE, ("superior",), Stage.PROBATION, "7", True),
        (DECIDING, Verb.HOLD, ("not_superior", "horizon_reached"), Stage.RETIRED, "3", False),
        (PROBATION, Verb.HOLD, ("in_probation",), Stage.PROBATION, "7", True),
        (PROBATION, Verb.HOLD, ("confirmed",), Stage.CHAMPION, "7", False),
        (PROBATION, Verb.HOLD, ("data_quality", "probation_over"), Stage.CHAMPION, "7", False),
        (PROBATION, Verb.ROLL_BACK, ("worse_lately",), Stage.ROLLED_BACK, "3", False),
    ],
)
def test_where_a_decision_leads(
    phase: Phase, verb: Verb, codes: tuple[str, ...], stage: Stage, champion: str, goes_on: bool
) -> None:
    outcome = led(phase, verb, *codes)

    assert (outcome.stage, outcome.champion, outcome.phase is not None) == (
        stage,
        champion,
        goes_on,
    )


@pytest.mark.parametrize(("users", "control"), [(2_000, 0.5), (60_000, 0.2), (300_000, 0.1)])
def test_the_control_group_of_probation_is_what_the_population_needs(
    users: int, control: float
) -> None:
    phase = led(DECIDING, Verb.PROMOTE, "superior", users=users).phase

    assert phase is not None
    assert phase.share == pytest.approx(1 - control)
    assert (phase.stage, phase.salt, phase.first_day) == (Stage.PROBATION, CANARY.salt, ON)
    assert phase.assigned_on == CANARY.first_day


def test_a_phase_comes_back_from_its_record() -> None:
    later = replace(PROBATION, first_day=ON)
    assert [phase_of(phase.record()) for phase in (PROBATION, later)] == [PROBATION, later]
    assert phase_of(None) is None


@pytest.mark.parametrize(
    ("before", "after_it"),
    [("candidate", "probation"), ("shadow", "probation"), ("rejected", "probation"),
     ("rolled_back", "champion"), ("canary", "champion"), ("retired", "rolled_back"),
     ("champion", "canary"), ("probation", "canary"), ("rejected", "canary"),
     ("rejected", "shadow"), ("rejected", "champion")],
)  # fmt: skip
def test_an_impossible_transition_cannot_be_written(before: str, after_it: str) -> None:
    with pytest.raises(LedgerError, match=f"from {before} to {after_it}"):
        require(before, after_it, by_hand=False)


def test_a_person_may_put_any_version_on_probation() -> None:
    for stage in Stage:
        require(stage, "probation", by_hand=True)
