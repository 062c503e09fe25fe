"""The state of each metric and condition in a decision's record.

A record holds `passes`, which the decision used. It is also true for a test of harm without enough
data, since that stops nothing; the state of a check distinguishes the two.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from firstchair.definitions.checks import Check, CheckState
from firstchair.definitions.churn import LABELS
from firstchair.definitions.metrics import EVERY_GUARDRAIL
from firstchair.promotion.ledger import Entry

Record = Mapping[str, Any]
Outcome = tuple[CheckState, str]
PASSES, FAILS = CheckState.PASSES, CheckState.FAILS
UNKNOWN, NOT_APPLICABLE = CheckState.NOT_ENOUGH_DATA, CheckState.NOT_APPLICABLE

CLICKS = "clicks_per_100"
# Conditions that require a proof about a metric.
OF_METRIC = {
    "superior": CLICKS,
    **{f"{one.metric}_not_inferior": str(one.metric) for one in EVERY_GUARDRAIL},
    "not_superior": "ndcg_at_10",
    "recall_margin": "recall_at_20",
    "not_inferior": "ndcg_at_10",
    "better_than_popularity": "ndcg_at_10",
}
# Conditions that fail for lack of users or days.
WAITS_FOR = {
    "users": "users who were shown a list in each arm",
    "too_few_users": "test users",
    "test_users": "test users",
    "duration": "days of the stage",
    "powered": "users enough for the wanted effect",
    "segments_seen": "users in the segments that are named",
}
# Conditions on clicks that hold if there are no clicks to compare.
OF_CLICKS = {"data_quality", "sample_ratio", "believable", "signs_agree"}
OF_SEGMENTS = {"segments_unharmed", "segments_seen", "segment_screen"}
BOTH_ARMS = "users with impressions in both arms"
UNREAD = {
    "not_overfit": "the metrics of both versions on their training days",
    "off_policy": "logged slates that could have shown the lists",
}


def metric_checks(record: Record) -> tuple[Check, ...]:
    """Each metric of a decision's record, in its order.

    Args:
        record: Evidence of a ledger entry, or a decision as a mapping.
    """
    return tuple(_metric(found, record) for found in record.get("metrics") or ())


def condition_checks(record: Record) -> tuple[Check, ...]:
    """Each condition of a decision's record, in its order.

    Args:
        record: Evidence of a ledger entry, or a decision as a mapping.
    """
    metrics = {check.name: check for check in metric_checks(record)}
    return tuple(_condition(found, record, metrics) for found in record.get("checks") or ())


def entry_document(entry: Entry) -> dict[str, Any]:
    """An entry as a document, with `checks`: the state of each metric and condition."""
    checks = (*metric_checks(entry.evidence), *condition_checks(entry.evidence))
    return asdict(entry) | {"checks": [asdict(check) for check in checks]}


def _metric(metric: Record, record: Record) -> Check:
    name, role, margin = metric["name"], metric["role"], metric["margin"]
    if metric["se"] is None:
        return Check(name, UNKNOWN, "No effect can be computed yet.", _missing(name))
    lower, upper = metric["lower"], metric["upper"]
    effect = f"{metric['relative_difference']:+.1%} ({lower:+.1%} to {upper:+.1%})"
    if role == "deterioration":
        if metric["passes"] and metric.get("log_e") is None:
            least = record.get("settings", {}).get("live", {}).get("harm_users")
            wanted = "users" if least is None else f"{least:,} users"
            return Check(name, UNKNOWN, f"{effect}.", f"{wanted} of each arm")
        return Check(name, *_harm(metric["passes"], effect))
    asked = "better" if role == "success" else f"less than {-margin:.0%} worse"
    if metric["passes"]:
        return Check(name, PASSES, f"{effect}; proven to be {asked}.")
    if upper <= margin:
        return Check(name, FAILS, f"{effect}; it is not {asked}.")
    missing = f"an interval above {margin:.0%}"
    return Check(name, UNKNOWN, f"{effect}; not proven to be {asked}.", missing)


def _harm(passes: bool, effect: str) -> tuple[CheckState, str]:
    if passes:
        return PASSES, f"{effect}; not proven to be worse."
    return FAILS, f"{effect}; proven to be worse."


def _missing(metric: str) -> str:
    if metric in LABELS:
        days = LABELS[metric]
        return f"final churn labels of users of both arms, {days} days after a day of the stage"
    return BOTH_ARMS


def _condition(found: Record, record: Record, metrics: Mapping[str, Check]) -> Check:
    name, detail = found["name"], found["detail"]
    for rule in (_unread, _of_metric, _waiting):
        if (outcome := rule(found, record, metrics)) is not None:
            return Check(name, outcome[0], detail, outcome[1])
    return Check(name, PASSES if found["passes"] else FAILS, detail)


def _unread(found: Record, record: Record, metrics: Mapping[str, Check]) -> Outcome | None:
    """The state of a condition for which there were no data."""
    name, passes = found["name"], found["passes"]
    if name == "powered" and record.get("wanted_effect") is None:
        return NOT_APPLICABLE, ""
    lacking = {
        "not_overfit": record.get("overfit") is None,
        "off_policy": not (record.get("off_policy") or {}).get("supported"),
        "no_deterioration": passes and all(check.state is UNKNOWN for check in metrics.values()),
        **dict.fromkeys(OF_CLICKS, passes and _clicks_unknown(record)),
        "novelty": _clicks_unknown(record),
        **dict.fromkeys(OF_SEGMENTS, passes and not record.get("segments")),
    }
    return (UNKNOWN, UNREAD.get(name, BOTH_ARMS)) if lacking.get(name) else None


def _clicks_unknown(record: Record) -> bool:
    return any(m["name"] == CLICKS and m["se"] is None for m in record.get("metrics") or ())


def _of_metric(found: Record, record: Record, metrics: Mapping[str, Check]) -> Outcome | None:
    """The state of a condition that requires a proof: it fails if the contrary is proven."""
    name = OF_METRIC.get(found["name"])
    if name is None or found["passes"]:
        return None
    metric = metrics.get(name)
    if metric is None:
        return UNKNOWN, "test users for whom the champion found something"
    if metric.state is FAILS:
        return FAILS, ""
    return UNKNOWN, metric.missing or "days of the stage"


def _waiting(found: Record, record: Record, metrics: Mapping[str, Check]) -> Outcome | None:
    name = found["name"]
    if found["passes"] or name not in WAITS_FOR:
        return None
    return UNKNOWN, WAITS_FOR[name]


__all__ = ["condition_checks", "entry_document", "metric_checks"]
