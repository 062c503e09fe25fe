"""The paired bootstrap by user: the relative difference of two models with its interval."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.errors import EvidenceError

Floats: TypeAlias = npt.NDArray[np.float64]

# Resampling weights held at once: 64 MB, as they are drawn in int64 and counted in float64.
WEIGHTS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class RelativeInterval:
    """Relative difference of two means over the same users: challenger / champion - 1.

    lower, upper: two-sided percentile interval at 1 - alpha. se: standard deviation over resamples.
    """

    champion: float
    challenger: float
    relative_difference: float
    lower: float
    upper: float
    se: float
    users: int
    samples: int


def paired_bootstrap(
    champion: Floats,
    challenger: Floats,
    *,
    samples: int,
    alpha: float,
    seed: int,
) -> RelativeInterval:
    """Percentile interval of the relative difference, by resampling users with both their values.

    Each user counts a Poisson(1) number of times in a resample (Chamandy et al. 2012, "Estimating
    uncertainty for massive data streams": as the multinomial bootstrap for many users, without
    drawing indices).

    Args:
        champion: float64 (n_users,), one value per user.
        challenger: The same of the other model, users in the same order.
        samples: Resamples.
        alpha: Two-sided error, 0..1.
        seed: Seed of the weights.

    Raises:
        EvidenceError: The arrays differ in length, hold no user, or the champion's mean is not
        positive, of all users or in more than `alpha` / 2 of the resamples: then the interval is
        unknown.
    """
    if champion.shape != challenger.shape or not len(champion):
        raise EvidenceError(
            f"{len(champion)} users of the champion are compared with {len(challenger)} of the "
            "challenger.",
            where="paired bootstrap",
            data="No interval was computed.",
            remedy="Evaluate both on the same split, with users in the same order.",
        )
    if champion.mean() <= 0:
        raise EvidenceError(
            "The champion's mean is 0, so no difference relative to it exists.",
            where="paired bootstrap",
            data="No interval was computed.",
            remedy="Gather more test days, until the champion hits at least once.",
        )
    totals = _resampled(champion, challenger, samples, seed)
    missed = int(np.count_nonzero(totals[:, 0] <= 0))
    if missed > samples * alpha / 2:
        raise EvidenceError(
            f"The champion hits for {np.count_nonzero(champion):,} of {len(champion):,} users, so "
            f"its mean is 0 in {missed:,} of {samples:,} resamples and the interval is unknown.",
            where="paired bootstrap",
            data="No interval was computed.",
            remedy="Gather more test days, until the champion hits for more users.",
        )
    found = totals[totals[:, 0] > 0]
    differences = found[:, 1] / found[:, 0] - 1
    # A resample in which the champion hits nobody says neither: it counts at each end.
    lower = np.quantile(np.append(differences, np.full(missed, -1.0)), alpha / 2)
    upper = np.quantile(differences, min(1.0, (1 - alpha / 2) * samples / len(differences)))
    return RelativeInterval(
        champion=float(champion.mean()),
        challenger=float(challenger.mean()),
        relative_difference=float(challenger.mean() / champion.mean() - 1),
        lower=float(lower),
        upper=float(upper),
        se=float(differences.std(ddof=1)),
        users=len(champion),
        samples=samples,
    )


def mean_interval(values: Floats, *, samples: int, alpha: float, seed: int) -> tuple[float, float]:
    """Two-sided percentile interval of the mean at 1 - alpha, by resampling users.

    Args:
        values: float64 (n_users,), at least one.
        samples: Resamples.
        alpha: Two-sided error, 0..1.
        seed: Seed of the weights.

    Raises:
        EvidenceError: There is no user.
    """
    if not len(values):
        raise EvidenceError(
            "There are 0 users, so there is no mean.",
            where="bootstrap of a mean",
            data="No interval was computed.",
            remedy="Give at least one user's value.",
        )
    everybody = sparse.csr_matrix(np.ones((len(values), 1)))
    lower, upper = mean_intervals(values, everybody, samples=samples, alpha=alpha, seed=seed)
    return float(lower[0]), float(upper[0])


def mean_intervals(
    values: Floats, members: sparse.csr_matrix, *, samples: int, alpha: float, seed: int
) -> tuple[Floats, Floats]:
    """Two-sided percentile intervals of the means of some cells, by one resampling of all users.

    Args:
        values: float64 (n_users,).
        members: (n_users, n_cells), 1 where a user belongs to a cell; each cell has a user.
        samples: Resamples.
        alpha: Two-sided error, 0..1.
        seed: Seed of the weights.

    Returns:
        Lower and upper ends, float64 (n_cells,).
    """
    weighted = sparse.csr_matrix(members.multiply(np.asarray(values)[:, None]))
    means = []
    for weights in resampling_weights(len(values), samples=samples, seed=seed):
        drawn, total = members.T @ weights.T, weighted.T @ weights.T
        means.append(np.divide(total, drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0))
    lower, upper = np.nanquantile(np.hstack(means), [alpha / 2, 1 - alpha / 2], axis=1)
    return lower, upper


def resampling_weights(users: int, *, samples: int, seed: int) -> Iterator[Floats]:
    """Count of each user in each resample: blocks (resamples, users), `samples` rows in all."""
    rng = np.random.default_rng(seed)
    step = max(1, WEIGHTS_AT_ONCE // users)
    for start in range(0, samples, step):
        yield rng.poisson(1.0, size=(min(step, samples - start), users)).astype(np.float64)


def _resampled(champion: Floats, challenger: Floats, samples: int, seed: int) -> Floats:
    """Sums of both models' values over the users of each resample, float64 (samples, 2)."""
    pair = np.column_stack([champion, challenger])
    drawn = resampling_weights(len(champion), samples=samples, seed=seed)
    return np.concatenate([weights @ pair for weights in drawn])
