"""The gate on live evidence of simulated users whose truth is known."""

import re
from dataclasses import replace
from datetime import date
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair.promotion import Reason, Verb
from firstchair.promotion.audition import Effect, Panel, simulate_panel
from firstchair.promotion.experiment import (
    Evidence,
    Experiment,
    ExperimentDecision,
    as_evidence,
    decide,
    decide_daily,
)
from firstchair.promotion.experiment.conditions import blind_sentence, powered
from firstchair.promotion.experiment.decision import CONTRACT_FIELDS, SEGMENT_FIELDS
from firstchair.promotion.rules import LiveRules, percent
from tests.firstchair.promotion.experiment.evidence_tables import DATES, evidence_of

RULES = LiveRules()


@lru_cache(maxsize=2)
def panel_of(effect: Effect, *, users: int = 20_000, seed: int = 3) -> Panel:
    """One panel for all who read it; it is read-only."""
    return simulate_panel(users, effect, seed=seed)


@cache
def heard(
    effect: Effect,
    *,
    users: int = 20_000,
    seed: int = 3,
    rules: LiveRules = RULES,
) -> ExperimentDecision:
    """The first decision that ends the stage, or the last one."""
    found = None
    for found in Experiment(panel_of(effect, users=users, seed=seed), DATES, rules).decisions():
        if found.decision is not Verb.HOLD:
            break
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("effect", "verb", "code"),
    [
        (Effect(0.10), Verb.PROMOTE, "superior"),
        (Effect(), Verb.HOLD, "not_superior"),
        (Effect(-0.10), Verb.REJECT, "clicks_per_100_deteriorated"),
        (Effect(0.08, listen_through=-0.06), Verb.REJECT, "listen_through_deteriorated"),
        (Effect(lost=True), Verb.HOLD, "sample_ratio_mismatch"),
        (Effect(late=True), Verb.HOLD, "data_quality"),
        (Effect(0.60), Verb.HOLD, "too_good_to_be_true"),
        (Effect(0.12, later_clicks=-0.12), Verb.HOLD, "novelty"),
    ],
)
def test_what_is_planted_is_what_is_decided(effect: Effect, verb: Verb, code: str) -> None:
    found = heard(effect)

    assert found.decision is verb
    assert code in found.reason_codes
    assert found.reasons


def test_one_account_turns_no_decision() -> None:
    found = heard(Effect(0.25, account=1_000_000))
    unbounded = heard(Effect(0.25, account=1_000_000), rules=replace(RULES, user_weight=1e12))

    check = next(check for check in found.checks if check.name == "outliers")
    pooled = next(metric for metric in found.metrics if metric.name == "ctr_pooled")
    assert found.decision is Verb.PROMOTE
    assert pooled.relative_difference == pytest.approx(0.25, abs=0.04)
    assert not check.passes
    assert "1 user(s) have more impressions than 50 times the mean" in check.detail
    assert (
        "one of the challenger's with 21,000,000 impressions and 0 clicks counts as" in check.detail
    )
    assert unbounded.reason_codes == (Reason.CTR_POOLED_DETERIORATED,)


def test_one_account_hides_no_lost_impressions() -> None:
    found = heard(Effect(late=True, account=1_000_000))

    assert (found.decision, Reason.DATA_QUALITY in found.reason_codes) == (Verb.HOLD, True)


def test_users_as_they_usually_are_count_in_full() -> None:
    found = heard(Effect(0.10))

    check = next(check for check in found.checks if check.name == "outliers")
    assert (check.passes, check.detail) == (
        True,
        "No user has more impressions than 50 times the mean.",
    )


def test_no_promotion_before_the_shortest_stage_and_a_shortened_one_says_so() -> None:
    usual = heard(Effect(0.10))
    short = heard(Effect(0.10), rules=replace(RULES, min_days=14))

    assert usual.days == 21
    assert 14 <= short.days < 21
    assert "shortened_stage" in short.reason_codes
    assert "min_days 14 instead of 21" in " ".join(short.reasons)


def test_a_harmed_segment_is_found_where_everybody_together_gains() -> None:
    found = heard(Effect(0.06, segment_clicks=-0.20))

    assert found.decision is Verb.REJECT
    assert found.reason_codes == ("segment_deteriorated",)
    assert [s.value for s in found.segments if s.deteriorated] == ["country 03"]


