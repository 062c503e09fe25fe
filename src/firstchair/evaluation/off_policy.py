"""Off-policy estimates of another ranking from logged slates and their propensities."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from firstchair.errors import EvidenceError

Values = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
HALVES = 2


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumptions of the position-based estimator, and the error of its interval.

    Attributes:
        alpha: Two-sided error of the interval, 0..1.
        prior_examinations: Examinations at an average click rate by which the rate of each artist
            is shrunk, > 0.
        power: Prior scale of a in the examination k^-a exp(-b (k - 1)), > 0; a few clicks outweigh
            the prior.
        decay: Prior scale of b, > 0.
        groups: Groups of users for the jackknife, >= 2.
    """

    alpha: float
    prior_examinations: float
    power: float
    decay: float
    groups: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, clustered by user.

    effective_samples: (sum of weights)² / sum of squared weights. largest_share: share of the
    largest weight in the sum of weights. support: share of the estimated examinations that the log
    could have shown, 0..1.
    """

    value: float
    se: float
    lower: float
    upper: float
    effective_samples: float
    largest_share: float
    support: float


@dataclass(frozen=True, slots=True)
class SlateLog:
    """Slates of the champion's lists, some with an exploration slot.

    Attributes:
        user: Number of the user, int64 (n,).
        ranked: The champion's artists in order, int64 (n, k).
        shown: The artists that were shown, int64 (n, k).
        clicked: bool (n, k).
        outside: Number of artists that exploration draws from, int64 (n,): those of the user's
            champion and challenger lists without the first k.
        exploration: Probability that a slate has an exploration slot.
    """

    user: Whole
    ranked: Whole
    shown: Whole
    clicked: npt.NDArray[np.bool_]
    outside: Whole
    exploration: float


def inverse_propensity(rewards: Values, weights: Values, clusters: Whole) -> Estimate:
    """Mean reward of another policy by inverse propensity weights (Horvitz-Thompson).

    Li et al. 2018, "Offline evaluation of ranking policies with click models", section 4.2 (item
    and position).
    """
    return _clustered(weights * rewards, np.ones(len(rewards)), weights, clusters)


def self_normalised(rewards: Values, weights: Values, clusters: Whole) -> Estimate:
    """The same divided by the mean weight (Swaminathan and Joachims 2015): less variance."""
    return _clustered(weights * rewards, weights, weights, clusters)


def examination(log: SlateLog, assumed: Assumptions) -> Values:
    """Probability that a user examines each slot, relative to the first; float64 (k,), descending.

    It is estimated from exploration slots alone: their position was drawn at random, so their click
    rates differ by position only. At 10 % exploration a position has few such clicks, and one
    without any would give unbounded weights. Therefore one curve is fitted to all positions:
    th_k = k^-a exp(-b (k - 1)) with a, b >= 0, the largest Poisson likelihood (b = 0 is the curve
    of Joachims et al. 2017, "Unbiased learning-to-rank with biased feedback").

    Raises:
        EvidenceError: No such artist was ever clicked.
    """
    drawn = log.shown != log.ranked
    counts, clicks = drawn.sum(axis=0), (log.clicked & drawn).sum(axis=0)
    if not clicks.any():
        raise EvidenceError(
            f"{int(clicks.sum())} clicks on {int(counts.sum())} artists in exploration "
            "slots are not enough to estimate how users examine the slots.",
            where="slates",
            data="No value was estimated.",
            remedy="Wait for more slates with exploration.",
        )
    from scipy.optimize import minimize  # slow to import

    usual = np.array([assumed.power, assumed.decay])
    down = np.arange(len(counts), dtype=np.float64)
    basis = np.column_stack([np.log1p(down), down])

    def unlikely(steepness: Values) -> float:
        examined = np.exp(-basis @ steepness)
        log_likelihood = clicks @ np.log(examined) - clicks.sum() * np.log(counts @ examined)
        return float(((steepness / usual) ** 2).sum() / 2 - log_likelihood)

    found = minimize(unlikely, usual / 2, bounds=[(0, None), (0, None)])
    return np.asarray(np.exp(-basis @ found.x))


def position_based_lift(log: SlateLog, target: Whole, assumed: Assumptions) -> Estimate:
    """Lift in clicks of the lists `target` over the champion's (position-based, doubly robust).

    V = mean of sum_k th_k q(pi_k) + sum_k w(a_k) (c_k - th_k q(a_k)), with w(a) = th at a's place
    in the target list ÷ sum_j th_j P(a at j); w = 0 where a is not in it (item-level weights of Li
    et al. 2018, with the control variate of Dudík et al. 2011). q is fitted on the other half of
    the users. Champion and challenger are estimated from the same slates, and the interval is that
    of their ratio over users: a jackknife that leaves out a group of users at a time and estimates
    all anew, the slots' examination included (Efron and Stein 1981).

    Args:
        log: Slates.
        target: int64 (n, k), the challenger's artists for the same users and days.
        assumed: Priors of the model, and the error of the interval.

    Raises:
        EvidenceError: The examination of slots cannot be estimated, or the champion is never
        clicked.
    """
    slates = _Placed.of(log, target)
    value, weights, support = _lift(slates, assumed)
    count = assumed.groups
    groups = _groups(log.user, count)
    left_out = [_lift(slates.without(groups == group), assumed)[0] for group in range(count)]
    se = float(np.std(left_out) * np.sqrt(count - 1))
    reach = float(stdtrit(count - 1, 1 - assumed.alpha / 2)) * se
    return _estimate(value, se, reach, weights, support)


@dataclass(frozen=True, slots=True)
class _Placed:
    """Slates, target lists, and positions (0-based, -1 for none) of artists in these."""

    log: SlateLog
    target: Whole
    target_in_ranked: Whole
    shown_in_ranked: Whole
    shown_in_target: Whole

    @classmethod
    def of(cls, log: SlateLog, target: Whole) -> Self:
        pairs = ((log.ranked, target), (log.ranked, log.shown), (target, log.shown))
        return cls(log, target, *(_places(*pair) for pair in pairs))

    def without(self, rows: npt.NDArray[np.bool_]) -> Self:
        """The same without some slates."""
        kept = {
            name: getattr(self.log, name)[~rows]
            for name in ("user", "ranked", "shown", "clicked", "outside")
        }
        others = (self.target, self.target_in_ranked, self.shown_in_ranked, self.shown_in_target)
        return type(self)(replace(self.log, **kept), *(column[~rows] for column in others))


def _lift(slates: _Placed, assumed: Assumptions) -> tuple[float, Values, float]:
    """The lift, the weights of the items shown, and the support of the target."""
    log = slates.log
    examined = examination(log, assumed)
    half, appeal = _appeals(log, slates.target, examined, assumed.prior_examinations)
    residual = log.clicked - examined * appeal[half, log.shown]
    chance = _exposure(log, slates.shown_in_ranked, examined)

    def value(listed: Whole, place_of_shown: Whole) -> tuple[float, Values]:
        wanted = np.where(place_of_shown >= 0, examined[np.maximum(place_of_shown, 0)], 0.0)
        weights = np.divide(wanted, chance, out=np.zeros_like(wanted), where=chance > 0)
        direct = (examined * appeal[half, listed]).sum()
        return float(direct + (weights * residual).sum()), weights[weights > 0]

    ours, _ = value(log.ranked, slates.shown_in_ranked)
    theirs, weights = value(slates.target, slates.shown_in_target)
    if ours <= 0:
        raise EvidenceError(
            "The champion's estimated value is not above 0.",
            where="slates",
            data="No lift was estimated.",
            remedy="Wait for more slates.",
        )
    reached = examined * (_exposure(log, slates.target_in_ranked, examined) > 0)
    return theirs / ours - 1, weights, float(reached.sum() / (examined.sum() * len(reached)))


def _groups(user: Whole, count: int) -> Whole:
    """Assign each user at random to one of some groups of similar size."""
    _, code = np.unique(user, return_inverse=True)
    return np.asarray(np.random.default_rng(0).permutation(code.max() + 1)[code] % count)


def _appeals(log: SlateLog, target: Whole, examined: Values, prior: float) -> tuple[Whole, Values]:
    """Half of each slate's user, int64 (n, 1), and by half the appeal fitted on the other half."""
    size = int(max(log.shown.max(), target.max(), log.ranked.max())) + 1
    half = log.user % HALVES
    appeals = [_appeal(log, examined, half != part, size, prior) for part in range(HALVES)]
    return half[:, None], np.array(appeals)


