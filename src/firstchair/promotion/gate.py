"""The gate on offline evidence: pure functions from per-user values to a verdict with its reasons."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.evaluation import RelativeInterval, paired_bootstrap
from firstchair.evaluation.overfitting import GapDifference, TwoSplits, gap_difference

Values = npt.NDArray[np.float64]


class Verb(StrEnum):
    """What a decision does."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the gate asks of offline evidence; it stands in the record of each decision.

    min_test_users: fewer prove nothing. bootstrap_samples, alpha, seed: of the paired bootstrap.
    recall_margin: recall@20 may be lower by this share, not more.
    leak_alarm: a better NDCG by more than this share is taken for a leak until a person has looked.
    overfit_margin: part of its training quality that a challenger may lose on test days beyond what the champion loses.
    veto_days: newest days whose slates the off-policy veto reads. veto_samples, veto_support, veto_share: least
    effective samples, least share of the lists that could have been shown, largest share of one weight.
    """

    min_test_users: int = 2_000
    bootstrap_samples: int = 1_000
    alpha: float = 0.05
    recall_margin: float = 0.02
    leak_alarm: float = 0.5
    overfit_margin: float = 0.10
    seed: int = 0
    veto_days: int = 14
    veto_samples: float = 1_000.0
    veto_support: float = 0.99
    veto_share: float = 0.05


@dataclass(frozen=True, slots=True)
class OfflineEvidence:
    """Per-user values of two models on one split: float64 (n_users,), the same user at the same place.

    The fingerprints are those of the data that each was fitted on. splits: NDCG@10 of both on training and on test
    days; None where nobody kept what they remember.
    """

    champion_name: str
    challenger_name: str
    champion_fingerprint: str
    challenger_fingerprint: str
    champion_ndcg: Values
    challenger_ndcg: Values
    champion_recall: Values
    challenger_recall: Values
    splits: TwoSplits | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do and why; `metrics` and `checks` in the shape of the contract's decision JSON.

    overfit: the gaps of both between training and test days; None where they are not known.
    """

    decision: Verb
    reason_codes: tuple[str, ...]
    reasons: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...] = ()
    checks: tuple[dict[str, Any], ...] = ()
    overfit: GapDifference | None = None


def judge_challenger(evidence: OfflineEvidence, rule: Rule) -> Verdict:
    """Whether a challenger has earned the chair on the test days (GATE section 5: paired, by user).

    Promote where NDCG@10 is better with certainty 1 - alpha, recall@20 not worse than the margin, by enough
    users, on the same data, not by too much, and not overfit: the lower 90 % bound of his gap between training and
    test days less the champion's is at most the margin. Reject where it is worse with that certainty. Hold otherwise.
    """
    if evidence.champion_fingerprint != evidence.challenger_fingerprint:
        text = f"{evidence.challenger_name} and {evidence.champion_name} were not fitted on the same data."
        return Verdict(Verb.HOLD, ("different_fingerprint",), (text,), (), (_check("same_data", False, text),))
    gaps = None
    if evidence.splits is not None:
        gaps = gap_difference(evidence.splits, samples=rule.bootstrap_samples, seed=rule.seed)
    return replace(_judged(evidence, rule, gaps), overfit=gaps)


