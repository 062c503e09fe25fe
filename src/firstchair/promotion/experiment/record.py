"""Effects and conditions in the form in which a decision records them."""

import math
from collections.abc import Mapping, Sequence

from scipy.special import ndtri

from firstchair.definitions.metrics import EVERY_GUARDRAIL, Metric
from firstchair.evaluation.sequential import detectable, log_e, radius
from firstchair.promotion.experiment.conditions import Condition, proven
from firstchair.promotion.experiment.decision import Check, MetricFinding
from firstchair.promotion.experiment.evidence import ARMS
from firstchair.promotion.experiment.harm import HarmWatch
from firstchair.promotion.experiment.measures import Outlier, Reading
from firstchair.promotion.experiment.proofs import margins
from firstchair.promotion.rules import LiveRules

# Outliers that a check describes one by one.
DESCRIBED = 3
ROLES = {
    Metric.CLICKS: "success",
    Metric.CLICKS_UNWEIGHTED: "guardrail",
    **{one.metric: "guardrail" for one in EVERY_GUARDRAIL},
}


def metric_findings(
    readings: Mapping[Metric, Reading],
    bounds: Mapping[Metric, float],
    harm: HarmWatch,
    rules: LiveRules,
) -> tuple[MetricFinding, ...]:
    """Every metric with its bounds, and whether it meets what its role asks.

    At an evaluation that may decide, the lower bound of the success metric and of a guardrail is
    that of its repeated test. At all others it is that of the confidence sequence, which holds at
    every evaluation.
    """
    allowed = margins(rules)
    return tuple(
        _finding(metric, reading, allowed.get(metric, 0.0), bounds.get(metric), harm, rules)
        for metric, reading in readings.items()
    )


def _finding(
    metric: Metric,
    r: Reading,
    margin: float,
    bound: float | None,
    harm: HarmWatch,
    rules: LiveRules,
) -> MetricFinding:
    role = ROLES.get(metric, "deterioration")
    if not r.known:
        values = [
            value if math.isfinite(value) else None for value in (r.control, r.treatment, r.d)
        ]
        return MetricFinding(
            str(metric),
            role,
            values[0],
            values[1],
            values[2],
            None,
            None,
            None,
            None,
            -margin if margin else 0.0,
            role == "deterioration",
        )
    distance = radius(r.se, rho=r.rho, alpha=rules.alpha)
    found = (
        harm.log_e(metric, r)
        if role == "deterioration"
        else log_e(r.d, r.se, rho=r.rho, null=-margin)
    )
    lower = r.d - distance
    holds = found is not None and found >= -math.log(rules.alpha)
    if bound is not None:
        if math.isfinite(bound) and metric is not Metric.CLICKS_UNWEIGHTED:
            lower = r.d - bound * r.se
        holds = proven(r, bound, margin)
    return MetricFinding(
        name=str(metric),
        role=role,
        champion=r.control,
        challenger=r.treatment,
        relative_difference=r.d,
        se=r.se,
        lower=lower,
        upper=r.d + distance,
        log_e=found,
        margin=-margin if margin else 0.0,
        passes=metric not in harm.fired and (role == "deterioration" or holds),
    )


def checks_of(
    asked: tuple[Condition, ...], harm: Mapping[Metric, str], harmed: list[str], blind: list[str]
) -> tuple[Check, ...]:
    """The conditions, and the tests for harm, as checks."""
    found = [Check(c.name, c.passes, c.detail) for c in asked if c.name != "segments_seen"]
    words = " ".join(harm.values()) or "No metric is proven to be worse."
    found.append(Check("no_deterioration", not harm, words))
    found.append(
        Check(
            "segments_unharmed",
            not harmed,
            ", ".join(harmed) or "No segment is proven to be worse.",
        )
    )
    found.append(
        Check(
            "segments_seen",
            not blind,
            f"Blind: {', '.join(blind)}." if blind else "No segment is blind.",
        )
    )
    return tuple(found)


def outliers_check(found: Sequence[Outlier], rules: LiveRules) -> Check:
    """Whether every user counts in full. It stops nothing, because an outlier's weight is bounded.

    Users are described without their pseudonyms: the ledger keeps its entries for ever, and a user
    who asks to be forgotten must not be in it.
    """
    limit = f"{rules.user_weight:g} times the mean"
    if not found:
        return Check("outliers", True, f"No user has more impressions than {limit}.")
    described = "; ".join(
        f"one of the {ARMS[user.arm]}'s with {user.impressions:,.0f} impressions and "
        f"{user.clicks:,.0f} clicks counts as {user.counted:,.0f}"
        for user in found[:DESCRIBED]
    )
    more = f"; and {len(found) - DESCRIBED:,} more" if len(found) > DESCRIBED else ""
    detail = f"{len(found):,} user(s) have more impressions than {limit}: {described}{more}."
    return Check("outliers", False, detail)


def detectable_effect(reading: Reading, bound: float | None, rules: LiveRules) -> float | None:
    """Effect on the success metric that the stage would detect by now with `power`.

    Before an evaluation may decide, it is what the confidence sequence would detect.
    """
    if not reading.known:
        return None
    if bound is not None and math.isfinite(bound):
        return float(bound + ndtri(rules.power)) * reading.se
    return detectable(reading.se, rho=reading.rho, alpha=rules.alpha, power=rules.power)
