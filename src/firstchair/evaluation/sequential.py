"""Sequential statistics that are valid at every evaluation: e-values, bounds, effects."""

from typing import overload

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw, log_ndtr, ndtri

Values = npt.NDArray[np.float64]


def rho_for(se_planned: float, *, alpha: float) -> float:
    """The mixture's precision for the tightest confidence sequence at `se_planned`.

    rho = v / (-W_{-1}(-a² / e) - 1) with v = 1 / se², a = 2 alpha (Howard et al. 2021,
    "Time-uniform confidence sequences", section 3.5, for one side). Fixed before the stage; a bad
    plan costs power, not level.

    >>> round(rho_for(0.0131, alpha=0.05), 3)
    877.803
    """
    level = (2 * alpha) ** 2
    return float(1 / se_planned**2 / (-lambertw(-level / np.e, k=-1).real - 1))


@overload
def log_e(d: float, se: float, *, rho: float, null: float = 0.0) -> float: ...
@overload
def log_e(d: Values, se: Values, *, rho: Values, null: float = 0.0) -> Values: ...
def log_e(
    d: float | Values, se: float | Values, *, rho: float | Values, null: float = 0.0
) -> float | Values:
    """Logarithm of the one-sided e-value that the effect lies above `null`: a half-normal mixture.

    With v = 1 / se² and S = (d - null) v: ln e = ln 2 + ln(rho / (v + rho)) / 2 + S² / (2 (v +
    rho)) + ln Phi(S / sqrt(v + rho)) (Waudby-Smith et al. 2024, "Time-uniform central limit theory
    and asymptotic confidence sequences", one-sided).

    Args:
        d: Relative effect.
        se: Its standard error, > 0, on the same scale.
        rho: From `rho_for`, > 0.
        null: The effect that is to be refuted: 0, or minus the margin.

    >>> round(log_e(0.05, 0.0131, rho=877.803), 4)
    6.0067
    """
    information = 1 / np.square(se)
    score = (np.asarray(d) - null) * information
    spread = information + rho
    found = (
        np.log(2)
        + 0.5 * np.log(rho / spread)
        + score**2 / (2 * spread)
        + log_ndtr(score / np.sqrt(spread))
    )
    return float(found) if np.ndim(found) == 0 else np.asarray(found)


def radius(se: float, *, rho: float, alpha: float) -> float:
    """Distance of the one-sided confidence sequence from the estimate, at 1 - alpha.

    sqrt(2 (v + rho) ln(1 + sqrt((v + rho) / rho) / (2 alpha))) / v.

    >>> round(0.05 - radius(0.0131, rho=877.803, alpha=0.05), 4)
    0.0136
    """
    information = 1 / se**2
    spread = information + rho
    return float(np.sqrt(2 * spread * np.log1p(np.sqrt(spread / rho) / (2 * alpha))) / information)


def detectable_once(se: float, *, alpha: float, power: float) -> float:
    """Effect that one test detects with that power: (z_{1-alpha} + z_{power}) se."""
    return float((ndtri(1 - alpha) + ndtri(power)) * se)


def detectable(se: float, *, rho: float, alpha: float, power: float) -> float:
    """Effect that the confidence sequence detects with that power at this error."""
    return radius(se, rho=rho, alpha=alpha) + float(ndtri(power)) * se
