"""Counts that are mostly 0 to 3, drawn in single precision.

NumPy prepares each pair of parameters of a distribution anew, which takes two to three times as
long. All draws here have an error of at most 1e-6 in their probabilities.
"""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Where no success at all is less likely than exp of this, the search from 0 would be long, and its
# terms too small for single precision.
LEAST_LOG_NONE = -16.0
LEAST_TERM = 1e-8


def binomial(rng: np.random.Generator, trials: Counts | Floats, chance: Floats) -> Counts:
    """Draw binomial counts.

    Args:
        rng: Source of the draws.
        trials: Whole numbers (n_draws,), >= 0.
        chance: Of each trial, 0..1, float32 (n_draws,).

    Returns:
        int64 (n_draws,).
    """
    n = trials.astype(np.float32, copy=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_none = n * np.log1p(-chance)
        odds = chance / (1 - chance)
    many = np.flatnonzero(~(log_none >= LEAST_LOG_NONE))
    log_none[many] = 0
    found = _search(rng, np.exp(log_none), -odds, (n + 1) * odds)
    found[many] = rng.binomial(trials[many].astype(np.int64), chance[many])
    return found


def poisson(rng: np.random.Generator, mean: Floats) -> Counts:
    """Draw Poisson counts, int64 (n_draws,), of means >= 0, float32 (n_draws,)."""
    many = np.flatnonzero(mean > -LEAST_LOG_NONE)
    small = mean.copy()
    small[many] = 0
    found = _search(rng, np.exp(-small), np.zeros_like(mean), mean)
    found[many] = rng.poisson(mean[many])
    return found


def _search(rng: np.random.Generator, none: Floats, a: Floats, b: Floats) -> Counts:
    """Invert P(0) = none, P(k) = (a + b / k) P(k - 1) (Panjer 1981) by a search from 0."""
    found = np.zeros(len(none), dtype=np.int64)
    rest = rng.random(len(none), dtype=np.float32)
    rest -= none
    place = np.flatnonzero(rest >= 0)
    a, b, term, rest = a[place], b[place], none[place], rest[place]
    k = 0
    while len(place):
        k += 1
        found[place] = k
        term *= a + b / np.float32(k)
        rest -= term
        on = np.flatnonzero((rest >= 0) & (term > LEAST_TERM))
        place, a, b, term, rest = (values[on] for values in (place, a, b, term, rest))
    return found
