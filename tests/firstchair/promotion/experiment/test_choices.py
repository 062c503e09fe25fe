"""What a stage would find, planned from the days before it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.repeated import planned_bound
from firstchair.promotion.audition import Effect, simulate_panel
from firstchair.promotion.experiment.choices import choices
from firstchair.promotion.experiment.evidence import BEFORE, BEFORE_DAYS, Values
from firstchair.promotion.rules import LiveRules

RULES = LiveRules()
DEPTH, TRACKS, TRACK_MS = 0.6, 40, 200_000.0


def users_of(
    rng: np.random.Generator, chances: Values, *, depths: Values | None = None, noise: float = 0.0
) -> dict[str, Values]:
    """Users with a chance of being active on a day each, who hear a share of their tracks."""
    n = len(chances)
    active = rng.random((BEFORE_DAYS, n)) < chances
    own = np.full(n, DEPTH) if depths is None else depths
    heard = own + noise * rng.standard_normal((2, n))
    days = BEFORE_DAYS // 2
    tracks = np.full(n, TRACKS * TRACK_MS)
    return {
        "pre_impressions": np.full(n, 200.0),
        "pre_clicks": rng.binomial(200, rng.beta(1.6, 25, n)).astype(np.float64),
        "pre_active_days": active.sum(axis=0).astype(np.float64),
        "pre_ms_played": heard.sum(axis=0) * tracks,
        "pre_track_ms": 2 * tracks,
        "late_active_days": active[days:].sum(axis=0).astype(np.float64),
        "late_ms_played": heard[1] * tracks,
        "late_track_ms": tracks,
    }


def planned_error(before: Mapping[str, Values], metric: Metric, max_days: int) -> float:
    """Standard error that the chance of a guardrail was planned with."""
    rules = replace(RULES, max_days=max_days, active_margin=0.005, listen_margin=0.005)
    chance = choices(before, rules)[0].unharmed[metric]
    bound = planned_bound(rules.min_days, max_days, rules.alpha)
    return float(0.005 / (ndtri(chance) + bound))


@pytest.mark.parametrize("max_days", [35, 84])
def test_where_all_users_are_alike_the_error_shrinks_with_the_days(max_days: int) -> None:
    n, chance = 20_000, 0.3
    before = users_of(np.random.default_rng(1), np.full(n, chance))

    found = planned_error(before, Metric.ACTIVE_DAYS, max_days)

    # A mean of `max_days` independent days of each of n / 2 users an arm.
    assert found == pytest.approx(np.sqrt((1 - chance) / (chance * max_days) * 4 / n), rel=0.05)


@pytest.mark.parametrize("max_days", [35, 84])
def test_users_who_differ_leave_the_error_that_their_past_does_not_foretell(max_days: int) -> None:
    n, own, noise = 20_000, 0.12, 0.15
    rng = np.random.default_rng(2)
    depths = DEPTH + own * rng.standard_normal(n)
    before = users_of(rng, np.full(n, 0.3), depths=depths, noise=noise)

    found = planned_error(before, Metric.LISTEN_THROUGH, max_days)

    # A stage is noisier by sqrt(28 / days) than the 28 days before, in which two halves are known.
    past, daily = own**2 + noise**2 / 2, noise**2 / 2 * BEFORE_DAYS / max_days
    left = own**2 + daily - own**4 / past
    assert found == pytest.approx(np.sqrt(left * 4 / n) / DEPTH, rel=0.05)


def test_the_present_settings_come_first_and_each_other_asks_for_less() -> None:
    rules = replace(RULES, max_days=40, listen_margin=0.03)
    before = users_of(np.random.default_rng(3), np.random.default_rng(4).beta(0.9, 1.7, 5_000))

    first, *others = choices(before, rules)

    assert (first.max_days, first.margins[Metric.LISTEN_THROUGH]) == (40, 0.03)
    assert {c.max_days for c in others} == {40, 56, 84}
    assert all(c.margins[name] >= first.margins[name] for c in others for name in first.margins)
    assert len({(c.max_days, *c.margins.values()) for c in (first, *others)}) == len(others) + 1
    for c in others:
        assert all(c.unharmed[metric] >= first.unharmed[metric] - 0.02 for metric in first.unharmed)
        assert c.promoted_5 <= c.promoted_10 <= min(c.unharmed.values())


def test_more_users_find_more() -> None:
    chances = np.random.default_rng(5).beta(0.9, 1.7, 40_000)
    few, many = (
        choices(users_of(np.random.default_rng(6), chances[:n], noise=0.1), RULES)[0]
        for n in (4_000, 40_000)
    )

    assert many.detectable < few.detectable / 3
    assert many.promoted_10 > 0.95 > few.promoted_10


def test_arms_too_small_for_a_promotion_say_so_and_are_offered_the_setting() -> None:
    before = users_of(np.random.default_rng(7), np.full(1_800, 0.5))

    present, *others = choices(before, RULES)

    assert present.arm_users == 900 < present.success_users
    assert present.promoted_10 == 0
    assert {c.success_users for c in others} == {800}
    assert any(c.promoted_10 > 0 for c in others)


def test_no_setting_reads_fewer_users_than_a_harm_needs() -> None:
    before = users_of(np.random.default_rng(8), np.full(700, 0.5))

    found = choices(before, RULES)

    assert all(c.success_users >= RULES.harm_users and c.promoted_10 == 0 for c in found)


def test_a_simulated_stage_is_planned_with_the_error_that_it_has() -> None:
    panel = simulate_panel(5_000, Effect(), seed=9)
    late = {
        "late_active_days": "active",
        "late_ms_played": "ms_played",
        "late_track_ms": "track_ms",
    }
    before = dict(panel.before)
    for name, measure in late.items():
        before[name] = panel.history[measure][BEFORE_DAYS // 2 :].sum(axis=0, dtype=np.float64)
    past = before["pre_active_days"]
    after = panel.active.sum(axis=0)
    fit = np.polyfit(past, after, 1)
    left = (after - np.polyval(fit, past)).std() / after.mean() * np.sqrt(4 / panel.users)

    assert planned_error(before, Metric.ACTIVE_DAYS, panel.days) == pytest.approx(left, rel=0.1)


def test_without_anything_shown_nothing_is_planned() -> None:
    nothing = dict.fromkeys(
        (*BEFORE, "late_active_days", "late_ms_played", "late_track_ms"), np.zeros(10)
    )

    assert choices(nothing, RULES) == ()
    nobody = replace(RULES, decision_share=0.0)
    assert choices(users_of(np.random.default_rng(10), np.full(2_000, 0.5)), nobody) == ()
