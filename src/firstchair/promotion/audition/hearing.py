"""One hearing: a simulated stage before the gate until it is decided, with two naive rules on the same evidence."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy.special import ndtri

from firstchair.promotion.audition.behaviour import DAYS
from firstchair.promotion.audition.panel import Panel, simulate_panel
from firstchair.promotion.audition.scenarios import Scenario
from firstchair.promotion.gate import OfflineEvidence, Verb, judge_challenger
from firstchair.promotion.rules import LiveRules, OfflineRules
from firstchair.promotion.trial import Trial
from firstchair.promotion.trial.evidence import Values

DATES = [date(2026, 1, 1) + timedelta(days=day) for day in range(DAYS)]
BARE_DAY = 14
OFFLINE_USERS = 2_000


@dataclass(frozen=True, slots=True)
class Hearing:
    """What came of one seed.

    decision: of the gate. day: on which it fell; 0 in shadow. codes: its reasons. every_look: the scenario's hold
    code stood at every look. bare: decision by the higher mean on day 14. t_test: by the first day with p < 0.05,
    two-sided. detectable: minimum detectable effect at the end, relative.
    """

    scenario: str
    seed: int
    decision: str
    day: int
    codes: tuple[str, ...]
    every_look: bool
    bare: str
    t_test: str
    detectable: float | None


def hear(scenario: Scenario, *, seed: int, rules: LiveRules) -> Hearing:
    """Play a scenario once."""
    if scenario.offline_lift is not None:
        verdict = judge_challenger(_offline(scenario.offline_lift, seed), OfflineRules(seed=seed))
        if verdict.decision is not Verb.PROMOTE:
            panel = simulate_panel(scenario.users, scenario.effect, seed=seed)
            return Hearing(
                scenario.name, seed, str(verdict.decision), 0, verdict.reason_codes, True, *_naive(panel), None
            )
    panel = simulate_panel(scenario.users, scenario.effect, seed=seed)
    bare, t_test = _naive(panel)
    every_look, last = True, None
    for last in Trial(panel, DATES, rules).decisions():
        every_look &= scenario.hold_code in last.reason_codes or last.decision is not Verb.HOLD
        if last.decision is not Verb.HOLD:
            break
    assert last is not None
    return Hearing(
        scenario=scenario.name,
        seed=seed,
        decision=str(last.decision),
        day=last.days,
        codes=last.reason_codes,
        every_look=every_look,
        bare=bare,
        t_test=t_test,
        detectable=last.minimum_detectable_effect,
    )


def _offline(lift: float, seed: int) -> OfflineEvidence:
    """Paired NDCG of test users with a planted lift."""
    rng = np.random.default_rng(seed)
    champion = rng.gamma(2, 0.1, OFFLINE_USERS)
    challenger = champion * (1 + lift) + rng.normal(0, 0.02, OFFLINE_USERS)
    return OfflineEvidence("als", "xgboost", "same", "same", champion, challenger, champion, challenger)


def _naive(panel: Panel) -> tuple[str, str]:
    """What two common rules make of the same days as they arrive."""
    clicks, impressions = np.zeros(panel.users), np.zeros(panel.users)
    bare, t_test = str(Verb.HOLD), str(Verb.HOLD)
    for today in range(DAYS):
        arrived = [panel.day(day, today=today) for day in range(max(0, today - 1), today + 1)]
        shown = impressions + sum(day["impressions"] for day in arrived)
        clicked = clicks + sum(day["clicks"] for day in arrived)
        difference, z = _difference(clicked, shown, panel)
        if today + 1 == BARE_DAY:
            bare = str(Verb.PROMOTE if difference > 0 else Verb.REJECT)
        if t_test == str(Verb.HOLD) and abs(z) > ndtri(0.975):
            t_test = str(Verb.PROMOTE if z > 0 else Verb.REJECT)
        if today >= 1:
            impressions += (
                arrived[0]["impressions"] if not panel.late else panel.day(today - 1, today=DAYS)["impressions"]
            )
            clicks += arrived[0]["clicks"]
    return bare, t_test


def _difference(clicks: Values, shown: Values, panel: Panel) -> tuple[float, float]:
    """Difference of the mean click rates over users, and its z."""
    rates = [clicks[side] / shown[side] for side in ((panel.arm == arm) & (shown > 0) for arm in (0, 1))]
    difference = float(rates[1].mean() - rates[0].mean())
    error = float(np.sqrt(sum(rate.var(ddof=1) / len(rate) for rate in rates)))
    return difference, difference / error
