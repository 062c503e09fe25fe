"""One run: the gate, and two naive rules, decide about a simulated stage."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from scipy.special import ndtri

from firstchair.evaluation.moments import Sides, sides_of
from firstchair.promotion.audition.behaviour import DAYS, World
from firstchair.promotion.audition.panel import LATE_DAYS, Panel, simulate_panel
from firstchair.promotion.audition.scenarios import Scenario
from firstchair.promotion.audition.worlds import STEADY
from firstchair.promotion.experiment import Experiment, ExperimentDecision
from firstchair.promotion.experiment.evidence import Values
from firstchair.promotion.gate import OfflineEvidence, Verdict, judge_challenger
from firstchair.promotion.kinds import Verb
from firstchair.promotion.rules import LiveRules, OfflineRules

DATES = [date(2026, 1, 1) + timedelta(days=day) for day in range(DAYS)]
BARE_DAY = 14
OFFLINE_USERS = 2_000


@dataclass(frozen=True, slots=True)
class SimulationRun:
    """The result of one seed.

    Attributes:
        world: Name of the world.
        scenario: Name of the scenario.
        seed: Seed of the run.
        decision: Decision of the gate.
        day: Day of the decision; 0 in shadow.
        codes: Its reason codes.
        every_evaluation: Whether every evaluation had the scenario's hold code.
        bare: Decision by the higher mean on day 14.
        t_test: Decision by the first day with p < 0.05, two-sided.
        detectable: Minimum detectable effect at the end, relative; None in shadow.
    """

    world: str
    scenario: str
    seed: int
    decision: str
    day: int
    codes: tuple[str, ...]
    every_evaluation: bool
    bare: str
    t_test: str
    detectable: float | None


def run_scenario(
    scenario: Scenario,
    *,
    seed: int,
    rules: LiveRules,
    world: World = STEADY,
) -> SimulationRun:
    """Run a scenario once in a world, until a promotion, a rejection or the last day."""
    panel = simulate_panel(scenario.users, scenario.effect, seed=seed, world=world)
    bare, t_test = _naive(panel)
    every_evaluation = True
    last: Verdict | ExperimentDecision | None = _in_shadow(scenario, seed)
    if last is None:
        if scenario.exposure_margin is not None:
            rules = replace(rules, exposure_margin=scenario.exposure_margin)
        experiment = Experiment(panel, DATES, rules)
        for ruling in experiment.rulings():
            if ruling.verb is not Verb.HOLD:
                break
            every_evaluation &= scenario.hold_code in ruling.codes
        last = experiment.recorded(ruling)
    return SimulationRun(
        world=world.name,
        scenario=scenario.name,
        seed=seed,
        decision=str(last.decision),
        day=last.days if isinstance(last, ExperimentDecision) else 0,
        codes=last.reason_codes,
        every_evaluation=every_evaluation,
        bare=bare,
        t_test=t_test,
        detectable=(
            last.minimum_detectable_effect if isinstance(last, ExperimentDecision) else None
        ),
    )


def _in_shadow(scenario: Scenario, seed: int) -> Verdict | None:
    """The decision of the offline gate, if it keeps the challenger out of canary."""
    if scenario.offline_lift is None:
        return None
    evidence = _offline(scenario.offline_lift, seed)
    verdict = judge_challenger(evidence, OfflineRules(seed=seed))
    return verdict if verdict.decision is not Verb.PROMOTE else None


def _offline(lift: float, seed: int) -> OfflineEvidence:
    """Paired NDCG of test users with a planted lift."""
    rng = np.random.default_rng(seed)
    champion = rng.gamma(2, 0.1, OFFLINE_USERS)
    challenger = champion * (1 + lift) + rng.normal(0, 0.02, OFFLINE_USERS)
    return OfflineEvidence("als", "xgboost", "same", "same", *2 * (champion, challenger))


def _naive(panel: Panel) -> tuple[str, str]:
    """The decisions of two common rules on the same days."""
    arms = sides_of(panel.arm)
    clicks, shown = np.zeros((2, panel.users))
    bare, t_test = str(Verb.HOLD), str(Verb.HOLD)
    for today in range(DAYS):
        users, clicked, seen = panel.clicks(today, today=today)
        clicks[users] += clicked
        shown[users] += seen
        if panel.late and today >= LATE_DAYS:
            # The rest of a day's impressions arrives.
            users, _, seen = panel.clicks(today - LATE_DAYS, today=today)
            _, _, known = panel.clicks(today - LATE_DAYS, today=today - 1)
            shown[users] += seen - known
        difference, z = _difference(clicks, shown, arms)
        if today + 1 == BARE_DAY:
            bare = str(Verb.PROMOTE if difference > 0 else Verb.REJECT)
        if t_test == str(Verb.HOLD) and abs(z) > ndtri(0.975):
            t_test = str(Verb.PROMOTE if z > 0 else Verb.REJECT)
        if today + 1 >= BARE_DAY and t_test != str(Verb.HOLD):
            break
    return bare, t_test


def _difference(clicks: Values, shown: Values, arms: Sides) -> tuple[float, float]:
    """Difference of the mean click rates over users, and its z."""
    rates = clicks * (shown > 0) / np.maximum(shown, 1)
    counts = np.array([np.count_nonzero(shown[side]) for side in arms])
    sums = np.array([rates[side].sum() for side in arms])
    squares = np.array([rates[side] @ rates[side] for side in arms])
    errors = (squares - sums**2 / counts) / (counts - 1) / counts
    difference = float(sums[1] / counts[1] - sums[0] / counts[0])
    return difference, difference / float(np.sqrt(errors.sum()))
