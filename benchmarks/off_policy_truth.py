"""Off-policy estimates of shadow lists against what a simulated world truly makes of them.

Run with `python -m benchmarks.off_policy_truth [--seeds N] [--users N] [--days N]`. Each seed is a
new world, with a champion and a challenger that rank by noisy views of its tastes. The champion's
lists are served for some weeks by the code that answers logins, one slot of every tenth slate given
to chance; listeners click by position, taste and fatigue, so that neither the appeal nor the
examination is what the estimator assumes. The truth is the expected clicks of both first ten
artists at each logged slate, out of the world's own tastes and fatigue, without any noise of
clicks. Beside the estimator stand the inverse propensity of artist and position, and the same
self-normalised.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from lives import START

from firstchair.errors import EvidenceError
from firstchair.evaluation.off_policy import (
    Estimate,
    SlateLog,
    examination,
    inverse_propensity,
    self_normalised,
)
from firstchair.login.slates import EXPLORATION, draw_of, with_chance
from firstchair.promotion import OfflineRules
from firstchair.promotion.slate_log import Logged
from firstchair.promotion.veto import off_policy
from firstchair.publication.published import Role
from firstchair.world.behaviour import CLICK, EXAMINATION, Happenings, Life
from firstchair.world.population import make_artists, make_users
from firstchair.world.scenarios import scenario
from firstchair.world.service import CHAMPION, SLATE, Signals, Slates, Whole
from firstchair.world.tastes import Tastes

ARTISTS, LENGTH, WARM_UP = 120, 40, 5
SERVING = Role("als", "1")
# Noise in what the challenger sees of the tastes, drawn for each seed; the champion has the mean.
BLURS = (0.4, 2.0)


@dataclass
class Shadowing:
    """A service that shows the champion's lists and notes both lists with their true clicks."""

    tastes: Tastes
    blur: float
    seed: int
    rng: np.random.Generator
    life: Life | None = None
    day: date = START
    listed: tuple[Whole, Whole] | None = None
    served: int = 0
    user: list[Whole] = field(default_factory=list)
    ranked: list[Whole] = field(default_factory=list)
    target: list[Whole] = field(default_factory=list)
    shown: list[Whole] = field(default_factory=list)
    outside: list[Whole] = field(default_factory=list)
    slate: list[Whole] = field(default_factory=list)
    true_clicks: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def __post_init__(self) -> None:
        shape = (len(self.tastes.users), len(self.tastes.artists))
        self.views = [self.rng.standard_normal(shape, dtype=np.float32) for _ in range(2)]

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        """The champion's first ten with their propensities; notes the first slate of a day."""
        if self.listed is None or day != self.day:
            self.listed, self.day = (
                (self._list(0, sum(BLURS) / 2, day), self._list(1, self.blur, day)),
                day,
            )
        ours, theirs = (lists[users] for lists in self.listed)
        shown, outside = ours[:, :SLATE].copy(), np.zeros(len(users), dtype=np.int64)
        propensities = np.full(shape=shown.shape, fill_value=1 - EXPLORATION / SLATE)
        for row, user in enumerate(users.tolist()):
            beyond = sorted(
                {*ours[row].tolist(), *theirs[row].tolist()}.difference(shown[row].tolist())
            )
            ranked = (shown[row].tolist(), [0] * SLATE, [0] * SLATE)
            draw = draw_of(self.seed, user.to_bytes(16), day)
            made = with_chance(
                SERVING, CHAMPION, None, ranked, beyond, lambda artist: (artist, 0, 0), draw
            )
            shown[row], outside[row] = made.artists, len(beyond)
            if made.explored >= 0:
                propensities[row, made.explored] = made.explored_propensity
        number = (day - START).days
        if session == 0 and number >= WARM_UP:
            self._note(users, number, ours[:, :SLATE], theirs[:, :SLATE], shown, outside)
        self.served += len(users)
        return Slates(shown, propensities, ["1"] * len(users), [CHAMPION] * len(users))

    def receive(self, signals: Signals, *, day: date) -> None:
        """It does not listen."""

    def lists(self) -> Mapping[str, Whole]:
        """Not asked for."""
        return {}

    def _list(self, who: int, blur: float, day: date) -> Whole:
        """A ranking by noisy taste and popularity; four fifths of the noise stay each day."""
        users = np.arange(len(self.tastes.users))
        today = self.rng.standard_normal(self.views[who].shape, dtype=np.float32)
        view = 1.2 * self.tastes.affinity(users) + 0.6 * self.tastes.artists.log_popularity
        view += blur * (0.9 * self.views[who] + 0.44 * today)
        view[:, self.tastes.artists.debut > (day - START).days] = -np.inf
        return np.argsort(-view, axis=1)[:, :LENGTH].astype(np.int64)

    def _note(
        self, users: Whole, day: int, ours: Whole, theirs: Whole, shown: Whole, outside: Whole
    ) -> None:
        assert self.life is not None
        for who, lists in enumerate((ours, theirs)):
            self.true_clicks[who] += float(
                (EXAMINATION * self.life.appeal(users, lists, day)).sum()
            )
        noted = (self.user, self.ranked, self.target, self.shown, self.outside, self.slate)
        for column, values in zip(
            noted,
            (users, ours, theirs, shown, outside, self.served + np.arange(len(users))),
            strict=True,
        ):
            column.append(values)

    def logged(self, days: list[Happenings]) -> Logged:
        """The noted slates with what was clicked in them."""
        columns = (self.user, self.ranked, self.target, self.shown, self.outside, self.slate)
        user, ranked, target, shown, outside, slate = (np.concatenate(column) for column in columns)
        clicked = np.zeros(shown.shape, dtype=bool)
        row_of = np.full(self.served, -1)
        row_of[slate] = np.arange(len(slate))
        for h in days:
            hit = (h.kind == CLICK) & (h.slate >= 0)
            row = row_of[h.slate[hit]]
            clicked[row[row >= 0], h.position[hit][row >= 0] - 1] = True
        return Logged(SlateLog(user, ranked, shown, clicked, outside, EXPLORATION), target)