def test_a_segment_in_which_harm_cannot_be_seen_is_named_and_may_want_a_person() -> None:
    flagged = heard(Effect(0.10))
    held = heard(Effect(0.10), rules=replace(RULES, blind_needs_person=True))

    assert "segment_blind" in flagged.reason_codes
    assert (held.decision, set(held.reason_codes)) == (
        Verb.HOLD,
        {"segment_blind", "horizon_reached"},
    )


def test_a_segment_too_small_for_any_screen_is_blind_and_its_users_stand_in_the_record() -> None:
    found = heard(Effect(0.10))

    users = {
        f"{s.segment} {s.value}": (s.champion_users, s.challenger_users) for s in found.segments
    }
    seen = next(check for check in found.checks if check.name == "segments_seen")
    too_small = {name for name, counts in users.items() if min(counts) < RULES.segment_users}
    panel = panel_of(Effect(0.10))
    shown = sum(panel.day(day, today=found.days)["impressions"] for day in range(found.days))
    for number, name in enumerate(panel.segments["country"].values):
        inside = (panel.segments["country"].codes == number) & (shown > 0)
        assert users[f"country {name}"] == tuple(
            int((inside & (panel.arm == arm)).sum()) for arm in (0, 1)
        )
    assert {"country country 09", "country country 11"} <= too_small
    assert all(name in seen.detail for name in too_small)
    assert not any(name in " ".join(found.reasons) for name in too_small)


def test_one_user_less_than_a_screen_reads_makes_a_segment_blind() -> None:
    days = list(Experiment(panel_of(Effect(0.10)), DATES, RULES).decisions())
    smallest = min(
        min(s.champion_users, s.challenger_users)
        for s in days[-1].segments
        if s.value == "country 00"
    )

    def blind(rules: LiveRules) -> str:
        last = list(Experiment(panel_of(Effect(0.10)), DATES, rules).decisions())[-1]
        return next(check.detail for check in last.checks if check.name == "segments_seen")

    # So wide that no segment is blind for its error.
    wide = replace(RULES, screen_harm=1.0)
    assert "country 00" not in blind(replace(wide, segment_users=smallest))
    assert "country 00" in blind(replace(wide, segment_users=smallest + 1))


def test_too_small_a_population_is_held_and_told_what_it_could_have_found() -> None:
    found = heard(Effect(0.05), users=2_000)

    assert found.decision is Verb.HOLD
    assert found.minimum_detectable_effect is not None
    assert found.minimum_detectable_effect > 0.05


def test_a_ramp_step_tests_safety_alone_and_never_promotes() -> None:
    evidence = as_evidence(evidence_of(Effect(0.20), users=6_000, days=9))

    days = decide_daily(evidence, RULES, share=0.2)

    assert {found.decision for found in days} == {Verb.HOLD}
    assert "sample_ratio_mismatch" in days[-1].reason_codes


def test_a_ramp_step_without_alarm_is_over_after_its_days() -> None:
    days = decide_daily(as_evidence(ramp_of(8)), RULES, share=0.2)

    assert [found.reason_codes for found in days[-3:]] == [
        ("ramp_running",),
        ("ramp_clear",),
        ("ramp_clear",),
    ]


def ramp_of(days: int, users: int = 20_000) -> pa.Table:
    """A step at 20 %: three in four of the challenger's users left out."""
    table = evidence_of(Effect(0.20), users=users, days=days)
    keys, arms = (table.column(name).to_pylist() for name in ("user_key", "arm"))
    return table.filter(
        [arm == "champion" or int(key, 16) % 4 == 0 for arm, key in zip(arms, keys, strict=True)]
    )


def test_a_stage_that_would_not_find_what_is_wanted_is_not_begun() -> None:
    ramp = as_evidence(ramp_of(8))
    planned = decide(ramp, RULES, share=0.2).planned_detectable_effect
    assert planned is not None

    held = decide(ramp, replace(RULES, wanted_effect=planned * 0.99), share=0.2)
    clear = decide(ramp, replace(RULES, wanted_effect=planned * 1.01), share=0.2)

    assert (held.decision, held.reason_codes) == (Verb.HOLD, ("underpowered",))
    assert (held.planned_detectable_effect, held.wanted_effect) == (planned, planned * 0.99)
    assert f"would find {planned:.1%}" in held.reasons[0]
    assert "More users, or a larger wanted_effect" in " ".join(held.outlook)
    assert clear.reason_codes == ("ramp_clear",)


