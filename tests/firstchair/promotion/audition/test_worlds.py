"""The worlds of the audition: their levels, what makes each unlike the others, what is planted."""

from functools import cache

import numpy as np
import pytest

from firstchair.promotion.audition import WORLDS, Effect, Panel, simulate_panel
from firstchair.promotion.audition.behaviour import DAYS
from firstchair.promotion.audition.panel import HISTORY
from firstchair.promotion.experiment.evidence import BEFORE, BEFORE_DAYS, SEGMENTS
from tests.firstchair.promotion.audition.test_audition import totals

USERS = 6_000
EVERY_WORLD = pytest.mark.parametrize("world", WORLDS)


NOTHING = Effect()


@cache
def panel_of(world: str, effect: Effect = NOTHING, seed: int = 1, users: int = USERS) -> Panel:
    return simulate_panel(users, effect, seed=seed, world=WORLDS[world])


@EVERY_WORLD
def test_a_seed_gives_the_same_users_and_another_seed_others(world: str) -> None:
    def drawn(seed: int) -> Panel:
        return simulate_panel(500, Effect(0.1, leaving=-0.1), seed=seed, world=WORLDS[world])

    first, again, other = drawn(1), drawn(1), drawn(2)

    def same(panel: Panel) -> bool:
        fields = [(panel.arm, first.arm), (panel.user, first.user)]
        fields += [(panel.rows[name], first.rows[name]) for name in first.rows]
        fields += [(panel.history[name], first.history[name]) for name in HISTORY]
        return all(np.array_equal(*pair) for pair in fields)

    assert same(again)
    assert not same(other)


@EVERY_WORLD
def test_levels_are_those_of_a_service(world: str) -> None:
    panel = panel_of(world)
    sums = totals(panel)
    seen = sums["impressions"] > 0

    assert 0.15 < sums["active"].mean() / DAYS < 0.40
    rates = sums["clicks"][seen] / sums["impressions"][seen]
    assert rates.mean() == pytest.approx(0.06, abs=0.008)
    assert sums["ms_played"].sum() / sums["track_ms"].sum() == pytest.approx(0.60, abs=0.02)
    assert set(panel.segments) == set(SEGMENTS)
    assert panel.segments["country"].codes.max() == 11


@pytest.mark.parametrize(
    ("world", "least", "most"),
    [("steady", 0.0035, 0.0050), ("bursty", 0.0060, 0.0080), ("heavy_tailed", 0.0050, 0.0070)],
)
def test_the_error_of_active_days_is_that_of_a_service(
    world: str,
    least: float,
    most: float,
) -> None:
    """Relative standard error of 20,000 users over 28 days, with the days before as covariate."""
    panel = panel_of(world, users=20_000)
    active = panel.active[:28].sum(axis=0)
    correlation = np.corrcoef(active, panel.before["pre_active_days"])[0, 1]
    spread = active.std() / active.mean() * np.sqrt(1 - correlation**2)

    assert least < spread * np.sqrt(4 / panel.users) < most


@EVERY_WORLD
def test_the_columns_before_the_stage_are_the_sums_of_its_days(world: str) -> None:
    panel = panel_of(world)

    assert len(HISTORY) == len(BEFORE)
    for column, name in zip(BEFORE, HISTORY, strict=True):
        assert panel.history[name].shape == (BEFORE_DAYS, panel.users)
        assert np.array_equal(panel.history[name].sum(axis=0, dtype=float), panel.before[column])
    assert ((panel.history["active"] == 1) == (panel.history["impressions"] > 0)).all()
    assert (panel.history["clicks"] <= panel.history["impressions"]).all()
    assert (panel.history["ms_played"] <= panel.history["track_ms"]).all()


@EVERY_WORLD
def test_labels_say_who_was_away_on_the_days_after(world: str) -> None:
    panel = panel_of(world)

    users, away = panel.labels(10, "churned_7")

    assert np.array_equal(np.sort(users), np.flatnonzero(panel.active[10]))
    assert np.array_equal(away, [not panel.active[11:18, user].any() for user in users])
    assert len(panel.labels(DAYS - 8, "churned_7")[0]) > 0
    assert len(panel.labels(DAYS - 7, "churned_7")[0]) == 0


