"""What another ranking would have been worth, out of logged slates and the chances they were drawn with."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import ndtri
from scipy.stats import t

from firstchair.errors import EvidenceError

Values = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
HALVES = 2


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the position-based estimator assumes, and how sure its interval is.

    alpha: two-sided error of the interval, 0..1. looks: with which an artist of whom little is
    known counts as an average one, > 0. power, decay: usual size of a and b in the examination
    k^-a exp(-b (k - 1)), > 0: a weak prior that a few clicks outweigh. groups: of users, for the
    jackknife, >= 2.
    """

    alpha: float
    looks: float
    power: float
    decay: float
    groups: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, clustered by user.

    effective_samples: (sum of weights)² / sum of squared weights. largest_share: of the heaviest weight in their sum.
    support: share of what is estimated that the log could have shown, 0..1.
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
    """Slates of the champion's list with one slot sometimes given to chance.

    user: int64 (n,), whose slate. ranked: int64 (n, k), the champion's artists in order. shown: the same, with the
    one drawn by chance in its slot. clicked: bool (n, k). outside: int64 (n,), number of artists that chance draws
    from, each user's champion and challenger lists less the first k. exploration: chance that a slot is given away.
    """

    user: Whole
    ranked: Whole
    shown: Whole
    clicked: npt.NDArray[np.bool_]
    outside: Whole
    exploration: float


def inverse_propensity(rewards: Values, weights: Values, clusters: Whole) -> Estimate:
    """Mean reward of another policy, weights = its chance of the logged action ÷ the logging one's (Horvitz-Thompson).

    Li et al. 2018, "Offline evaluation of ranking policies with click models", section 4.2 (item and position).
    """
    return _clustered(weights * rewards, np.ones(len(rewards)), weights, clusters)


def self_normalised(rewards: Values, weights: Values, clusters: Whole) -> Estimate:
    """The same, divided by the mean weight (Swaminathan and Joachims 2015): biased a little, steadier."""
    return _clustered(weights * rewards, weights, weights, clusters)


def examination(log: SlateLog, assumed: Assumptions) -> Values:
    """Chance that a listener looks at each slot, relative to the first; float64 (k,), descending from 1.

    From the artists drawn by chance alone: the slot they stand in was drawn too, so their click rates by slot differ
    by the slot only. At 10 % exploration a slot has a handful of such clicks, and one without any would give weights
    beyond all bounds; so one curve is fitted to all slots: th_k = k^-a exp(-b (k - 1)) with a, b >= 0, the largest
    Poisson likelihood (b = 0 is the curve of Joachims et al. 2017, "Unbiased learning-to-rank with biased feedback").

    Raises:
        EvidenceError: No such artist was ever clicked.
    """
    drawn = log.shown != log.ranked
    counts, clicks = drawn.sum(axis=0), (log.clicked & drawn).sum(axis=0)
    if not clicks.any():
        raise EvidenceError(
            f"{int(clicks.sum())} clicks on {int(counts.sum())} artists shown by chance tell nothing of the slots.",
            where="slates",
            data="No value was estimated.",
            remedy="Wait for more slates with exploration.",
        )
    usual = np.array([assumed.power, assumed.decay])
    down = np.arange(len(counts), dtype=np.float64)
    basis = np.column_stack([np.log1p(down), down])

    def unlikely(steepness: Values) -> float:
        looks = np.exp(-basis @ steepness)
        log_likelihood = clicks @ np.log(looks) - clicks.sum() * np.log(counts @ looks)
        return float(((steepness / usual) ** 2).sum() / 2 - log_likelihood)

    found = minimize(unlikely, usual / 2, bounds=[(0, None), (0, None)])
    return np.asarray(np.exp(-basis @ found.x))


