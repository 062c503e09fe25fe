"""The audition itself: the world it plays, what it counts, what it prints."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from firstchair.cli import app
from firstchair.promotion.audition import (
    SCENARIOS,
    WORLDS,
    AuditionReport,
    Effect,
    Panel,
    audition,
    simulate_panel,
)
from firstchair.promotion.audition.audition import Limit
from firstchair.promotion.audition.behaviour import DAYS
from firstchair.promotion.audition.effects import HARMED
from firstchair.promotion.audition.scenarios import accepted
from firstchair.promotion.audition.simulation_run import DATES, run_scenario
from firstchair.promotion.experiment import Experiment
from firstchair.promotion.rules import LiveRules

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def totals(panel: Panel) -> dict[str, np.ndarray]:
    """Sums over the stage by measure, a value a user."""
    days = [panel.day(day, today=DAYS) for day in range(DAYS)]
    return {name: sum(day[name] for day in days) for name in days[0]}


def test_the_scenarios_are_those_of_the_specification() -> None:
    assert list(BY_NAME) == [
        "null", "better5", "better10", "worse5", "worse10", "offline_lies",
        "segment_harm_large", "segment_harm_small", "ctr_bait", "users_driven_away",
        "less_active", "less_listened", "srm_biased", "late_events", "novelty",
        "small", "small10", "medium5", "medium10", "power_users",
        "starves-small-artists", "feeds-small-artists", "leak",
    ]  # fmt: skip
    assert BY_NAME["segment_harm_large"].seeds(60) == 12


@pytest.mark.parametrize(
    ("limit", "runs", "at_most", "count"),
    [(0.05, 60, True, 9), (0.10, 60, True, 14), (0.35, 60, True, 33), (0.05, 12, True, 4),
     (0.05, 400, True, 35), (0.85, 60, False, 42), (0.90, 60, False, 46), (0.95, 60, False, 51),
     (0.0, 60, True, 0)],
)  # fmt: skip
def test_the_accepted_counts_are_those_of_the_specification(
    limit: float, runs: int, at_most: bool, count: int
) -> None:
    assert accepted(limit, runs, at_most=at_most) == count


@pytest.mark.parametrize(
    ("name", "decision", "held"),
    [("starves-small-artists", "hold", True), ("feeds-small-artists", "promote", False)],
)
def test_who_shows_small_artists_less_is_held_and_who_does_not_is_promoted(
    name: str, decision: str, held: bool
) -> None:
    clearer = replace(BY_NAME[name], users=6_000, effect=replace(BY_NAME[name].effect, clicks=0.2))

    found = run_scenario(clearer, seed=1, rules=LiveRules(listen_margin=0.1, active_margin=0.1))

    assert found.decision == decision
    assert ("exposure_tail_not_proven" in found.codes) is held


def test_a_margin_for_small_artists_changes_nothing_where_the_evidence_does_not_know_them() -> None:
    panel = simulate_panel(3_000, Effect(0.15), seed=1)
    with_margin = LiveRules(exposure_margin=0.05)

    asked, usual = (
        list(Experiment(panel, DATES, rules).decisions()) for rules in (with_margin, LiveRules())
    )

    assert asked == usual
    assert "exposure_tail" not in {metric.name for metric in asked[-1].metrics}


def test_panels_with_and_without_small_artists_are_otherwise_the_same() -> None:
    known, unknown = (
        totals(simulate_panel(500, Effect(0.1, exposure=part), seed=3)) for part in (-0.5, None)
    )

    share = known.pop("tail_impressions").sum() / known["impressions"].sum()
    assert all(np.array_equal(known[name], values) for name, values in unknown.items())
    # 15 % for half of the users, 7.5 % for the others.
    assert share == pytest.approx(0.1125, abs=0.02)


def test_a_count_outside_its_limits_fails() -> None:
    assert Limit("promote", 9, None, 9).passes
    assert not Limit("promote", 10, None, 9).passes
    assert not Limit("promote", 41, 42, None).passes


def test_the_world_has_the_effect_that_was_planted() -> None:
    panel = simulate_panel(30_000, Effect(0.30, segment_clicks=-0.30), seed=2)
    clicks, shown = (totals(panel)[name] for name in ("clicks", "impressions"))
    harmed = panel.segments["country"].codes == HARMED

    def lift(users: np.ndarray) -> float:
        rates = [
            clicks[users & (panel.arm == arm)].sum() / shown[users & (panel.arm == arm)].sum()
            for arm in (0, 1)
        ]
        return float(rates[1] / rates[0] - 1)

    assert lift(~harmed) == pytest.approx(0.30, abs=0.06)
    assert lift(harmed) == pytest.approx(-0.30, abs=0.10)


def test_the_same_seed_is_heard_alike() -> None:
    scenario = BY_NAME["small"]

    first, again = (run_scenario(scenario, seed=4, rules=LiveRules()) for _ in range(2))

    assert first == again


def test_a_leak_is_held_before_any_user_sees_it() -> None:
    heard = run_scenario(BY_NAME["leak"], seed=1, rules=LiveRules())

    assert (heard.decision, heard.day, heard.codes) == ("hold", 0, ("leak_alarm",))


def test_naive_rules_believe_what_late_data_tell_them() -> None:
    heard = run_scenario(BY_NAME["late_events"], seed=1, rules=LiveRules())

    assert (heard.bare, heard.t_test) == ("promote", "promote")
    assert heard.decision != "promote"
    assert heard.every_evaluation


def test_the_report_has_every_scenario_in_every_world_with_its_error() -> None:
    played = [replace(BY_NAME[name], users=500) for name in ("small", "leak")]
    reached = []

    report = audition(
        seeds=2,
        worlds=["steady", "bursty"],
        scenarios=played,
        processes=1,
        progress=lambda name, done, total: reached.append((name, done, total)),
    )

    assert [(found.world, found.name, found.runs) for found in report.scenarios] == [
        (world, scenario.name, 2) for world in ("steady", "bursty") for scenario in played
    ]
    assert list(report.worlds) == ["steady", "bursty"]
    leak = report.scenarios[1]
    assert leak.rates == {"promote": 0, "hold": 1, "reject": 0}
    assert leak.errors["hold"] == pytest.approx(np.sqrt(1 / 6 * 5 / 6 / 2))
    assert leak.codes == {"leak_alarm": 2}
    assert report.passes is all(found.passes for found in report.scenarios)
    assert [counts for _, *counts in reached] == [[8, 8]]


def test_a_rejection_after_its_day_does_not_count() -> None:
    late = replace(BY_NAME["worse10"], users=2_000, reject_by=2)

    report = audition(seeds=2, worlds=["steady"], scenarios=[late], processes=1)

    assert [(limit.what, limit.count, limit.passes) for limit in report.scenarios[0].limits] == [
        ("reject >= 99%", 0, False)
    ]


def test_a_world_that_does_not_exist_is_refused_with_those_that_do() -> None:
    found = CliRunner().invoke(app, ["audition", "--worlds", "steady,flat"])

    assert found.exit_code == 2
    assert "No world is called flat" in found.output
    assert all(world in found.output for world in WORLDS)


def test_the_report_is_drawn_world_by_world(monkeypatch: pytest.MonkeyPatch) -> None:
    short = audition(seeds=1, worlds=["steady"], scenarios=[BY_NAME["leak"]], processes=1)
    asked = {}

    def play(**given: object) -> AuditionReport:
        asked.update(given)
        return short

    monkeypatch.setattr("firstchair.promotion.audition.audition", play)

    drawn = CliRunner().invoke(app, ["audition", "--seeds", "1", "--worlds", "steady"])
    document = CliRunner().invoke(app, ["audition", "--seeds", "1", "--worlds", "steady", "--json"])

    assert drawn.exit_code == 0
    assert asked["worlds"] == ["steady"]
    assert "steady (" in drawn.stdout
    assert "1.000 ± 0.433" in drawn.stdout
    errors = json.loads(document.stdout)["scenarios"][0]["errors"]
    assert errors["hold"] == pytest.approx(0.433, abs=1e-3)
