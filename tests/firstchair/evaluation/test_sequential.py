"""The e-process against golden values, against quadrature, and on a process of known truth."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from firstchair.evaluation.sequential import (
    detectable,
    detectable_once,
    log_e,
    radius,
    rho_for,
)

SE = 0.0131
RHO = rho_for(SE, alpha=0.05)


def test_rho_is_what_closed_form_and_quadrature_agree_on() -> None:
    assert pytest.approx(877.803, abs=5e-4) == RHO


@pytest.mark.parametrize(("d", "evidence", "lower"), [
    (0.05, 6.0067, 0.01360),
    (0.03, 1.9390, -0.00640),
])  # fmt: skip
def test_golden_values(d: float, evidence: float, lower: float) -> None:
    assert log_e(d, SE, rho=RHO) == pytest.approx(evidence, abs=5e-5)
    assert d - radius(SE, rho=RHO, alpha=0.05) == pytest.approx(lower, abs=5e-6)


@pytest.mark.parametrize("d", [-0.06, -0.01, 0.0, 0.02, 0.05])
@pytest.mark.parametrize("se", [0.005, 0.0131, 0.05])
@pytest.mark.parametrize("null", [0.0, -0.02])
def test_the_closed_form_is_the_mixture_of_likelihood_ratios(
    d: float, se: float, null: float
) -> None:
    score, information = (d - null) / se**2, 1 / se**2

    def weighted(effect: float) -> float:
        return float(
            np.exp(effect * score - effect**2 * information / 2)
            * 2
            * norm.pdf(effect * np.sqrt(RHO))
        )

    peak = max(0.0, score / (information + RHO))
    width = 1 / np.sqrt(information + RHO)
    by_quadrature = quad(
        weighted, 0, peak + 12 * width, points=[peak], epsabs=0, epsrel=1e-11, limit=400
    )[0]

    assert log_e(d, se, rho=RHO, null=null) == pytest.approx(
        np.log(by_quadrature * np.sqrt(RHO)), abs=1e-6
    )


def test_the_confidence_sequence_ends_where_the_evidence_is_about_one_in_alpha() -> None:
    bound = 0.05 - radius(SE, rho=RHO, alpha=0.05)

    assert np.exp(log_e(0.05, SE, rho=RHO, null=bound)) == pytest.approx(20, rel=0.06)


def test_thirty_looks_at_nothing_cross_the_limit_less_often_than_alpha() -> None:
    rng = np.random.default_rng(4)
    information = np.linspace(1, 30, 30) / 30 / SE**2
    steps = rng.normal(0, np.sqrt(np.diff(information, prepend=0)), (4_000, 30))
    d = np.cumsum(steps, axis=1) / information

    found = log_e(d, np.broadcast_to(information**-0.5, d.shape), rho=np.full(d.shape, RHO))

    # 0.05 of 4,000 are 200; what is expected is about 60.
    assert (found.max(axis=1) >= np.log(20)).sum() <= 120


def test_the_detectable_effect_of_one_look_is_two_and_a_half_errors() -> None:
    assert detectable_once(0.01, alpha=0.05, power=0.8) == pytest.approx(0.0249, abs=5e-5)
    assert detectable(0.01, rho=RHO, alpha=0.05, power=0.8) > detectable_once(
        0.01,
        alpha=0.05,
        power=0.8,
    )