def position_based_lift(log: SlateLog, target: Whole, assumed: Assumptions) -> Estimate:
    """Lift in clicks of the lists `target` over the champion's: position-based model, doubly robust.

    V = mean of sum_k th_k q(pi_k) + sum_k w(a_k) (c_k - th_k q(a_k)), with w(a) = th at a's place in the target list ÷
    sum_j th_j P(a at j); w = 0 where a is not in it (item-level weights of Li et al. 2018, with the control variate of
    Dudík et al. 2011). q is fitted on the other half of the users. Champion and challenger are estimated from the
    same slates, and the interval is that of their ratio over users: a jackknife that leaves out a group of users at a
    time and estimates all anew, the slots' examination included (Efron and Stein 1981).

    Args:
        log: Slates.
        target: int64 (n, k), the challenger's artists for the same users and days.
        assumed: Priors of the model, and the error of the interval.

    Raises:
        EvidenceError: The slots cannot be told apart, or the champion is never clicked.
    """
    slates = _Placed.of(log, target)
    value, weights, support = _lift(slates, assumed)
    count = assumed.groups
    groups = _groups(log.user, count)
    left_out = [_lift(slates.without(groups == group), assumed)[0] for group in range(count)]
    se = float(np.std(left_out) * np.sqrt(count - 1))
    reach = float(t.ppf(1 - assumed.alpha / 2, count - 1)) * se
    return _estimate(value, se, reach, weights, support)


@dataclass(frozen=True, slots=True)
class _Placed:
    """Slates, the lists asked about, and places (0-based, -1 for none) of artists in the other lists, int64 (n, k)."""

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
        """The same less some slates."""
        kept = {
            name: getattr(self.log, name)[~rows]
            for name in ("user", "ranked", "shown", "clicked", "outside")
        }
        others = (self.target, self.target_in_ranked, self.shown_in_ranked, self.shown_in_target)
        return type(self)(replace(self.log, **kept), *(column[~rows] for column in others))


def _lift(slates: _Placed, assumed: Assumptions) -> tuple[float, Values, float]:
    """Lift, weights of what was shown, support of the target."""
    log = slates.log
    looks = examination(log, assumed)
    half, appeal = _appeals(log, slates.target, looks, assumed.looks)
    residual = log.clicked - looks * appeal[half, log.shown]
    chance = _exposure(log, slates.shown_in_ranked, looks)

    def value(listed: Whole, place_of_shown: Whole) -> tuple[float, Values]:
        wanted = np.where(place_of_shown >= 0, looks[np.maximum(place_of_shown, 0)], 0.0)
        weights = np.divide(wanted, chance, out=np.zeros_like(wanted), where=chance > 0)
        direct = (looks * appeal[half, listed]).sum()
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
    reached = looks * (_exposure(log, slates.target_in_ranked, looks) > 0)
    return theirs / ours - 1, weights, float(reached.sum() / (looks.sum() * len(reached)))


def _groups(user: Whole, count: int) -> Whole:
    """Users by lot into groups of about one size, each user in one."""
    _, code = np.unique(user, return_inverse=True)
    return np.asarray(np.random.default_rng(0).permutation(code.max() + 1)[code] % count)


def _appeals(log: SlateLog, target: Whole, looks: Values, prior: float) -> tuple[Whole, Values]:
    """Each slate's half of the users, int64 (n, 1), and by half the appeal of each artist as the other half has it."""
    size = int(max(log.shown.max(), target.max(), log.ranked.max())) + 1
    half = log.user % HALVES
    appeals = [_appeal(log, looks, half != part, size, prior) for part in range(HALVES)]
    return half[:, None], np.array(appeals)


def _appeal(
    log: SlateLog,
    looks: Values,
    rows: npt.NDArray[np.bool_],
    size: int,
    prior: float,
) -> Values:
    """Clicks ÷ looks of each artist in some slates, drawn towards the mean."""
    shown, clicked = log.shown[rows], log.clicked[rows]
    looked = np.bincount(shown.ravel(), np.broadcast_to(looks, shown.shape).ravel(), size)
    clicks = np.bincount(shown.ravel(), clicked.ravel().astype(np.float64), size)
    mean = clicks.sum() / max(1.0, looked.sum())
    return np.asarray((clicks + prior * mean) / (looked + prior))


def _exposure(log: SlateLog, place: Whole, looks: Values) -> Values:
    """sum_j th_j P(artist at j) under the logging policy, of artists at these places of the ranked list."""
    k = log.ranked.shape[1]
    by_chance = (
        log.exploration
        / k
        / np.maximum(log.outside, 1)[:, None]
        * looks.sum()
        * (log.outside > 0)[:, None]
    )
    ranked = looks[np.maximum(place, 0)] * (1 - log.exploration / k)
    return np.asarray(np.where(place >= 0, ranked, by_chance))


def _places(lists: Whole, artists: Whole) -> Whole:
    """Place (0-based) of each artist in the list of its row; -1 where it is not in it."""
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