def test_who_cannot_be_measured_does_not_stay_on_the_ramp_for_ever() -> None:
    rules = replace(RULES, wanted_effect=0.001, min_days=7, max_days=10)

    evaluations = decide_daily(as_evidence(ramp_of(10)), rules, share=0.2)

    assert evaluations[-2].reason_codes == ("underpowered",)
    assert (evaluations[-1].decision, evaluations[-1].reason_codes) == (
        Verb.HOLD,
        ("underpowered", "horizon_reached"),
    )


def test_who_wrote_no_wanted_effect_is_told_what_would_be_found_and_held_by_nothing() -> None:
    evaluations = decide_daily(as_evidence(ramp_of(8)), RULES, share=0.2)
    first_step = decide_daily(
        as_evidence(ramp_of(8)), replace(RULES, wanted_effect=0.001), share=0.05
    )

    assert evaluations[-1].reason_codes == ("ramp_clear",)
    assert {evaluation.outlook for evaluation in evaluations} == {()}
    assert {evaluation.planned_detectable_effect for evaluation in evaluations} == {
        evaluations[0].planned_detectable_effect
    }
    assert all(
        "would find" in next(c.detail for c in evaluation.checks if c.name == "powered")
        for evaluation in evaluations
    )
    assert "underpowered" not in {
        code for evaluation in first_step for code in evaluation.reason_codes
    }


@pytest.mark.parametrize("max_days", [14, 21, 35])
def test_what_is_planned_is_what_the_stage_will_have_found(max_days: int) -> None:
    rules = replace(RULES, min_days=max_days, max_days=max_days)
    daily = list(Experiment(panel_of(Effect()), DATES, rules).decisions())

    planned, found = (
        daily[0].planned_detectable_effect,
        daily[max_days - 1].minimum_detectable_effect,
    )
    assert planned is not None
    assert found is not None
    assert found == pytest.approx(planned, rel=0.25)


def test_probation_rolls_back_a_champion_that_turns_out_worse() -> None:
    worse = decide(
        as_evidence(evidence_of(Effect(-0.10), users=20_000, days=10)), RULES, stage="probation"
    )
    sound = decide(
        as_evidence(evidence_of(Effect(0.02), users=20_000, days=28)), RULES, stage="probation"
    )

    assert (worse.decision, worse.reason_codes[0]) == (Verb.ROLL_BACK, "worse_since_promotion")
    assert (sound.decision, sound.reason_codes) == (Verb.HOLD, ("confirmed",))


SHORT = replace(RULES, probation_min_days=4, probation_max_days=8)


def with_lost_impressions(rows: pa.Table, *, from_day: int) -> pa.Table:
    """The challenger's impressions missing by half on each day from that one on."""
    late = pc.greater_equal(rows["day"], DATES[from_day - 1])
    lost = pc.and_(late, pc.equal(rows["arm"], "challenger"))
    half = pc.max_element_wise(pc.multiply(rows["impressions"], 0.5), rows["clicks"])
    kept = pc.if_else(lost, half, rows["impressions"])
    place = rows.column_names.index("impressions")
    return rows.set_column(place, "impressions", kept)


def test_probation_ends_by_its_last_day_where_the_data_never_let_it_be_confirmed() -> None:
    rows = with_lost_impressions(evidence_of(Effect(0.02), users=3_000, days=9), from_day=4)
    daily = decide_daily(as_evidence(rows), SHORT, stage="probation")

    assert {found.decision for found in daily} == {Verb.HOLD}
    assert [Reason.PROBATION_OVER in found.reason_codes for found in daily] == [False] * 7 + [
        True,
        True,
    ]
    assert daily[6].reason_codes == (Reason.DATA_QUALITY,)
    assert daily[7].reason_codes == (Reason.DATA_QUALITY, Reason.PROBATION_OVER)
    assert "Day 8 of at most 8: the champion stays" in daily[7].reasons[-1]


def with_half_the_treatment_missing(days: int) -> Evidence:
    rows = evidence_of(Effect(0.02), users=3_000, days=days)
    lost = [
        arm == "challenger" and int(key, 16) % 2 == 0
        for arm, key in zip(rows["arm"].to_pylist(), rows["user_key"].to_pylist(), strict=True)
    ]
    return as_evidence(rows.filter(pc.invert(pa.array(lost))))


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_canary_with_users_missing_from_an_arm_ends_on_its_last_day(share: float) -> None:
    rules = replace(RULES, min_days=4, max_days=6)
    daily = decide_daily(with_half_the_treatment_missing(7), rules, share=share)

    assert [found.decision for found in daily] == [Verb.HOLD] * 7
    assert all(Reason.SAMPLE_RATIO_MISMATCH in found.reason_codes for found in daily)
    over = [Reason.HORIZON_REACHED in found.reason_codes for found in daily]
    assert over == [False] * 5 + [True, True]


