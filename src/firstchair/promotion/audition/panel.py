"""The audition's world: users with tastes that drift, a challenger with a planted effect."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.definitions.lifecycle import LONG_TERM, NEW
from firstchair.promotion.trial.evidence import BEFORE, BEFORE_DAYS, MEASURES, Codes, Segment, Values

DAYS, SLATE = 35, 10
SHARES = np.array([0.20, 0.16, 0.13, 0.12, 0.10, 0.08, 0.06, 0.05, 0.035, 0.025, 0.025, 0.015])
# The segment with 12 % of the users, which some scenarios harm.
HARMED = 3
NEW_SHARE = 0.25
DRIFT, DRIFT_SD = 0.85, 0.45
HEAVY_SHARE = 0.15
TRACK_MS = 200_000.0
LATE_DAYS, LATE_MISSING = 2, 0.40
LOST_SHARE = 0.06
NOVELTY_UNTIL, NOVELTY_TURNED = 10, 20


@dataclass(frozen=True, slots=True)
class Effect:
    """What the challenger changes, relative to the champion.

    clicks, listen_through: for everybody. segment_clicks: instead, in the harmed segment. heavy_clicks: instead,
    for the `HEAVY_SHARE` of users with most slates. later_clicks: what clicks turn to between day 10 and day 20.
    late: of the newest days, part of the challenger's impressions is still missing. lost: part of the challenger's
    users who click little never reach the tables. account: impressions that one of the challenger's
    users has each day, without a click; 0 where there is no such account.
    """

    clicks: float = 0.0
    listen_through: float = 0.0
    segment_clicks: float | None = None
    heavy_clicks: float | None = None
    later_clicks: float | None = None
    late: bool = False
    lost: bool = False
    account: int = 0


@dataclass(frozen=True)
class Panel:
    """Simulated users and days, as the gate reads evidence; float64 (days, users) by measure."""

    arm: npt.NDArray[np.int8]
    segments: Mapping[str, Segment]
    before: Mapping[str, Values]
    table: Mapping[str, Values]
    late: bool

    @property
    def days(self) -> int:
        """Number of days."""
        return DAYS

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.arm)

    def day(self, day: int, *, today: int) -> dict[str, Values]:
        """What each user did on a day; where delivery is late, as much of it as is known today."""
        found = {name: self.table[name][day] for name in MEASURES}
        if self.late and today - day < LATE_DAYS:
            found["impressions"] = np.where(
                self.arm == 1, np.floor(found["impressions"] * (1 - LATE_MISSING)), found["impressions"]
            )
        return found

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """No churn is simulated."""
        assert day >= 0 and name
        return np.array([], dtype=np.int64), np.array([])


def simulate_panel(users: int, effect: Effect, *, seed: int) -> Panel:
    """Users of both arms over a stage of `DAYS` days, with what they did in the 28 days before.

    Activity Beta(.9, 1.7), slates 1 + Poisson(.6 lognormal) of ten, click rate Beta(1.6, 25) with an AR(1) drift
    (phi .85, sd .45), a weekly season, listen-through N(.60, .12).
    """
    rng = np.random.default_rng(seed)
    arm = rng.permutation(users) % 2
    segment = rng.choice(len(SHARES), users, p=SHARES / SHARES.sum())
    new = rng.random(users) < NEW_SHARE
    activity = rng.beta(0.9, 1.7, users)
    slates = 0.6 * rng.lognormal(0.0, 0.75, users)
    rate = rng.beta(1.6, 25, users)
    depth = np.clip(rng.normal(0.60, 0.12, users), 0.05, 0.98)
    season = 1 + 0.1 * np.sin(2 * np.pi * np.arange(BEFORE_DAYS + DAYS) / 7)
    active = rng.random((BEFORE_DAYS + DAYS, users), dtype=np.float32) < season[:, None] * activity
    impressions = np.zeros(active.shape)
    where = np.nonzero(active)
    impressions[where] = SLATE * (1 + rng.poisson(slates[where[1]]))
    chance = np.minimum(rate * _drift(rng, active.shape), 0.9)
    heavy = (activity * (1 + slates)) >= np.quantile(activity * (1 + slates), 1 - HEAVY_SHARE)
    lift = 1 + (arm == 1) * _effects(effect, segment, heavy)
    stage = _stage(
        rng, impressions[BEFORE_DAYS:], chance[BEFORE_DAYS:] * lift, depth * (1 + effect.listen_through * arm)
    )
    stage["active"] = active[BEFORE_DAYS:].astype(np.float64)
    stage["followed"] = np.broadcast_to(0.0, stage["active"].shape)
    if effect.account:
        _run_by_a_program(stage, user=int(np.flatnonzero(arm == 1)[0]), impressions=effect.account)
    before = _before(rng, impressions[:BEFORE_DAYS], chance[:BEFORE_DAYS], depth)
    before["pre_active_days"] = active[:BEFORE_DAYS].sum(axis=0).astype(np.float64)
    kept = _kept(rng, effect, arm, rate)
    names = tuple(f"country {number:02d}" for number in range(len(SHARES)))
    return Panel(
        arm=arm[kept].astype(np.int8),
        segments={
            "country": Segment(names, segment[kept]),
            "lifecycle": Segment((LONG_TERM, NEW), new[kept].astype(np.int64)),
        },
        before={name: before[name][kept] for name in BEFORE},
        table=stage if kept.all() else {name: stage[name][:, kept] for name in MEASURES},
        late=effect.late,
    )


def _drift(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Multipliers of the click rate with mean 1, an AR(1) in the logarithm."""
    steps = rng.standard_normal(shape, dtype=np.float32) * np.float32(DRIFT_SD * np.sqrt(1 - DRIFT**2))
    steps[0] *= np.float32(1 / np.sqrt(1 - DRIFT**2))
    for day in range(1, shape[0]):
        steps[day] += np.float32(DRIFT) * steps[day - 1]
    return np.asarray(np.exp(steps - np.float32(DRIFT_SD**2 / 2)), dtype=np.float32)


