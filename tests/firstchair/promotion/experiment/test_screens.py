"""Harm that hides: in a segment, in the newest days, behind active users."""

from types import SimpleNamespace

import numpy as np
import pytest

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.moments import Contrast
from firstchair.promotion.experiment.conditions import lasting, signs_agree, superior
from firstchair.promotion.experiment.measures import Reading
from firstchair.promotion.experiment.segments import SegmentWatch
from firstchair.promotion.rules import LiveRules

RULES = LiveRules()
PARTS = [("all", "all"), ("country", "CL"), ("country", "US")]
BOUNDS = {Metric.CLICKS: 2.4, Metric.CLICKS_UNWEIGHTED: 1.0}


def contrast(effects: list[float], errors: list[float], users: float = 1_000) -> Contrast:
    level = np.full(len(effects), 6.0)
    counts = np.full(len(effects), users)
    return Contrast(level, level, np.array(effects), np.array(errors), counts, counts)


def screened(effect: float, error: float, rest: float = 0.06, *, users: float = 1_000) -> bool:
    """Whether a segment with that effect is held where everybody else has `rest`."""
    watch = SegmentWatch(SimpleNamespace(parts=PARTS), np.ones(3), RULES)  # type: ignore[arg-type]
    found = contrast([rest, effect, rest], [0.01, error, error], users)
    others = contrast([np.nan, rest, rest], [np.nan, 0.01, 0.01], users)
    return "country CL" in watch.names(watch.screen(found, others))


def reading(effect: float, error: float) -> Reading:
    return Reading(6.0, 6.0 * (1 + effect), effect, error, 9_000, 9_000, 1_000.0)


@pytest.mark.parametrize(
    ("effect", "held"), [(-0.08, True), (-0.011, True), (-0.009, False), (0.06, False)]
)
def test_a_segment_holds_where_harm_explains_it_better_than_everybody_else(
    effect: float, held: bool
) -> None:
    assert screened(effect, 0.03) is held


def test_a_segment_below_everybody_that_gains_is_not_held() -> None:
    assert not screened(0.05, 0.03, rest=0.27)


def test_where_harm_and_gain_cannot_be_told_apart_only_more_than_chance_holds() -> None:
    assert not screened(-0.05, 0.06)
    assert screened(-0.17, 0.06)


def test_a_segment_of_few_users_holds_nothing() -> None:
    assert not screened(-0.30, 0.03, users=RULES.segment_users - 1)


@pytest.mark.parametrize(
    ("first", "newest", "passes"),
    [
        (0.05, 0.05, True),
        (0.05, 0.02, True),  # not beyond chance
        (0.10, 0.05, True),  # it fell, and is proven still
        (0.10, 0.03, False),  # it fell, and is not proven any more
        (0.02, -0.01, False),
    ],
)
def test_an_effect_that_fell_has_to_be_proven_by_the_newest_days_alone(
    first: float,
    newest: float,
    passes: bool,
) -> None:
    found = lasting(reading(first, 0.02), reading(newest, 0.02), 0.025, RULES)

    assert found.passes is passes
    assert f"{100 * (newest - first):+.1f} points" in found.detail


@pytest.mark.parametrize(
    ("weighted", "unweighted", "passes"),
    [(0.05, 0.04, True), (0.05, 0.005, False), (0.05, -0.02, False), (0.02, 0.04, False)],
)
def test_who_helps_active_users_alone_is_not_better(
    weighted: float,
    unweighted: float,
    passes: bool,
) -> None:
    found = superior(reading(weighted, 0.011), reading(unweighted, 0.015), BOUNDS, RULES)

    assert found.passes is passes


def test_before_the_looks_that_decide_nothing_is_proven() -> None:
    assert not superior(reading(0.5, 0.01), reading(0.5, 0.01), {}, RULES).passes


@pytest.mark.parametrize(
    ("pooled", "passes"),
    [(0.05, True), (-0.02, True), (-0.05, False)],
)
def test_a_ratio_of_sums_contradicts_only_beyond_chance(pooled: float, passes: bool) -> None:
    assert signs_agree(reading(0.05, 0.015), reading(pooled, 0.04), RULES).passes is passes
