"""What a stage would detect with the present settings and with others, before it begins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import ndtr, ndtri

from firstchair.definitions.metrics import BEFORE, GUARDRAILS, LATE, Guardrail, Metric
from firstchair.evaluation.repeated import planned_bound
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Values
from firstchair.promotion.experiment.planning import planned_se, spread_of_arms
from firstchair.promotion.experiment.proofs import margins
from firstchair.promotion.rules import LiveRules

# Days at the end of the `BEFORE_DAYS` of which the columns of `LATE` are the sums.
LATE_DAYS = BEFORE_DAYS // 2
# Lengths of stages and margins that are tried beside the present ones.
OFFERED_DAYS = (35, 56, 84)
OFFERED_MARGINS = (0.02, 0.03, 0.05)
# A setting counts on this share of an arm's expected users, rounded down to steps.
SURE_SHARE, USERS_STEP = 0.9, 100


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings of a stage, and what it would detect with them.

    Attributes:
        max_days: Longest duration, days.
        margins: Share by which each guardrail may be worse.
        success_users: Least users of an arm for a promotion.
        arm_users: Expected users with impressions in the smaller arm.
        detectable: Relative effect on clicks that is detected by the last day with `power`.
        unharmed: Chance that a guardrail is proven to keep its margin if nothing is harmed.
        promoted_5: Chance of a promotion where clicks truly rise by 5 % and nothing is harmed.
        promoted_10: The same for 10 %.
    """

    max_days: int
    margins: Mapping[Metric, float]
    success_users: int
    arm_users: int
    detectable: float
    unharmed: Mapping[Metric, float]
    promoted_5: float
    promoted_10: float


def choices(before: Mapping[str, Values], rules: LiveRules) -> tuple[Choice, ...]:
    """Compute what a stage would detect, with the present settings first, then with others.

    The chance of a promotion is approximate: the chance of the proof on clicks on the last day,
    times that of each guardrail, as if metrics were independent. It is too low because every day
    from `min_days` on may decide, and because users with steady habits have lower bounds than
    planned. It is too high because a promotion has further conditions (segments, novelty,
    unweighted clicks). In simulated stages of small services it was too low (docs/gate.md).

    If an arm is too small for `success_users`, each choice lowers it as well, but never under
    `harm_users`, below which harm is not tested.

    Args:
        before: Columns of `BEFORE` and `LATE` of the users who could be assigned, float64
            (n_users,).
        rules: The present rules.

    Returns:
        The choices; empty if nobody had an impression in these days, or `decision_share` is 0.
    """
    if not rules.decision_share or not (before["pre_impressions"] > 0).any():
        return ()
    spread = {one.metric: _Spread.of(one, before, rules) for one in GUARDRAILS}
    return tuple(_choice(before, spread, one) for one in _offered(before, rules))


def _offered(before: Mapping[str, Values], rules: LiveRules) -> Iterator[LiveRules]:
    yield rules
    users = _reachable(_arm_users(before, rules), rules)
    named = [guardrail.margin for guardrail in GUARDRAILS]
    found = set()
    for days, margin in product(OFFERED_DAYS, OFFERED_MARGINS):
        one = replace(
            rules,
            max_days=max(days, rules.max_days),
            success_users=users,
            **{name: max(margin, getattr(rules, name)) for name in named},
        )
        key = (one.max_days, *margins(one).values())
        if one != rules and key not in found:
            found.add(key)
            yield one


def _reachable(arm_users: int, rules: LiveRules) -> int:
    """`success_users`, lowered to what an arm can have if that is fewer."""
    if arm_users >= rules.success_users:
        return rules.success_users
    sure = int(SURE_SHARE * arm_users) // USERS_STEP * USERS_STEP
    return min(rules.success_users, max(sure, rules.harm_users))


def _arm_users(before: Mapping[str, Values], rules: LiveRules) -> int:
    smaller = min(rules.decision_share, 1 - rules.decision_share)
    return int(smaller * (before["pre_impressions"] > 0).sum())


def _choice(
    before: Mapping[str, Values],
    spread: Mapping[Metric, "_Spread"],
    rules: LiveRules,
) -> Choice:
    days, share = rules.max_days, rules.decision_share
    arm_users = _arm_users(before, rules)
    clicks = planned_se(before, Metric.CLICKS, share, rules, days)
    bound = planned_bound(rules.min_days, days, rules.success_alpha)
    guarded = planned_bound(rules.min_days, days, rules.alpha)
    unharmed = {
        metric: float(ndtr(margin / spread[metric].se(days, share) - guarded))
        for metric, margin in margins(rules).items()
    }
    possible = float(np.prod(list(unharmed.values()))) * (arm_users >= rules.success_users)
    promoted = [possible * float(ndtr(effect / clicks - bound)) for effect in (0.05, 0.10)]
    return Choice(
        max_days=days,
        margins=margins(rules),
        success_users=rules.success_users,
        arm_users=arm_users,
        detectable=float(bound + ndtri(rules.power)) * clicks,
        unharmed=unharmed,
        promoted_5=promoted[0],
        promoted_10=promoted[1],
    )


@dataclass(frozen=True, slots=True)
class _Spread:
    """Variance of a guardrail's value between users, relative to the square of its mean.

    A user's value over T days is the sum of a constant part with variance b and a part that varies
    from day to day with variance w 28 / T. Both halves of the 28 days before share the constant
    part, so b is their covariance, and w is the rest of the variance v of all 28 days. Adjusting a
    stage by these days removes b^2 / v. So

        variance left after T days = b - b^2 / v + w 28 / T,

    and more days reduce the last term only.
    """

    users: int
    own: float
    daily: float

    @classmethod
    def of(cls, guardrail: Guardrail, before: Mapping[str, Values], rules: LiveRules) -> "_Spread":
        if not LATE.keys() >= set(guardrail.sums):
            users = max(1, len(before["pre_impressions"]))
            return cls(users, rules.planned_cv**2 * (1 - rules.planned_r2), 0.0)
        whole, older, newer = _halves(guardrail, before)
        known = whole[np.isfinite(whole)]
        both = np.isfinite(older) & np.isfinite(newer)
        mean = float(known.mean()) if len(known) >= rules.harm_users else 0.0
        variance = float(known.var()) / mean**2 if mean > 0 else 0.0
        if variance <= rules.least_cv**2:
            return cls(max(1, len(known)), rules.planned_cv**2 * (1 - rules.planned_r2), 0.0)
        if both.sum() < rules.harm_users or not (older[both].std() and newer[both].std()):
            return cls(len(known), variance * (1 - rules.planned_r2), 0.0)
        common = float(np.cov(older[both], newer[both])[0, 1]) / mean**2
        own = min(max(common, 0.0), variance)
        return cls(len(known), own - own**2 / variance, variance - own)

    def se(self, days: int, share: float) -> float:
        """Standard error of the relative effect after `days` days."""
        left = max(self.own + self.daily * BEFORE_DAYS / days, np.finfo(np.float64).tiny)
        return float(np.sqrt(left)) * spread_of_arms(self.users, share)


def _halves(guardrail: Guardrail, before: Mapping[str, Values]) -> tuple[Values, Values, Values]:
    """Each user's value over the days before, over their older and over their newer half."""
    whole = {name: before[BEFORE[name]] for name in guardrail.sums}
    newer = {name: before[LATE[name]] for name in guardrail.sums}
    older = {name: whole[name] - newer[name] for name in guardrail.sums}
    return (
        guardrail.value(whole, BEFORE_DAYS),
        guardrail.value(older, BEFORE_DAYS - LATE_DAYS),
        guardrail.value(newer, LATE_DAYS),
    )