def _judged(evidence: OfflineEvidence, rule: Rule, gaps: GapDifference | None) -> Verdict:
    ndcg, recall = _intervals(evidence, rule)
    metrics = (
        _metric("ndcg_at_10", "success", ndcg, 0.0),
        _metric("recall_at_20", "guardrail", recall, -rule.recall_margin),
    )
    if ndcg.upper < 0:
        return Verdict(Verb.REJECT, ("worse",), (_said(evidence, "NDCG@10", ndcg),), metrics)
    shortfalls = [
        ("too_few_users", ndcg.users < rule.min_test_users,
         f"{ndcg.users:,} test users; a proof wants {rule.min_test_users:,}."),
        ("leak_alarm", ndcg.relative_difference > rule.leak_alarm,
         f"NDCG@10 better by {ndcg.relative_difference:.0%}; over {rule.leak_alarm:.0%} a person has to look first."),
        ("not_superior", ndcg.lower <= 0, _said(evidence, "NDCG@10", ndcg)),
        ("recall_margin", recall.lower <= -rule.recall_margin, _said(evidence, "Recall@20", recall)),
    ]  # fmt: skip
    overfit = gaps is not None and gaps.lower > rule.overfit_margin
    checks = (
        *(_check(code, not short, text) for code, short, text in shortfalls),
        _check("not_overfit", not overfit, _gaps_said(evidence, gaps, rule)),
    )
    missing = [(code, text) for code, short, text in shortfalls if short]
    missing += [("overfit", _gaps_said(evidence, gaps, rule))] if overfit else []
    if missing:
        return Verdict(Verb.HOLD, tuple(c for c, _ in missing), tuple(x for _, x in missing), metrics, checks)
    reasons = (_said(evidence, "NDCG@10", ndcg), _said(evidence, "Recall@20", recall))
    return Verdict(Verb.PROMOTE, ("offline_evidence_only", "superior"), reasons, metrics, checks)


def judge_seat(evidence: OfflineEvidence, rule: Rule, *, first: bool) -> Verdict:
    """Whether the day's version of the champion's own family may sit down, against plain popularity.

    The first champion sits down in any case, because a chair must be filled, and the entry says what was
    proven. A refreshed one must not have fallen behind popularity.
    """
    ndcg, _ = _intervals(evidence, rule)
    metrics = (_metric("ndcg_at_10", "success", ndcg, 0.0),)
    said = _said(evidence, "NDCG@10", ndcg)
    proven = ndcg.lower > 0
    checks = (_check("better_than_popularity", proven, said),)
    if first:
        codes = ("first_champion",) if proven else ("first_champion", "not_proven_against_popularity")
        return Verdict(Verb.PROMOTE, codes, ("There was no champion.", said), metrics, checks)
    if ndcg.relative_difference >= 0:
        return Verdict(Verb.PROMOTE, ("refreshed_champion",), ("Same family, newer data.", said), metrics, checks)
    return Verdict(Verb.HOLD, ("refresh_behind_popularity",), (said,), metrics, checks)


def _intervals(evidence: OfflineEvidence, rule: Rule) -> tuple[RelativeInterval, RelativeInterval]:
    pairs = (
        (evidence.champion_ndcg, evidence.challenger_ndcg),
        (evidence.champion_recall, evidence.challenger_recall),
    )
    ndcg, recall = (
        paired_bootstrap(*pair, samples=rule.bootstrap_samples, alpha=rule.alpha, seed=rule.seed) for pair in pairs
    )
    return ndcg, recall


def _metric(name: str, role: str, interval: RelativeInterval, margin: float) -> dict[str, Any]:
    found = asdict(interval)
    kept = ("champion", "challenger", "relative_difference", "se", "lower", "upper")
    return {
        "name": name,
        "role": role,
        **{key: found[key] for key in kept},
        "margin": margin,
        "passes": interval.lower > margin,
    }


def _check(name: str, passes: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "passes": passes, "detail": detail}


def _said(evidence: OfflineEvidence, metric: str, interval: RelativeInterval) -> str:
    return (
        f"{metric} of {evidence.challenger_name} {interval.challenger:.4f} against {interval.champion:.4f} of "
        f"{evidence.champion_name}: {interval.relative_difference:+.1%} "
        f"({interval.lower:+.1%} to {interval.upper:+.1%}, {interval.users:,} users)."
    )


def _gaps_said(evidence: OfflineEvidence, gaps: GapDifference | None, rule: Rule) -> str:
    if gaps is None:
        return "What the two remember of their training days is not known."
    return (
        f"From training to test days {evidence.challenger_name} loses {gaps.challenger:.1%} of its NDCG@10, "
        f"{evidence.champion_name} {gaps.champion:.1%}: {100 * gaps.difference:+.1f} points "
        f"({100 * gaps.lower:+.1f} to {100 * gaps.upper:+.1f}); over {100 * rule.overfit_margin:.0f} it is overfit."
    )
