"""A test that is repeated at planned looks, against known bounds and against its promised error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from firstchair.evaluation.repeated import RepeatedTest, planned_bound, spent

USERS = 400


def independent_days(first: int, last: int, users: int = USERS) -> list[np.ndarray]:
    """Influence values of the means of so many independent days of each user."""
    daily = np.random.default_rng(5).normal(0, 1, (last, users))
    return [daily[:day].sum(axis=0) / day for day in range(first, last + 1)]


def bounds_of(looks: list[np.ndarray], shares: list[float], alpha: float) -> list[float]:
    test = RepeatedTest(alpha)
    return [test.critical(look, share=share) for look, share in zip(looks, shares, strict=True)]


def crossed(bounds: list[float], correlation: np.ndarray, seed: int = 9) -> float:
    """Share of 200,000 fresh null experiments that reach a bound at any look."""
    rng = np.random.default_rng(seed)
    z = rng.multivariate_normal(np.zeros(len(bounds)), correlation, 200_000, method="cholesky")
    return float((z >= np.array(bounds)).any(axis=1).mean())


def test_a_single_look_is_the_usual_test() -> None:
    bound = RepeatedTest(0.05).critical(np.arange(1.0, 5.0), share=1.0)

    assert bound == pytest.approx(norm.ppf(0.95))


def by_integration(shares: list[float], alpha: float) -> list[float]:
    """Bounds for independent increments, by the recursion of Armitage and others (1969)."""
    scores, step = np.linspace(-12, 6, 6_001, retstep=True)
    density, found, spent_before, time = np.zeros(0), [], 0.0, 0.0
    for share in shares:
        kernel = norm.pdf(scores, scale=np.sqrt(share - time))
        if time == 0:
            density = kernel
        else:
            middle = len(scores) * 2 // 3
            density = np.convolve(density, kernel)[middle : middle + len(scores)] * step
        tail = np.cumsum(density[::-1])[::-1] * step
        wanted = spent(share, alpha=alpha) - spent_before
        bound = float(np.interp(-wanted, -tail, scores))
        found.append(bound / np.sqrt(share))
        density = np.where(scores < bound, density, 0.0)
        spent_before, time = spent(share, alpha=alpha), share
    return found


def test_bounds_of_independent_increments_are_those_of_numerical_integration() -> None:
    shares = [0.2, 0.4, 0.6, 0.8, 1.0]
    looks = [np.repeat([1.0, 0.0], [place + 1, 4 - place]) for place in range(5)]

    found = bounds_of(looks, shares, 0.05)

    assert found == pytest.approx(by_integration(shares, 0.05), abs=0.04)


@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("habit", [0.0, 0.5, 5.0])
def test_all_looks_together_err_as_promised_however_users_keep_their_habits(
    alpha: float,
    habit: float,
) -> None:
    constant = np.random.default_rng(6).normal(0, habit, USERS)
    looks = [constant + look for look in independent_days(21, 35)]
    bounds = bounds_of(looks, [day / 35 for day in range(21, 36)], alpha)
    rows = np.array([look / np.linalg.norm(look) for look in looks])
    correlation = rows @ rows.T + 1e-9 * np.eye(len(rows))

    assert crossed(bounds, correlation) == pytest.approx(alpha, rel=0.06)


def test_the_closer_the_looks_the_lower_the_bounds() -> None:
    shares = [day / 35 for day in range(21, 36)]
    habits = np.random.default_rng(6).normal(0, 5, USERS)

    apart = bounds_of(independent_days(21, 35), shares, 0.05)
    close = bounds_of([habits + look for look in independent_days(21, 35)], shares, 0.05)

    assert close[0] == apart[0]
    assert all(near < far for near, far in zip(close[1:], apart[1:], strict=True))


def test_a_look_with_nothing_new_spends_what_its_day_may() -> None:
    looks = independent_days(21, 22)

    first, same = bounds_of([looks[0], looks[0]], [0.6, 0.62], 0.05)

    assert same == pytest.approx(norm.ppf(1 - spent(0.62, alpha=0.05)), abs=0.01)
    assert same < first


def test_nothing_is_left_after_the_longest_experiment_and_nobody_is_no_look() -> None:
    test = RepeatedTest(0.05)

    assert test.critical(np.zeros(4), share=0.5) == np.inf
    assert test.critical(np.arange(1.0, 5.0), share=1.0) < 2
    assert test.critical(np.array([1.0, -1.0, 2.0, 0.5]), share=1.2) == np.inf


def test_what_is_planned_is_the_bound_of_independent_days() -> None:
    looks = independent_days(21, 35, users=200_000)
    found = bounds_of(looks, [day / 35 for day in range(21, 36)], 0.05)

    assert planned_bound(21, 35, 0.05) == pytest.approx(found[-1], abs=0.02)
    assert planned_bound(35, 35, 0.05) == pytest.approx(norm.ppf(0.95))


@given(share=st.floats(0, 1), more=st.floats(0, 1), alpha=st.floats(0.001, 0.4))
def test_what_is_spent_grows_to_alpha(share: float, more: float, alpha: float) -> None:
    assert 0 <= spent(min(share, more), alpha=alpha) <= spent(max(share, more), alpha=alpha)
    assert spent(1.0, alpha=alpha) == pytest.approx(alpha)