def _appeal(
    log: SlateLog,
    examined: Values,
    rows: npt.NDArray[np.bool_],
    size: int,
    prior: float,
) -> Values:
    """Clicks ÷ examinations of each artist in some slates, shrunk towards the mean."""
    shown, clicked = log.shown[rows], log.clicked[rows]
    times = np.bincount(shown.ravel(), np.broadcast_to(examined, shown.shape).ravel(), size)
    clicks = np.bincount(shown.ravel(), clicked.ravel().astype(np.float64), size)
    mean = clicks.sum() / max(1.0, times.sum())
    return np.asarray((clicks + prior * mean) / (times + prior))


def _exposure(log: SlateLog, place: Whole, examined: Values) -> Values:
    """sum_j th_j P(artist at j) under the logging policy, by position in the ranked list."""
    k = log.ranked.shape[1]
    by_chance = (
        log.exploration
        / k
        / np.maximum(log.outside, 1)[:, None]
        * examined.sum()
        * (log.outside > 0)[:, None]
    )
    ranked = examined[np.maximum(place, 0)] * (1 - log.exploration / k)
    return np.asarray(np.where(place >= 0, ranked, by_chance))


def _places(lists: Whole, artists: Whole) -> Whole:
    """Position (0-based) of each artist in the list of its row; -1 if it is not in it."""
    equal = artists[:, :, None] == lists[:, None, :]
    return np.asarray(np.where(equal.any(axis=2), equal.argmax(axis=2), -1))


def _clustered(top: Values, bottom: Values, weights: Values, clusters: Whole) -> Estimate:
    """Ratio of two sums with the delta-method error over clusters."""
    _, code = np.unique(clusters, return_inverse=True)
    above, below = np.bincount(code, top), np.bincount(code, bottom)
    value = float(above.sum() / below.sum())
    influence = above - value * below
    n = len(above)
    se = float(np.sqrt(influence.var(ddof=1) * n) / below.sum()) if n > 1 else float("nan")
    return _estimate(value, se, float(ndtri(0.975)) * se, weights, 1.0)


def _estimate(value: float, se: float, reach: float, weights: Values, support: float) -> Estimate:
    total, squares = float(weights.sum()), float((weights**2).sum())
    return Estimate(
        value=value,
        se=se,
        lower=value - reach,
        upper=value + reach,
        effective_samples=total**2 / squares if squares else 0.0,
        largest_share=float(weights.max()) / total if total else 1.0,
        support=support,
    )
