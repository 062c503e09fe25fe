"""Effects out of sums, held against the user rows they were summed from."""

import numpy as np
import pytest

from firstchair.evaluation.adjustment import Adjustment, Covariates, explained
from firstchair.evaluation.moments import (
    Comparison,
    Contrast,
    Moments,
    compare,
    compare_ratios,
    moments,
    sides_of,
    terms,
    weighted,
)

RNG = np.random.default_rng(11)
USERS = 5_000
ARM = RNG.permutation(USERS) % 2
X = RNG.gamma(2, 3, USERS)
Y = 1 + 0.6 * X + RNG.normal(0, 2, USERS) + 0.4 * ARM


def contrast(
    y: np.ndarray = Y,
    x: np.ndarray = X,
    arm: np.ndarray = ARM,
    weights: np.ndarray | None = None,
) -> Contrast:
    each = terms(y, predicted(y, x, arm))
    each = each if weights is None else weighted(each, weights)
    found = moments(each, arm.astype(np.int64), 2)
    return compare(*(Moments(*(values[[side]] for values in found)) for side in (0, 1)))


def predicted(y: np.ndarray, x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    known = Covariates.of_users(x.reshape(len(x), -1))
    return Adjustment(known, arm.astype(np.int8)).predicted(y)


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

    effects = [
        compare_ratios(clicked.astype(float), shown.astype(float), sides_of(arm))
        for arm in assignments
    ]

    first = assignments[0]
    rates = [clicked[first == side].sum() / shown[first == side].sum() for side in (0, 1)]
    assert (effects[0].control[0], effects[0].treatment[0]) == pytest.approx(tuple(rates))
    assert np.std([e.d[0] for e in effects]) == pytest.approx(
        np.mean([e.se[0] for e in effects]), rel=0.12
    )


def test_a_ratio_of_sums_has_no_error_where_nothing_varies() -> None:
    shown, some = np.full(40, 10.0), np.tile([0.0, 1.0], 20)
    sides = (slice(0, 20), slice(20, 40))
    nobody_clicked = np.where(np.arange(40) < 20, some, 0.0)

    for clicked in (nobody_clicked, np.ones(40), np.zeros(40)):
        assert np.isnan(compare_ratios(clicked, shown, sides).se[0])


def test_a_ratio_of_sums_counts_users_who_were_shown_something() -> None:
    shown = np.tile([10.0, 0.0, 0.0, 5.0], 10)
    clicked = np.tile([1.0, 0.0, 0.0, 2.0], 10)

    found = compare_ratios(clicked, shown, (slice(0, 16), slice(16, 40)))

    assert (found.n_control[0], found.n_treatment[0]) == (8, 12)


def test_several_facts_foretell_what_an_ordinary_regression_with_the_arm_does() -> None:
    facts = np.column_stack([X, X**2, RNG.normal(0, 1, USERS), np.ones(USERS)])
    design = np.column_stack([ARM, facts])
    slopes = np.linalg.lstsq(design, Y, rcond=None)[0]

    found = contrast(x=facts)

    assert found.treatment[0] - found.control[0] == pytest.approx(slopes[0], abs=1e-6)
    centred = predicted(Y, facts, ARM)
    wanted = facts @ slopes[1:]
    assert centred - centred.mean() == pytest.approx(wanted - wanted.mean(), abs=1e-6)


def test_a_fact_told_twice_and_a_constant_one_change_nothing() -> None:
    doubled = np.column_stack([X, X, np.full(USERS, 7.0)])

    assert contrast(x=doubled).d[0] == pytest.approx(contrast().d[0], abs=1e-9)
    assert contrast(x=doubled).se[0] == pytest.approx(contrast().se[0], abs=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_what_a_group_shares_predicts_like_a_covariate_of_each_of_its_users(share: float) -> None:
    group = RNG.integers(0, 6, USERS)
    known = Covariates(X[None, :], group, RNG.normal(0, 1, (3, 6)))
    y = np.where(RNG.random(USERS) < share, Y + known.shared[1, group], np.nan)

    found = Adjustment(known, ARM.astype(np.int8)).predicted(y)

    of_users = Adjustment(Covariates.of_users(known.columns()), ARM.astype(np.int8)).predicted(y)
    assert found == pytest.approx(of_users, abs=1e-9)
    assert explained(y, found) > explained(y, X)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_slopes_are_those_of_the_users_with_a_value(share: float) -> None:
    known = RNG.random(USERS) < share
    holes = np.where(known, Y, np.nan)

    found = predicted(holes, X, ARM)

    wanted = predicted(Y[known], X[known], ARM[known])
    assert found[known] == pytest.approx(wanted, abs=1e-9)


def test_what_is_explained_is_the_squared_correlation() -> None:
    assert explained(Y, X) == pytest.approx(np.corrcoef(Y, X)[0, 1] ** 2)
    assert explained(Y, np.zeros(USERS)) == 0.0
    assert explained(np.full(USERS, np.nan), X) == 0.0


def test_influences_add_up_to_the_error_and_tell_how_looks_move_together() -> None:
    steady = RNG.gamma(2, 3, USERS)
    early = steady + RNG.normal(0, 3, USERS)
    late = (early + steady + RNG.normal(0, 3, USERS)) / 2
    arms = [RNG.permutation(ARM) for _ in range(400)]
    both = np.array([[contrast(y, arm=arm).d[0] for y in (early, late)] for arm in arms])

    values = {"early": early, "late": late}
    looks = {name: terms(y, predicted(y, X, ARM)) for name, y in values.items()}
    compared = Comparison(looks, sides_of(ARM))
    moved = [compared.influence(name) for name in looks]

    assert np.sqrt(moved[0] @ moved[0]) == pytest.approx(contrast(early).se[0], rel=0.01)
    together = moved[0] @ moved[1] / np.sqrt(moved[0] @ moved[0] * (moved[1] @ moved[1]))
    assert together == pytest.approx(np.corrcoef(both.T)[0, 1], abs=0.03)


def test_users_without_a_value_move_nothing() -> None:
    holes = np.where(np.arange(USERS) < 100, np.nan, Y)

    each = terms(holes, predicted(holes, X, ARM))
    moved = Comparison({"y": each}, sides_of(ARM)).influence("y")

    assert not moved[:100].any()
    assert moved[100:].all()


def test_weights_by_precision_make_the_error_smaller_and_keep_it_honest() -> None:
    shown = RNG.pareto(1.2, USERS) * 5 + 1
    rate = 1 + 0.2 * RNG.normal(0, 1, USERS) + RNG.normal(0, 1, USERS) / np.sqrt(shown)
    weights = shown / (shown + 25)
    arms = [RNG.permutation(ARM) for _ in range(400)]

    plain, weighted = contrast(rate), contrast(rate, weights=weights)

    assert weighted.se[0] < 0.8 * plain.se[0]
    effects = [contrast(rate, arm=arm, weights=weights).d[0] for arm in arms]
    assert np.std(effects) == pytest.approx(weighted.se[0], rel=0.12)