def test_probation_with_users_missing_from_an_arm_ends_too() -> None:
    daily = decide_daily(with_half_the_treatment_missing(9), SHORT, stage="probation")

    assert [found.decision for found in daily] == [Verb.HOLD] * 9
    assert all(Reason.SAMPLE_RATIO_MISMATCH in found.reason_codes for found in daily)
    assert [Reason.PROBATION_OVER in found.reason_codes for found in daily] == [False] * 7 + [
        True,
        True,
    ]


def test_probation_without_a_fault_is_confirmed_on_its_first_day_possible() -> None:
    rows = evidence_of(Effect(0.02), users=3_000, days=9)
    daily = decide_daily(as_evidence(rows), SHORT, stage="probation")

    assert daily[2].reason_codes == (Reason.IN_PROBATION,)
    assert daily[3].reason_codes == (Reason.CONFIRMED,)


def changed(rows: pa.Table, *names: str, where: Any, times: float) -> pa.Table:
    """These measures multiplied in some rows, rounded down."""
    for name in names:
        less = pc.cast(pc.floor(pc.multiply(rows[name], times)), rows[name].type)
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, pc.if_else(where, less, rows[name]))
    return rows


def test_an_alarm_of_probation_is_not_missed_with_its_day() -> None:
    rows = evidence_of(users=6_000, days=20)
    dip = pc.and_(pc.equal(rows["arm"], "challenger"), pc.is_in(rows["day"], pa.array(DATES[6:9])))
    rows = changed(rows, "clicks", where=dip, times=0.5)

    daily = decide_daily(as_evidence(rows), RULES, stage="probation")

    began = next(one for one in daily if one.decision is Verb.ROLL_BACK)
    assert began.days in {7, 8, 9}
    assert {one.decision for one in daily[began.days - 1 :]} == {Verb.ROLL_BACK}
    assert daily[-1].reason_codes == daily[-2].reason_codes
    assert all(reason.startswith("On day ") for reason in daily[-1].reasons)


def test_probation_of_too_few_users_is_not_confirmed() -> None:
    rows = evidence_of(Effect(-0.5), users=600, days=9)

    daily = decide_daily(as_evidence(rows), SHORT, stage="probation")

    assert all(one.decision is Verb.HOLD for one in daily)
    assert Reason.TOO_FEW_USERS in daily[4].reason_codes
    assert Reason.PROBATION_OVER in daily[7].reason_codes
    said = {check.name: check.detail for check in daily[7].checks}
    assert said["slow_channel"].startswith("Not tested: fewer than 500 users")
    assert said["fast_channel"].startswith("Not tested: fewer than 500 users")


def test_the_fast_channel_counts_those_who_were_shown_something_lately() -> None:
    rows = evidence_of(Effect(0.02), users=3_000, days=9)
    unlucky = pc.is_in(rows["user_key"], pa.array([f"{user:032x}" for user in range(100, 3_000)]))
    lately = pc.and_(unlucky, pc.greater_equal(rows["day"], DATES[3]))
    rows = changed(rows, "impressions", "clicks", where=lately, times=0.0)

    newest = decide(as_evidence(rows), RULES, stage="probation")

    said = {check.name: check.detail for check in newest.checks}
    assert said["slow_channel"].startswith("Since promotion")
    assert said["fast_channel"].startswith("Not tested")


@given(share=st.floats(0.01, 0.9), effect=st.floats(0.01, 0.9), power=st.floats(0.5, 0.99))
def test_what_is_printed_are_the_rules_that_decided(
    share: float,
    effect: float,
    power: float,
) -> None:
    rules = replace(RULES, blind_share=share, screen_harm=effect, power=power)

    assert f"every segment of {percent(share)} of users" in blind_sentence([], rules)
    assert f"a harm of {percent(effect)} in 1 segment(s)" in blind_sentence(["country CL"], rules)
    assert f"a power of {percent(power)}" in powered(0.1, binds=True, rules=rules).detail