def _effects(effect: Effect, segment: Codes, heavy: npt.NDArray[np.bool_]) -> Values:
    """Relative effect on clicks by day and user."""
    of_user = np.full(len(segment), effect.clicks)
    if effect.segment_clicks is not None:
        of_user[segment == HARMED] = effect.segment_clicks
    if effect.heavy_clicks is not None:
        of_user[heavy] = effect.heavy_clicks
    if effect.later_clicks is None:
        return np.tile(of_user, (DAYS, 1))
    turned = np.clip((np.arange(DAYS) - NOVELTY_UNTIL) / (NOVELTY_TURNED - NOVELTY_UNTIL), 0, 1)[:, None]
    return np.asarray(of_user * (1 - turned) + effect.later_clicks * turned)


def _stage(rng: np.random.Generator, impressions: Values, chance: Values, depth: Values) -> dict[str, Values]:
    clicks = np.zeros(impressions.shape)
    where = np.nonzero(impressions)
    clicks[where] = rng.binomial(impressions[where].astype(np.int64), np.minimum(chance[where], 1.0))
    played = np.nonzero(clicks)
    plays = clicks[played]
    noise = rng.normal(0, 0.25, len(plays)) / np.sqrt(plays)
    ms = np.zeros(impressions.shape)
    ms[played] = TRACK_MS * plays * np.clip(depth[played[1]] + noise, 0, 1)
    return {
        "impressions": impressions,
        "clicks": clicks,
        "plays": clicks,
        "ms_played": ms,
        "track_ms": clicks * TRACK_MS,
    }


def _run_by_a_program(stage: dict[str, Values], *, user: int, impressions: int) -> None:
    """Let a user do nothing each day but fetch lists."""
    for name in ("clicks", "ms_played", "track_ms"):
        stage[name][:, user] = 0
    stage["impressions"][:, user] = impressions
    stage["active"][:, user] = 1


def _before(rng: np.random.Generator, impressions: Values, chance: Values, depth: Values) -> dict[str, Values]:
    shown = impressions.sum(axis=0)
    mean = np.divide((impressions * chance).sum(axis=0), shown, out=np.zeros(len(shown)), where=shown > 0)
    clicks = rng.binomial(shown.astype(np.int64), np.minimum(mean, 1.0)).astype(np.float64)
    noise = rng.normal(0, 0.25, len(shown)) / np.sqrt(np.maximum(clicks, 1))
    return {
        "pre_impressions": shown,
        "pre_clicks": clicks,
        "pre_track_ms": clicks * TRACK_MS,
        "pre_ms_played": clicks * TRACK_MS * np.clip(depth + noise, 0, 1),
    }


def _kept(rng: np.random.Generator, effect: Effect, arm: Codes, rate: Values) -> npt.NDArray[np.bool_]:
    """Everybody, or all but the lost: of the challenger's users one in `LOST_SHARE`, from the half that clicks less."""
    if not effect.lost:
        return np.ones(len(arm), dtype=np.bool_)
    low = (arm == 1) & (rate < np.median(rate))
    return np.asarray(~(low & (rng.random(len(arm)) < 2 * LOST_SHARE)))
