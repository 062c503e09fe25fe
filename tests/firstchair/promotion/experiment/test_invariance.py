"""What must not change a decision, and what must turn it round."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import kstest, norm

from firstchair.evaluation.adjustment import Adjustment
from firstchair.evaluation.moments import Comparison, Moments, compare, sides_of, terms
from firstchair.evaluation.repeated import RepeatedTest
from firstchair.evaluation.sequential import log_e, rho_for
from firstchair.promotion import Verb
from firstchair.promotion.audition import Effect, simulate_panel
from firstchair.promotion.audition.behaviour import DAYS, World
from firstchair.promotion.audition.worlds import WORLDS
from firstchair.promotion.experiment import ExperimentDecision, as_evidence, decide
from firstchair.promotion.experiment.evaluations import Evaluations
from firstchair.promotion.experiment.facts import facts
from firstchair.promotion.experiment.measures import clicks_per_100
from firstchair.promotion.rules import LiveRules
from tests.firstchair.promotion.experiment.evidence_tables import (
    FIRST_DAY,
    evidence_of,
    with_bad_day,
)

# So few users prove no guardrail of 2 % in three weeks.
RULES = LiveRules(listen_margin=0.05, active_margin=0.05)


def better() -> pa.Table:
    return evidence_of(Effect(0.15), users=8_000, days=21)


def worse() -> pa.Table:
    return evidence_of(Effect(-0.12), users=8_000, days=10)


@pytest.fixture(params=[better, worse])
def table(request: pytest.FixtureRequest) -> pa.Table:
    """Evidence of a better and of a worse challenger."""
    return request.param()


def replaced(table: pa.Table, name: str, values: object) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def swapped(table: pa.Table) -> pa.Table:
    arms = pc.if_else(pc.equal(table.column("arm"), "champion"), "challenger", "champion")
    return replaced(table, "arm", arms)


def core(found: ExperimentDecision) -> tuple[object, ...]:
    effects = tuple(pytest.approx(m.relative_difference, abs=1e-12) for m in found.metrics if m.se)
    return found.decision, found.reason_codes, effects


def test_swapped_arms_turn_the_effect_and_the_verdict_round() -> None:
    usual, turned = (
        decide(as_evidence(better()), RULES),
        decide(as_evidence(swapped(better())), RULES),
    )

    effects = [found.metrics[0].relative_difference for found in (usual, turned)]
    assert effects[1] == pytest.approx(1 / (1 + effects[0]) - 1, abs=1e-12)
    assert (usual.decision, turned.decision) == (Verb.PROMOTE, Verb.REJECT)
    assert decide(as_evidence(swapped(worse())), RULES).metrics[0].passes


def test_other_names_of_users_and_segments_change_nothing(table: pa.Table) -> None:
    renamed = replaced(
        table,
        "user_key",
        pc.binary_join_element_wise("z", pc.utf8_reverse(table.column("user_key")), ""),
    )
    countries = pc.binary_join_element_wise("land", pc.utf8_reverse(table.column("country")), "-")

    assert core(decide(as_evidence(replaced(renamed, "country", countries)), RULES)) == core(
        decide(as_evidence(table), RULES)
    )


def test_another_order_of_users_within_a_day_changes_nothing(table: pa.Table) -> None:
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    by_day = shuffled.take(np.argsort(np.asarray(shuffled.column("day")), kind="stable"))

    assert core(decide(as_evidence(by_day), RULES)) == core(decide(as_evidence(table), RULES))


def test_a_stage_that_began_another_day_is_decided_alike(table: pa.Table) -> None:
    moved = replaced(
        table,
        "day",
        pa.array([day + timedelta(days=40) for day in table.column("day").to_pylist()]),
    )

    assert core(decide(as_evidence(moved), RULES)) == core(decide(as_evidence(table), RULES))


def test_a_day_without_any_row_changes_no_verdict() -> None:
    table = better()
    days = table.column("day").to_pylist()
    emptied = table.filter([(day - days[0]).days != 10 for day in days])

    assert (
        decide(as_evidence(emptied), RULES).decision is decide(as_evidence(table), RULES).decision
    )


@pytest.mark.parametrize("number", [0, 10, 20])
def test_a_day_left_out_makes_the_stage_a_day_longer_and_changes_nothing_else(
    table: pa.Table, number: int
) -> None:
    usual = decide(as_evidence(table), RULES)
    number = min(number, usual.days - 1)
    spoilt = with_bad_day(table, number)

    found = decide(as_evidence(spoilt, bad_days=[FIRST_DAY + timedelta(days=number)]), RULES)
    read_all = decide(as_evidence(spoilt), RULES)

    assert core(found) == core(usual)
    assert (found.days, found.day) == (usual.days, usual.day + timedelta(days=1))
    assert core(read_all) != core(usual)


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_fresh_assignments_of_recorded_users_err_as_rarely_as_promised(world: World) -> None:
    salts, users = 1_000, 4_000
    panel = simulate_panel(users, Effect(), seed=77, world=world)
    rng = np.random.default_rng(78)
    arms = np.array([rng.permutation(users) % 2 for _ in range(salts)], dtype=np.float64)
    known_before = facts(panel.before, panel.segments, LiveRules())
    first = arms[0].astype(np.int8)
    fitted = Adjustment(known_before, first)
    rho = rho_for(0.93 * np.sqrt(4 / users), alpha=RULES.alpha)
    test = RepeatedTest(RULES.alpha)
    harm, promoted = np.full(salts, -np.inf), np.zeros(salts, dtype=np.bool_)
    at_fourteen = np.zeros(salts)

    for evaluation in Evaluations(panel, replace(RULES, data_days=1)):
        y = clicks_per_100(evaluation.totals)
        predicted = fitted.predicted(y)
        seen = ~np.isnan(y)
        rest = np.where(seen, y - predicted, 0.0)
        sums = np.column_stack([seen, seen, rest, predicted * seen, seen, rest, rest**2])
        treatment = arms @ sums
        found = compare(Moments(*(sums.sum(axis=0) - treatment).T), Moments(*treatment.T))
        if evaluation.day >= RULES.harm_days:
            harm = np.maximum(harm, log_e(-found.d, found.se, rho=np.full(salts, rho)))
        if evaluation.day == 14:
            at_fourteen = norm.sf(found.d / found.se)
        if evaluation.day >= RULES.min_days:
            moved = Comparison({"y": terms(y, predicted)}, sides_of(first)).influence("y")
            promoted |= found.d >= test.critical(moved, share=evaluation.day / DAYS) * found.se

    assert evaluation.day == DAYS
    # At a level of 0.05, more than 73 of 1,000 come once in a thousand times.
    assert (harm >= np.log(1 / RULES.alpha)).sum() <= 73
    assert 25 <= promoted.sum() <= 73
    assert kstest(at_fourteen, "uniform").pvalue > 0.001
