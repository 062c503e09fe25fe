"""Test for a sample ratio mismatch that is valid at every evaluation."""

import math

import numpy as np
from scipy.special import betaln

# Weight of the planned share in the prior, in users.
CONCENTRATION = 1_000.0


def log_e_sample_ratio(control: int, treatment: int, *, share: float) -> float:
    """Logarithm of the e-value against the planned share.

    Dirichlet-multinomial against the plan (Lindon and Malek 2022, "Anytime-valid inference for
    multinomial count data", section 3), with a prior centred on the plan.

    Args:
        control: Users of the champion's arm.
        treatment: Users of the challenger's arm.
        share: Planned share of the challenger, between 0 and 1.

    >>> round(log_e_sample_ratio(9800, 10200, share=0.5), 4)
    2.2874
    """
    a, b = CONCENTRATION * share, CONCENTRATION * (1 - share)
    mixed = betaln(a + treatment, b + control) - betaln(a, b)
    return float(mixed - treatment * math.log(share) - control * np.log1p(-share))
