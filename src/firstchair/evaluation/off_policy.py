"""What another ranking would have been worth, out of logged slates and the chances they were drawn with."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import ndtri
from scipy.stats import t

from firstchair.errors import EvidenceError

Values = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
# An artist of whom little is known is taken for an average one: so many looks at him.
PRIOR_LOOKS = 50.0
HALVES = 2
JACKKNIFE_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval, clustered by user.

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
    """Slates of the champion's list with one slot sometimes given to chance (GATE section 1.1).

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


def examination(log: SlateLog) -> Values:
    """Chance that a listener looks at each slot, relative to the first; float64 (k,), descending from 1.

    From the artists drawn by chance alone: the slot they stand in was drawn too, so their click rates by slot differ
    by the slot only. Made monotone by isotonic regression.

    Raises:
        EvidenceError: No such artist was ever clicked.
    """
    drawn = log.shown != log.ranked
    counts, clicks = drawn.sum(axis=0), (log.clicked & drawn).sum(axis=0)
    if not clicks.any() or not counts.all():
        raise EvidenceError(
            f"{int(clicks.sum())} clicks on {int(counts.sum())} artists shown by chance tell nothing of the slots.",
            where="slates",
            data="No value was estimated.",
            remedy="Wait for more slates with exploration.",
        )
    rates = isotonic_regression(clicks / counts, weights=counts, increasing=False).x
    return np.asarray(np.maximum(rates / rates[0], 1e-3))


def position_based_lift(log: SlateLog, target: Whole) -> Estimate:
    """Lift in clicks of the lists `target` over the champion's: position-based model, doubly robust.

    V = mean of sum_k th_k q(pi_k) + sum_k w(a_k) (c_k - th_k q(a_k)), with w(a) = th at a's place in the target list ÷
    sum_j th_j P(a at j); w = 0 where a is not in it (item-level weights of Li et al. 2018, with the control variate of
    Dudík et al. 2011). q is fitted on the other half of the users. Champion and challenger are estimated from the
    same slates, and the interval is that of their ratio over users: a jackknife that leaves out a group of users at a
    time and estimates all anew, the slots' examination included (Efron and Stein 1981).

    Args:
        log: Slates.
        target: int64 (n, k), the challenger's artists for the same users and days.

    Raises:
        EvidenceError: The slots cannot be told apart, or the champion is never clicked.
    """
    value, weights, support = _lift(log, target)
    groups = _groups(log.user)
    left_out = [_lift(_without(log, groups == g), target[groups != g])[0] for g in range(JACKKNIFE_GROUPS)]
    se = float(np.std(left_out) * np.sqrt(JACKKNIFE_GROUPS - 1))
    reach = float(t.ppf(0.975, JACKKNIFE_GROUPS - 1)) * se
    return _estimate(value, se, reach, weights, support)


def _lift(log: SlateLog, target: Whole) -> tuple[float, Values, float]:
    """Lift, weights of what was shown, support of the target."""
    looks = examination(log)
    ours, _, _ = _values(log, log.ranked, looks)
    theirs, weights, support = _values(log, target, looks)
    if ours.mean() <= 0:
        raise EvidenceError(
            "The champion's estimated value is not above 0.",
            where="slates",
            data="No lift was estimated.",
            remedy="Wait for more slates.",
        )
    return float(theirs.mean() / ours.mean() - 1), weights, support


def _groups(user: Whole) -> Whole:
    """Users by lot into groups of about one size, each user in one."""
    _, code = np.unique(user, return_inverse=True)
    return np.asarray(np.random.default_rng(0).permutation(code.max() + 1)[code] % JACKKNIFE_GROUPS)


def _without(log: SlateLog, rows: npt.NDArray[np.bool_]) -> SlateLog:
    kept = {name: getattr(log, name)[~rows] for name in ("user", "ranked", "shown", "clicked", "outside")}
    return SlateLog(**kept, exploration=log.exploration)


def _values(log: SlateLog, target: Whole, looks: Values) -> tuple[Values, Values, float]:
    """Doubly robust value of each slate, weights of what was shown, and the share of the target that has support."""
    size = int(max(log.shown.max(), target.max(), log.ranked.max())) + 1
    half = log.user % HALVES
    appeal = np.array([_appeal(log, looks, half != part, size) for part in range(HALVES)])
    direct = (looks * appeal[half[:, None], target]).sum(axis=1)
    chance = _exposure(log, target, looks)
    support = float((looks * (chance > 0)).sum() / (looks.sum() * len(target)))
    place = _places(target, log.shown)
    inside = place >= 0
    shown_chance = _exposure(log, log.shown, looks)
    wanted = np.where(inside, looks[np.maximum(place, 0)], 0.0)
    weights = np.divide(wanted, shown_chance, out=np.zeros_like(wanted), where=shown_chance > 0)
    residual = log.clicked - looks * appeal[half[:, None], log.shown]
    return direct + (weights * residual).sum(axis=1), weights[weights > 0], support


def _appeal(log: SlateLog, looks: Values, rows: npt.NDArray[np.bool_], size: int) -> Values:
    """Clicks ÷ looks of each artist in some slates, drawn towards the mean."""
    shown, clicked = log.shown[rows], log.clicked[rows]
    looked = np.bincount(shown.ravel(), np.broadcast_to(looks, shown.shape).ravel(), size)
    clicks = np.bincount(shown.ravel(), clicked.ravel().astype(np.float64), size)
    mean = clicks.sum() / max(1.0, looked.sum())
    return np.asarray((clicks + PRIOR_LOOKS * mean) / (looked + PRIOR_LOOKS))


def _exposure(log: SlateLog, artists: Whole, looks: Values) -> Values:
    """sum_j th_j P(artist at j) of each artist of a slate, under the logging policy."""
    k = log.ranked.shape[1]
    place = _places(log.ranked, artists)
    by_chance = log.exploration / k / np.maximum(log.outside, 1)[:, None] * looks.sum() * (log.outside > 0)[:, None]
    ranked = looks[np.maximum(place, 0)] * (1 - log.exploration / k)
    return np.asarray(np.where(place >= 0, ranked, by_chance))


def _places(lists: Whole, artists: Whole) -> Whole:
    """Place (0-based) of each artist in the list of its row; -1 where he is not in it."""
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
