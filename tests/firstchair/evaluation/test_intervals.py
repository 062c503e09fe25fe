"""The paired bootstrap against what theory says of it."""

import numpy as np
import pytest

from firstchair.errors import EvidenceError
from firstchair.evaluation import paired_bootstrap
from firstchair.evaluation.intervals import mean_interval


def interval(
    champion: np.ndarray, challenger: np.ndarray, seed: int = 1
) -> tuple[float, float, float]:
    found = paired_bootstrap(champion, challenger, samples=1_000, alpha=0.05, seed=seed)
    return found.lower, found.upper, found.se


def test_the_same_values_differ_by_nothing_at_all() -> None:
    values = np.random.default_rng(0).random(500)

    assert interval(values, values) == (0, 0, 0)


def test_a_constant_gain_has_no_uncertainty() -> None:
    values = np.random.default_rng(0).random(500)

    lower, upper, _ = interval(values, 1.1 * values)

    assert (lower, upper) == (pytest.approx(0.1), pytest.approx(0.1))


def test_its_standard_error_is_that_of_the_delta_method() -> None:
    rng = np.random.default_rng(3)
    champion = rng.gamma(2, 1, 4_000)
    challenger = 0.5 * champion + rng.gamma(2, 0.6, 4_000)

    _, _, se = interval(champion, challenger)

    ratio = challenger.mean() / champion.mean()
    analytic = (challenger - ratio * champion).std(ddof=1) / champion.mean() / np.sqrt(4_000)
    assert se == pytest.approx(analytic, rel=0.08)


def test_the_interval_covers_no_difference_about_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        both = rng.gamma(2, 1, (2, 300))
        found = paired_bootstrap(both[0], both[1], samples=300, alpha=0.05, seed=seed)
        covered += found.lower <= 0 <= found.upper

    # 190 are expected; four standard deviations (3.1) either way.
    assert 177 <= covered <= 200


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    champion, challenger = rng.random((2, 100))

    assert interval(champion, challenger, seed=4) == interval(champion, challenger, seed=4)


@pytest.mark.parametrize(
    ("champion", "challenger"),
    [
        (np.zeros(5), np.ones(5)),
        (np.ones(5), np.ones(4)),
        (np.ones(0), np.ones(0)),
        (np.eye(1, 1_000)[0], np.zeros(1_000)),
    ],
)
def test_what_cannot_be_compared_is_refused(champion: np.ndarray, challenger: np.ndarray) -> None:
    with pytest.raises(EvidenceError):
        interval(champion, challenger)


def test_nobody_has_no_mean() -> None:
    with pytest.raises(EvidenceError, match="0 users"):
        mean_interval(np.zeros(0), samples=100, alpha=0.05, seed=1)
