"""What a stage would find with the present settings and with others, known before it begins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import ndtr, ndtri

from firstchair.definitions.metrics import BEFORE, GUARDRAILS, LATE, Guardrail, Metric
from firstchair.evaluation.repeated import planned_bound
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.evidence import BEFORE_DAYS, Values
from firstchair.promotion.trial.planning import planned_se, spread_of_arms
from firstchair.promotion.trial.proofs import margins

# Days at the end of the `BEFORE_DAYS` of which the columns of `LATE` are the sums.
LATE_DAYS = BEFORE_DAYS // 2
# Longest stages and margins that are offered beside the present ones.
OFFERED_DAYS = (35, 56, 84)
OFFERED_MARGINS = (0.02, 0.03, 0.05)
# Of the users of an arm that are expected, how many a setting may count on, in steps of so many.
SURE_SHARE, USERS_STEP = 0.9, 100


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings of a stage, and what it would find with them.

    Attributes:
        max_days: Its longest duration, days.
        margins: Share by which each guardrail may be worse.
        success_users: Least users of an arm for a promotion.
        arm_users: Users expected in the smaller arm who are shown something.
        detectable: Relative effect on clicks that its last day finds with the power of the rules.
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
    """What a stage would find: with the present settings first, then with longer and wider ones.

    A chance of a promotion is an approximation: that of clicks on the last day times those of the
    guardrails. It is too low in that each day from `min_days` on may decide, and the bounds of a
    stage whose users keep their habits are lower than the planned ones. It is too high in that a
    promotion also asks that no segment looks worse, that the effect lasts, and that clicks without
    weights agree. Metrics count as independent of each other. In simulated stages it was rather too
    low (docs/gate.md, "Small services").

    Where an arm is too small for `success_users`, each change lowers it as well; never under
    `harm_users`, since a harm would not be read then.

    Args:
        before: Users who could be assigned and the 28 days before: the columns of `BEFORE`, and of
            `LATE` for the newest half of these days, float64 (n_users,).
        rules: The present ones.

    Returns:
        Empty where nobody was shown anything in these days, or no user is to see a challenger.
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
    """The present `success_users`, or what an arm can have of them."""
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
    """How much a guardrail's value differs between users, relative to its mean.

    A user's value over T days has a part of their own, of variance b, and one that differs from day
    to day, of variance w 28 / T. The newer half of the days before shares the former with the older
    half, so b is the covariance of the halves; w is what is left of the variance v of all 28. What
    these days foretell is taken out of the value in a stage: b^2 / v of its variance. So

        variance of what is left after T days = b - b^2 / v + w 28 / T,

    of which more days reduce the last term alone.
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
        """Standard error of the relative effect after so many days."""
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