@dataclass(frozen=True, slots=True)
class Found:
    """One world: true lift, estimates by name, whether the veto may judge and whether it does."""

    truth: float
    estimates: dict[str, Estimate]
    supported: bool
    vetoes: bool
    looks: np.ndarray


def main() -> None:
    """Print coverage, bias and width over the seeds."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, default=50)
    arguments.add_argument("--first-seed", type=int, default=1)
    arguments.add_argument("--users", type=int, default=10_000)
    arguments.add_argument("--days", type=int, default=14)
    asked = arguments.parse_args()
    found = []
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        found.append(measure(seed, asked.users, asked.days))
        one = found[-1].estimates["PBM-DR"]
        said = (
            f"true lift {found[-1].truth:+.3f}, PBM-DR {one.value:+.3f} ({one.lower:+.3f} to "
            f"{one.upper:+.3f})"
        )
        print(f"  seed {seed}: {said}, {one.effective_samples:,.0f} effective samples", flush=True)
    print(
        f"Simulated: {asked.seeds} worlds, {asked.users:,} users, {asked.days} days, exploration "
        f"{EXPLORATION}."
    )
    print(f"CPU seconds: {time.process_time():.0f}")
    print(summary(found))


def measure(seed: int, users: int, days: int) -> Found:
    """Live one world and estimate."""
    streams = [np.random.default_rng([seed, part]) for part in range(6)]
    how = scenario("steady")
    music = make_artists(ARTISTS, START, streams[0], debuts=how.debuts)
    people = make_users(users, WARM_UP + days, START, streams[1])
    tastes = Tastes(people, music, how, 10_000, streams[4], days=WARM_UP + days)
    service = Shadowing(tastes, float(streams[3].uniform(*BLURS)), seed, streams[5])
    service.life = Life(tastes, START, streams[2], lost=np.zeros(users, dtype=bool))
    logged = service.logged([service.life.live(day, service) for day in range(WARM_UP + days)])
    ours, theirs = service.true_clicks
    asked = off_policy(logged, OfflineRules())
    if asked.estimate is None:
        raise EvidenceError(
            asked.sentence,
            where=f"seed {seed}",
            data="Nothing was printed.",
            remedy="Ask for more users.",
        )
    peers = {name: _by_position(logged, way) for name, way in PEERS.items()}
    looks = examination(logged.log, OfflineRules().assumptions())
    return Found(
        theirs / ours - 1, {"PBM-DR": asked.estimate, **peers}, asked.supported, asked.vetoes, looks
    )


PEERS = {"IPS by position": inverse_propensity, "SNIPS by position": self_normalised}


def _by_position(logged: Logged, way: partial[Estimate]) -> Estimate:
    """The lift of the target over the champion's lists, with weights by artist and position."""
    log = logged.log
    as_ranked = log.shown == log.ranked
    by_chance = EXPLORATION / SLATE / np.maximum(log.outside, 1)[:, None]
    chance = np.where(as_ranked, 1 - EXPLORATION / SLATE, by_chance)
    clusters = np.repeat(log.user, SLATE)
    rewards = log.clicked.ravel().astype(np.float64)
    theirs, ours = (
        way(rewards, ((log.shown == lists) / chance).ravel(), clusters)
        for lists in (logged.target, log.ranked)
    )
    scaled = {name: getattr(theirs, name) / ours.value - 1 for name in ("value", "lower", "upper")}
    support = float((logged.target == log.ranked).mean())
    return Estimate(
        **scaled,
        se=theirs.se / ours.value,
        effective_samples=theirs.effective_samples,
        largest_share=theirs.largest_share,
        support=support,
    )


def summary(found: list[Found]) -> str:
    """One row an estimator."""
    truth = np.array([one.truth for one in found])
    lines = [
        f"True lifts {truth.min():+.3f} to {truth.max():+.3f}, mean {truth.mean():+.3f}.",
        "| estimator | intervals that cover | mean error | root mean square error | mean width | "
        "effective samples |",
        "|---|---|---|---|---|---|",
    ]
    for name in found[0].estimates:
        each = [one.estimates[name] for one in found]
        value, lower, upper = (
            np.array([getattr(e, part) for e in each]) for part in ("value", "lower", "upper")
        )
        inside = int(((lower <= truth) & (truth <= upper)).sum())
        error = value - truth
        samples = np.median([e.effective_samples for e in each])
        lines.append(
            f"| {name} | {inside} of {len(found)} | {error.mean():+.3f} | "
            f"{np.sqrt((error**2).mean()):.3f} | {(upper - lower).mean():.3f} | {samples:,.0f} |"
        )
    supported, vetoed = (
        np.array([getattr(one, part) for one in found]) for part in ("supported", "vetoes")
    )
    worse = truth < 0
    looks = np.mean([one.looks for one in found], axis=0)
    lines += [
        f"Support held in {supported.sum()} of {len(found)} worlds. Vetoed: "
        f"{int(vetoed[worse].sum())} of {int(worse.sum())} that are truly worse, "
        f"{int(vetoed[~worse].sum())} of {int((~worse).sum())} that are not.",
        "Examination by slot, mean: "
        + ", ".join(f"{value:.2f}" for value in looks)
        + "; true: "
        + ", ".join(f"{value:.2f}" for value in EXAMINATION / EXAMINATION[0])
        + ".",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
