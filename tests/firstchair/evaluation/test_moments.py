"""Effects out of sums, held against the user rows they were summed from."""

import numpy as np
import pytest

from firstchair.evaluation.moments import Contrast, Moments, compare, compare_ratios, moments

RNG = np.random.default_rng(11)
USERS = 5_000
ARM = RNG.permutation(USERS) % 2
X = RNG.gamma(2, 3, USERS)
Y = 1 + 0.6 * X + RNG.normal(0, 2, USERS) + 0.4 * ARM


def contrast(y: np.ndarray = Y, x: np.ndarray = X, arm: np.ndarray = ARM) -> Contrast:
    found = moments(y, x, arm.astype(np.int64), 2)
    return compare(*(Moments(*(values[[side]] for values in found)) for side in (0, 1)))


def test_the_adjusted_difference_is_the_arm_of_an_ordinary_regression() -> None:
    design = np.column_stack([np.ones(USERS), ARM, X])
    _, effect, slope = np.linalg.lstsq(design, Y, rcond=None)[0]

    found = contrast()

    assert found.treatment[0] - found.control[0] == pytest.approx(effect, abs=1e-6)
    expected = Y[ARM == 0].mean() - slope * (X[ARM == 0].mean() - X.mean())
    assert found.control[0] == pytest.approx(expected, abs=1e-6)


def test_the_error_is_that_of_fresh_assignments() -> None:
    flat = 1 + 0.6 * X + RNG.normal(0, 2, USERS)
    effects = [contrast(flat, X, RNG.permutation(ARM)).d[0] for _ in range(400)]

    assert np.std(effects) == pytest.approx(contrast(flat).se[0], rel=0.12)


def test_a_covariate_makes_the_error_smaller() -> None:
    assert contrast().se[0] < 0.85 * contrast(x=np.zeros(USERS)).se[0]


def test_swapped_arms_give_the_inverse_ratio() -> None:
    assert contrast(arm=1 - ARM).d[0] == pytest.approx(1 / (1 + contrast().d[0]) - 1, abs=1e-12)


def test_users_without_a_value_do_not_count() -> None:
    holes = np.where(np.arange(USERS) < 100, np.nan, Y)

    found, without = contrast(holes), contrast(Y[100:], X[100:], ARM[100:])

    assert (found.d[0], found.se[0]) == pytest.approx((without.d[0], without.se[0]))


def test_an_arm_of_one_user_has_no_error() -> None:
    one = np.zeros(USERS, dtype=np.int64)
    one[0] = 1

    assert np.isnan(contrast(arm=one).se[0])


def test_a_ratio_of_sums_counts_heavy_users_more_and_is_clustered_by_user() -> None:
    shown = RNG.poisson(20, USERS) * (1 + 9 * (RNG.random(USERS) < 0.1))
    clicked = RNG.binomial(shown, RNG.beta(2, 30, USERS))
    assignments = [RNG.permutation(ARM).astype(np.int8) for _ in range(400)]

    effects = [compare_ratios(clicked.astype(float), shown.astype(float), arm) for arm in assignments]

    first = assignments[0]
    rates = [clicked[first == side].sum() / shown[first == side].sum() for side in (0, 1)]
    assert (effects[0].control[0], effects[0].treatment[0]) == pytest.approx(tuple(rates))
    assert np.std([e.d[0] for e in effects]) == pytest.approx(np.mean([e.se[0] for e in effects]), rel=0.12)
