"""Off-policy values against truths: planted ones, and two policies that were both run."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

from firstchair.errors import EvidenceError
from firstchair.evaluation.off_policy import (
    Estimate,
    SlateLog,
    examination,
    inverse_propensity,
    position_based_lift,
    self_normalised,
)
from firstchair.promotion.rules import OfflineRules

ASSUMED = OfflineRules().assumptions()
K, POOL, EXPLORATION = 5, 20, 0.30
LOOKS = 1 / np.arange(1, K + 1) ** 0.7
BANDIT = Path(__file__).parents[3] / ".." / "shared" / "data" / "open-bandit"


def planted(
    seed: int, *, users: int = 6_000, slates: int = 3, lift: float = 0.0
) -> tuple[SlateLog, np.ndarray, float]:
    """Slates of listeners with different tastes, the challenger's lists, and its true lift."""
    rng = np.random.default_rng(seed)
    liking = rng.beta(1.5, 12, POOL) * rng.lognormal(0, 0.4, (users, POOL))
    liking = np.minimum(liking, 0.9)
    noisy = liking * rng.lognormal(0, 0.5, liking.shape)
    better = liking * rng.lognormal(0, max(0.05, 0.5 - lift), liking.shape)
    user = np.repeat(np.arange(users), slates)
    ranked, target = (np.argsort(-view, axis=1)[:, :K][user] for view in (noisy, better))
    shown = ranked.copy()
    explores = np.flatnonzero(rng.random(len(user)) < EXPLORATION)
    lots = np.array([(rng.integers(POOL - K), rng.integers(K)) for _ in explores]).reshape(-1, 2)
    is_outside = np.ones((len(explores), POOL), dtype=bool)
    np.put_along_axis(is_outside, ranked[explores], False, axis=1)
    outside = np.nonzero(is_outside)[1].reshape(-1, POOL - K)
    shown[explores, lots[:, 1]] = outside[np.arange(len(explores)), lots[:, 0]]
    chance = LOOKS * np.take_along_axis(liking[user], shown, axis=1)
    log = SlateLog(
        user,
        ranked,
        shown,
        rng.random(chance.shape) < chance,
        np.full(len(user), POOL - K),
        EXPLORATION,
    )
    values = [
        (LOOKS * np.take_along_axis(liking[user], lists, axis=1)).sum()
        for lists in (ranked, target)
    ]
    return log, target, values[1] / values[0] - 1


def test_the_slots_are_told_apart_by_what_chance_showed_in_them() -> None:
    found = examination(planted(1, users=40_000)[0], ASSUMED)

    assert found[0] == 1.0
    assert np.all(np.diff(found) <= 0)
    assert found == pytest.approx(LOOKS, abs=0.15)


def test_intervals_cover_the_true_lift() -> None:
    covered, errors, widths = 0, [], []
    for seed in range(50):
        log, target, truth = planted(seed, users=2_500, lift=0.3 if seed % 2 else 0.0)
        found = position_based_lift(log, target, ASSUMED)
        covered += found.lower <= truth <= found.upper
        errors.append(found.value - truth)
        widths.append(found.upper - found.lower)
        assert found.support == pytest.approx(1.0)

    assert covered >= 45
    assert abs(np.mean(errors)) < 0.02
    assert np.mean(widths) < 0.40


def test_the_champions_own_lists_have_no_lift() -> None:
    log = planted(3)[0]

    found = position_based_lift(log, log.ranked, ASSUMED)

    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.se == pytest.approx(0.0, abs=1e-12)


def test_an_artist_that_could_not_be_shown_is_no_support() -> None:
    log, target, _ = planted(4, users=2_000)

    blind = position_based_lift(replace(log, outside=np.zeros_like(log.outside)), target, ASSUMED)

    assert blind.support < 0.99


def test_slates_without_exploration_tell_nothing() -> None:
    log, target, _ = planted(5, users=500)

    with pytest.raises(EvidenceError, match="slots are not enough"):
        position_based_lift(replace(log, shown=log.ranked), target, ASSUMED)


@pytest.mark.skipif(
    not BANDIT.exists(), reason="the Open Bandit Dataset is not at ../shared/data/open-bandit"
)
@pytest.mark.parametrize("campaign", ["all", "women"])
@pytest.mark.parametrize(("logged", "wanted"), [("random", "bts"), ("bts", "random")])
@pytest.mark.parametrize("estimator", [inverse_propensity, self_normalised])
def test_the_value_of_a_policy_from_the_logs_of_another_covers_what_it_earned(
    campaign: str, logged: str, wanted: str, estimator: object
) -> None:
    log, other = bandit(logged, campaign), bandit(wanted, campaign)
    chances = np.zeros((other["item_id"].max() + 1, other["position"].max() + 1))
    if wanted == "random":
        chances += 1 / len(np.unique(other["item_id"]))
    else:  # what is known of it is how often each item stood at each position
        np.add.at(chances, (other["item_id"], other["position"]), 1)
        chances /= np.maximum(chances.sum(axis=0), 1)
    weights = chances[log["item_id"], log["position"]] / log["propensity_score"]

    clicks, users = log["click"].astype(float), np.arange(len(weights))
    found = estimator(clicks, weights, users)  # type: ignore[operator]

    assert isinstance(found, Estimate)
    assert found.lower <= other["click"].mean() <= found.upper
    # Logs of a policy that seldom leaves its favourites say little of another, and the samples say
    # so.
    assert found.effective_samples > (1_000 if logged == "random" else 1)


@cache
def bandit(policy: str, campaign: str) -> dict[str, np.ndarray]:
    table = pyarrow.csv.read_csv(BANDIT / policy / campaign / f"{campaign}.csv")
    return {
        name: np.asarray(table.column(name))
        for name in ("item_id", "position", "click", "propensity_score")
    }