@EVERY_WORLD
@pytest.mark.parametrize(
    ("effect", "measure", "over", "change"),
    [
        (Effect(0.20), "clicks", "impressions", 0.20),
        (Effect(0.20, later_clicks=0.20), "clicks", "impressions", 0.20),
        (Effect(listen_through=-0.10), "ms_played", "track_ms", -0.10),
        (Effect(active_days=-0.10), "active", None, -0.10),
        (Effect(leaving=-0.10), "active", None, -0.10),
    ],
)
def test_a_planted_effect_is_in_the_challengers_days_and_in_no_others(
    world: str, effect: Effect, measure: str, over: str | None, change: float
) -> None:
    def of_arm(panel: Panel, arm: int) -> float:
        sums = totals(panel)
        users = panel.arm == arm
        return float(sums[measure][users].sum() / (sums[over][users].sum() if over else 1))

    def ratio(seed: int, arm: int) -> float:
        treated, usual = (panel_of(world, e, seed, 3_000) for e in (effect, NOTHING))
        return of_arm(treated, arm) / of_arm(usual, arm)

    for arm, expected in enumerate((0, change)):
        ratios = [ratio(seed, arm) for seed in range(1, 6)]
        assert np.mean(ratios) - 1 == pytest.approx(expected, abs=0.025)


@EVERY_WORLD
def test_users_who_are_driven_away_are_more_from_day_to_day(world: str) -> None:
    panels = [panel_of(world, effect, 3, 20_000) for effect in (Effect(leaving=-0.2), NOTHING)]
    driven, usual = (panel.active[:, panel.arm == 1].sum(axis=1) for panel in panels)

    # A share 2 * 0.2 * (d + 1) / 36 of the active days of day d is lost.
    assert driven[:7].sum() / usual[:7].sum() == pytest.approx(1 - 0.4 * 4 / 36, abs=0.03)
    assert driven[-7:].sum() / usual[-7:].sum() == pytest.approx(1 - 0.4 * 32 / 36, abs=0.05)


def test_users_of_the_bursty_world_are_active_in_spells() -> None:
    assert _persistence("bursty") > 0.10
    assert _persistence("heavy_tailed") == pytest.approx(0, abs=0.03)


def _persistence(world: str) -> float:
    """Correlation of a day's activity with the day before's, within users and days."""
    active = panel_of(world).active.astype(float)
    always = active.mean(axis=0)
    usual = always * active.mean(axis=1, keepdims=True) / active.mean()
    lived = (always > 0.2) & (always < 0.8)
    rest = (active - usual)[:, lived]
    return float((rest[1:] * rest[:-1]).mean() / (rest**2).mean()) + 1 / (DAYS - 1)


def test_users_of_the_bursty_world_have_habits_of_the_weekend() -> None:
    def spread(world: str) -> float:
        """Variance over users of the weekend's share, as a multiple of chance alone."""
        history = panel_of(world, users=20_000).history["active"]
        count = history.sum(axis=0)
        often = count >= 8
        weekend = history[np.arange(BEFORE_DAYS) % 7 >= 5].sum(axis=0)[often]
        share = weekend.sum() / count[often].sum()
        expected = (count[often] * share * (1 - share)).sum()
        return float(((weekend - share * count[often]) ** 2).sum() / expected)

    assert spread("bursty") > 1.1 * spread("steady")


def test_users_of_the_bursty_world_leave_for_good() -> None:
    def gone(world: str) -> float:
        """Share of those often active before who are never seen in the last ten days."""
        panel = panel_of(world)
        often = panel.history["active"][-14:].sum(axis=0) >= 7
        return float((~panel.active[-10:, often].any(axis=0)).mean())

    assert gone("bursty") > 4 * gone("steady")


def test_few_users_of_the_heavy_tailed_world_see_most() -> None:
    def share(world: str) -> float:
        shown = np.sort(totals(panel_of(world, users=20_000))["impressions"])
        return float(shown[-200:].sum() / shown.sum())

    assert share("heavy_tailed") > 0.15
    assert share("steady") < 0.10
    shown = totals(panel_of("heavy_tailed", users=20_000))["impressions"]
    assert shown.max() > 80 * shown.mean()


def test_records_of_the_heavy_tailed_world_are_lost_on_one_day_of_both_arms() -> None:
    for seed in range(1, 4):
        panel = panel_of("heavy_tailed", seed=seed)
        records = [panel.active[:, panel.arm == arm].sum(axis=1) for arm in (0, 1)]

        empty = np.flatnonzero(records[0] == 0)
        assert len(empty) == 1
        assert records[1][empty[0]] == 0


@pytest.mark.parametrize("world", ["bursty", "heavy_tailed"])
def test_users_join_in_the_weeks_before_and_during_the_stage(world: str) -> None:
    panel = panel_of(world)
    new = panel.segments["lifecycle"].codes == 1
    days_before = panel.before["pre_active_days"]
    late = new & (days_before == 0)

    assert 0.12 < new.mean() < 0.25
    assert days_before[new].mean() < 0.5 * days_before[~new].mean()
    assert panel.active[-7:, late].sum() > 2 * panel.active[:7, late].sum()
