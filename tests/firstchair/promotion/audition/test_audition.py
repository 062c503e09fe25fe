"""The audition itself: the world it plays, what it counts, what it prints."""

import numpy as np
import pytest

from firstchair.promotion.audition import SCENARIOS, Effect, Panel, simulate_panel
from firstchair.promotion.audition.audition import Limit
from firstchair.promotion.audition.behaviour import DAYS
from firstchair.promotion.audition.effects import HARMED
from firstchair.promotion.audition.hearing import hear
from firstchair.promotion.audition.scenarios import accepted
from firstchair.promotion.rules import LiveRules

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def totals(panel: Panel) -> dict[str, np.ndarray]:
    """Sums over the stage by measure, a value a user."""
    days = [panel.day(day, today=DAYS) for day in range(DAYS)]
    return {name: sum(day[name] for day in days) for name in days[0]}


def test_the_scenarios_are_those_of_the_specification() -> None:
    assert list(BY_NAME) == [
        "null", "better5", "better10", "offline_lies", "worse10", "segment_harm_large", "segment_harm_small",
        "ctr_bait", "srm_biased", "late_events", "novelty", "small", "power_users", "leak",
    ]  # fmt: skip
    assert BY_NAME["segment_harm_large"].seeds(60) == 12


@pytest.mark.parametrize(
    ("limit", "runs", "at_most", "count"),
    [(0.05, 60, True, 9), (0.10, 60, True, 14), (0.35, 60, True, 33), (0.05, 12, True, 4), (0.05, 400, True, 35),
     (0.85, 60, False, 42), (0.90, 60, False, 46), (0.95, 60, False, 51), (0.0, 60, True, 0)],
)  # fmt: skip
def test_the_accepted_counts_are_those_of_the_specification(limit: float, runs: int, at_most: bool, count: int) -> None:
    assert accepted(limit, runs, at_most=at_most) == count


def test_a_count_outside_its_limits_fails() -> None:
    assert Limit("promote", 9, None, 9).passes
    assert not Limit("promote", 10, None, 9).passes
    assert not Limit("promote", 41, 42, None).passes


def test_the_world_has_the_effect_that_was_planted() -> None:
    panel = simulate_panel(30_000, Effect(0.30, segment_clicks=-0.30), seed=2)
    clicks, shown = (totals(panel)[name] for name in ("clicks", "impressions"))
    harmed = panel.segments["country"].codes == HARMED

    def lift(users: np.ndarray) -> float:
        rates = [clicks[users & (panel.arm == arm)].sum() / shown[users & (panel.arm == arm)].sum() for arm in (0, 1)]
        return float(rates[1] / rates[0] - 1)

    assert lift(~harmed) == pytest.approx(0.30, abs=0.06)
    assert lift(harmed) == pytest.approx(-0.30, abs=0.10)


def test_the_same_seed_is_heard_alike() -> None:
    scenario = BY_NAME["small"]

    assert hear(scenario, seed=4, rules=LiveRules()) == hear(scenario, seed=4, rules=LiveRules())


def test_a_leak_is_held_before_any_user_sees_it() -> None:
    heard = hear(BY_NAME["leak"], seed=1, rules=LiveRules())

    assert (heard.decision, heard.day, heard.codes) == ("hold", 0, ("leak_alarm",))


def test_naive_rules_believe_what_late_data_tell_them() -> None:
    heard = hear(BY_NAME["late_events"], seed=1, rules=LiveRules())

    assert (heard.bare, heard.t_test) == ("promote", "promote")
    assert heard.decision != "promote"
    assert heard.every_look