@pytest.mark.parametrize(("stage", "share"), [("canary", 0.2), ("canary", 0.5), ("probation", 0.5)])
@pytest.mark.parametrize("clicks", [0, 1])
def test_a_first_day_on_which_nothing_varies_stops_no_decision(
    stage: str, share: float, clicks: int
) -> None:
    rows = evidence_of(users=40, days=2)
    first = pc.equal(rows["day"], DATES[0])
    alike = pc.and_(first, pc.equal(rows["arm"], "challenger")) if clicks == 0 else first
    counts = pc.if_else(alike, float(clicks), rows["clicks"])
    rows = rows.set_column(rows.column_names.index("clicks"), "clicks", counts)
    shown = pc.if_else(alike, 10.0, rows["impressions"])
    rows = rows.set_column(rows.column_names.index("impressions"), "impressions", shown)

    daily = decide_daily(as_evidence(rows), RULES, stage=stage, share=share)

    pooled = [next(m for m in found.metrics if m.name == "ctr_pooled") for found in daily]
    assert [found.decision for found in daily] == [Verb.HOLD] * 2
    assert [metric.se is None for metric in pooled] == [True, False]


def test_harm_to_the_ratio_of_sums_is_read_of_enough_users_who_saw_a_list() -> None:
    rows = evidence_of(Effect(-0.5), users=1_200, days=4)
    few = pc.ends_with(rows["user_key"], "0")
    for name in ("impressions", "clicks", "plays", "ms_played", "track_ms"):
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, pc.if_else(few, rows[name], 0.0))

    found = decide(as_evidence(rows), replace(RULES, harm_days=1))

    pooled = next(metric for metric in found.metrics if metric.name == "ctr_pooled")
    assert (pooled.se is not None, pooled.log_e) == (True, None)


def test_users_who_leave_for_good_are_missed() -> None:
    found = decide(as_evidence(evidence_of(users=10_000, days=24, left=0.15)), RULES)

    assert found.decision is Verb.REJECT
    assert {"active_days_deteriorated", "churned_7_deteriorated"} <= set(found.reason_codes)


def test_a_label_that_may_still_change_is_not_read() -> None:
    days = decide_daily(as_evidence(evidence_of(users=3_000, days=14)), RULES)
    known = [
        next(m.se for m in found.metrics if m.name == "churned_7") is not None for found in days
    ]

    # Seven days, three of tolerance, and the day itself.
    assert known == [False] * 10 + [True] * 4


def test_the_document_has_the_fields_of_the_contract_and_no_other() -> None:
    found = decide(as_evidence(evidence_of(users=3_000, days=5)), RULES)

    assert tuple(found.document()) == CONTRACT_FIELDS
    assert {name for segment in found.document()["segments"] for name in segment} == set(
        SEGMENT_FIELDS
    )
    assert (found.day, found.days, found.stage) == (date(2026, 3, 5), 5, "canary")


def test_a_person_is_told_how_many_days_are_missing() -> None:
    found = decide(as_evidence(evidence_of(Effect(0.05), users=20_000, days=10)), RULES)

    assert found.decision is Verb.HOLD
    assert "more day(s) prove it" in " ".join(found.outlook)


def test_no_more_days_are_told_than_the_stage_has() -> None:
    tables = (evidence_of(Effect(0.05), users=2_000, days=6, seed=seed) for seed in (3, 4))
    found = [one for table in tables for one in decide_daily(as_evidence(table), RULES)]
    told = [(one.days, " ".join(one.outlook)) for one in found]

    named = re.compile(r"about (\d+) more day")
    more = [(days, int(n)) for days, text in told for n in named.findall(text)]
    beyond = [text for _, text in told if "cannot be proven within the stage's 35 days" in text]
    assert more
    assert all(days + number <= RULES.max_days for days, number in more)
    assert beyond
    assert not any("more day" in text for text in beyond)


def test_looking_daily_is_looking_at_each_shorter_history() -> None:
    table = evidence_of(Effect(-0.04), users=6_000, days=12)
    by_day = np.array(table.column("day").to_pylist())

    daily = decide_daily(as_evidence(table), RULES)
    shorter = as_evidence(table.filter(by_day <= daily[6].day))

    found = decide(shorter, RULES)
    assert found.decision is daily[6].decision
    # Users who come later count among those by whom a rate of before the stage is judged.
    assert found.metrics[0].champion == pytest.approx(daily[6].metrics[0].champion, rel=1e-4)
