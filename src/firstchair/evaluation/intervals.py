"""The paired bootstrap by user: the relative difference of two models with its interval."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.errors import EvidenceError

# Resampling weights held at once, as int8: 64 MB.
WEIGHTS_AT_ONCE = 64_000_000


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
    champion: npt.NDArray[np.float64],
    challenger: npt.NDArray[np.float64],
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
        positive.
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
    differences = _resampled(champion, challenger, samples, seed)
    lower, upper = np.quantile(differences, [alpha / 2, 1 - alpha / 2])
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


def mean_interval(
    values: npt.NDArray[np.float64], *, samples: int, alpha: float, seed: int
) -> tuple[float, float]:
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
    means = []
    for weights in resampling_weights(len(values), samples=samples, seed=seed):
        total = weights.sum(axis=1)
        means.append((weights[total > 0] @ values) / total[total > 0])
    lower, upper = np.quantile(np.concatenate(means), [alpha / 2, 1 - alpha / 2])
    return float(lower), float(upper)


def resampling_weights(users: int, *, samples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """Count of each user in each resample: blocks (resamples, users), `samples` rows in all."""
    rng = np.random.default_rng(seed)
    step = max(1, WEIGHTS_AT_ONCE // users)
    for start in range(0, samples, step):
        yield rng.poisson(1.0, size=(min(step, samples - start), users)).astype(np.float64)


def _resampled(
    champion: npt.NDArray[np.float64], challenger: npt.NDArray[np.float64], samples: int, seed: int
) -> npt.NDArray[np.float64]:
    pair = np.column_stack([champion, challenger])
    drawn = resampling_weights(len(champion), samples=samples, seed=seed)
    totals = np.concatenate([weights @ pair for weights in drawn])
    totals = totals[totals[:, 0] > 0]
    return np.asarray(totals[:, 1] / totals[:, 0] - 1)
