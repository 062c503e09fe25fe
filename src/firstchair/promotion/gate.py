"""Decisions on offline evidence: pure functions from per-user values to a verdict."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.errors import EvidenceError
from firstchair.evaluation import RelativeInterval, paired_bootstrap
from firstchair.evaluation.overfitting import GapDifference, TwoSplits, gap_difference
from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import OfflineRules, percent

Values = npt.NDArray[np.float64]

# Users whose values differ; of fewer, a bootstrap's intervals are no proof.
LEAST_DIFFERING = 10


@dataclass(frozen=True, slots=True)
class OfflineEvidence:
    """Per-user metrics of two models on one split, float64 (n_users,), users in the same order.

    The fingerprints are those of the data that each was fitted on. splits: NDCG@10 of both on
    training and test days; None if it was not measured on training days.
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
    """A decision and its reasons; `metrics` and `checks` as in the contract's decision JSON.

    overfit: the gaps of both between training and test days; None if they are unknown.
    """

    decision: Verb
    reason_codes: tuple[Reason, ...]
    reasons: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...] = ()
    checks: tuple[dict[str, Any], ...] = ()
    overfit: GapDifference | None = None


def judge_challenger(
    evidence: OfflineEvidence, rules: OfflineRules, *, compared: int = 1
) -> Verdict:
    """Judge a challenger on the test days, paired by user (docs/gate.md, "Rules").

    `compared` families challenge at once, and each gets an equal part of `alpha` (Bonferroni), so
    that one of them passes by chance no more often than a single one would.

    It is promoted if, with enough test users and the same data, NDCG@10 is better with confidence
    1 - `alpha` / `compared`, recall@20 is not worse than its margin, the difference is not
    implausibly large, and it is not overfit: the lower bound of its gap between training and test
    days minus the champion's is at most `overfit_margin`. It is rejected if NDCG@10 is worse with
    that confidence, by enough test users of whom several differ: each resample of a single hit
    says -100 %.
    Otherwise it is held, also if nothing can be compared (no test user, or the champion found
    nothing).
    """
    if evidence.champion_fingerprint != evidence.challenger_fingerprint:
        text = (
            f"{evidence.challenger_name} and {evidence.champion_name} were not fitted on the same "
            "data."
        )
        return Verdict(
            Verb.HOLD,
            (Reason.DIFFERENT_FINGERPRINT,),
            (text,),
            (),
            (check_record("same_data", False, text),),
        )
    gaps = None
    if evidence.splits is not None:
        gaps = gap_difference(
            evidence.splits,
            samples=rules.bootstrap_samples,
            alpha=rules.overfit_alpha,
            seed=rules.seed,
        )
    verdict = _judged(evidence, rules, gaps, compared)
    reasons = (*verdict.reasons, *_share_said(rules, compared))
    return replace(verdict, reasons=reasons, overfit=gaps)


def _judged(
    evidence: OfflineEvidence, rules: OfflineRules, gaps: GapDifference | None, compared: int
) -> Verdict:
    try:
        ndcg, recall = _intervals(evidence, rules, compared)
    except EvidenceError as error:
        return _incomparable(evidence, rules, error)
    metrics = (
        metric_record("ndcg_at_10", "success", ndcg, 0.0),
        metric_record("recall_at_20", "guardrail", recall, -rules.recall_margin),
    )
    if ndcg.upper < 0 and can_reject(evidence.champion_ndcg, evidence.challenger_ndcg, rules):
        return Verdict(
            Verb.REJECT, (Reason.WORSE,), (_metric_sentence(evidence, "NDCG@10", ndcg),), metrics
        )
    shortfalls = [
        (Reason.TOO_FEW_USERS, ndcg.users < rules.min_test_users,
         users_said(ndcg.users, rules)),
        (Reason.LEAK_ALARM, ndcg.relative_difference > rules.leak_alarm,
         f"NDCG@10 better by {ndcg.relative_difference:.0%}; "
         f"over {percent(rules.leak_alarm)} a person has to look first."),
        (Reason.NOT_SUPERIOR, ndcg.lower <= 0, _metric_sentence(evidence, "NDCG@10", ndcg)),
        (Reason.RECALL_MARGIN, recall.lower <= -rules.recall_margin,
         _metric_sentence(evidence, "Recall@20", recall)),
    ]  # fmt: skip
    overfit = gaps is not None and gaps.lower > rules.overfit_margin
    checks = (
        *(check_record(str(code), not short, text) for code, short, text in shortfalls),
        check_record("not_overfit", not overfit, _gaps_said(evidence, gaps, rules)),
    )
    missing = [(code, text) for code, short, text in shortfalls if short]
    missing += [(Reason.OVERFIT, _gaps_said(evidence, gaps, rules))] if overfit else []
    if missing:
        return Verdict(
            Verb.HOLD, tuple(c for c, _ in missing), tuple(x for _, x in missing), metrics, checks
        )
    reasons = (
        _metric_sentence(evidence, "NDCG@10", ndcg),
        _metric_sentence(evidence, "Recall@20", recall),
    )
    return Verdict(
        Verb.PROMOTE,
        (Reason.OFFLINE_EVIDENCE_ONLY, Reason.SUPERIOR),
        reasons,
        metrics,
        checks,
    )


def can_reject(champion: Values, challenger: Values, rules: OfflineRules) -> bool:
    """Whether the users of both, in the same order, are enough to prove the challenger worse."""
    differing = int(np.count_nonzero(champion != challenger))
    return len(champion) >= rules.min_test_users and differing >= LEAST_DIFFERING


def _incomparable(evidence: OfflineEvidence, rules: OfflineRules, error: EvidenceError) -> Verdict:
    """Hold the challenger, because no difference can be computed on these test days."""
    users = len(evidence.champion_ndcg)
    enough = users >= rules.min_test_users
    checks = (
        check_record(Reason.TOO_FEW_USERS, enough, users_said(users, rules)),
        check_record(Reason.NOT_SUPERIOR, False, error.what),
    )
    missing = [(Reason(check["name"]), check["detail"]) for check in checks if not check["passes"]]
    codes, reasons = zip(*missing, strict=True)
    return Verdict(Verb.HOLD, codes, reasons, (), checks)


def judge_first_champion(evidence: OfflineEvidence, rules: OfflineRules) -> Verdict:
    """Make the first champion in any case, because something has to serve.

    The reason codes say whether it is proven better than plain popularity, which is impossible
    without test users or if popularity found nothing.
    """
    metrics: tuple[dict[str, Any], ...] = ()
    try:
        ndcg, _ = _intervals(evidence, rules)
    except EvidenceError as error:
        proven, detail = False, error.what
    else:
        proven, detail = ndcg.lower > 0, _metric_sentence(evidence, "NDCG@10", ndcg)
        metrics = (metric_record("ndcg_at_10", "success", ndcg, 0.0),)
    unproven = () if proven else (Reason.NOT_PROVEN_AGAINST_POPULARITY,)
    return Verdict(
        Verb.PROMOTE,
        (Reason.FIRST_CHAMPION, *unproven),
        ("There was no champion.", detail),
        metrics,
        (check_record("better_than_popularity", proven, detail),),
    )


def _intervals(
    evidence: OfflineEvidence,
    rules: OfflineRules,
    compared: int = 1,
) -> tuple[RelativeInterval, RelativeInterval]:
    """Of NDCG@10 and recall@20, each with a part of `alpha`.

    There are more resamples for smaller parts, so that as many of them lie beyond a bound.
    """
    pairs = (
        (evidence.champion_ndcg, evidence.challenger_ndcg),
        (evidence.champion_recall, evidence.challenger_recall),
    )
    ndcg, recall = (
        paired_bootstrap(
            *pair,
            samples=rules.bootstrap_samples * compared,
            alpha=rules.alpha / compared,
            seed=rules.seed,
        )
        for pair in pairs
    )
    return ndcg, recall


def _share_said(rules: OfflineRules, compared: int) -> tuple[str, ...]:
    """The part of the error that each of several challengers gets; nothing for a single one."""
    if compared == 1:
        return ()
    return (
        f"{compared} families are compared with the champion, so each interval has an error of "
        f"{percent(rules.alpha / compared)} instead of {percent(rules.alpha)}.",
    )


def metric_record(
    name: str, role: str, interval: RelativeInterval, margin: float
) -> dict[str, Any]:
    """A metric as a decision records it."""
    found = asdict(interval)
    kept = ("champion", "challenger", "relative_difference", "se", "lower", "upper")
    return {
        "name": name,
        "role": role,
        **{key: found[key] for key in kept},
        "margin": margin,
        "passes": interval.lower > margin,
    }


def check_record(name: str, passes: bool, detail: str) -> dict[str, Any]:
    """A check as a decision records it."""
    return {"name": name, "passes": passes, "detail": detail}


def users_said(users: int, rules: OfflineRules) -> str:
    """The number of test users, and the number that a proof needs, as a sentence."""
    return f"{users:,} test users; a proof wants {rules.min_test_users:,}."


def _metric_sentence(evidence: OfflineEvidence, metric: str, interval: RelativeInterval) -> str:
    return (
        f"{metric} of {evidence.challenger_name} {interval.challenger:.4f} against "
        f"{interval.champion:.4f} of {evidence.champion_name}: "
        f"{interval.relative_difference:+.1%} ({interval.lower:+.1%} to {interval.upper:+.1%}, "
        f"{interval.users:,} users)."
    )


def _gaps_said(evidence: OfflineEvidence, gaps: GapDifference | None, rules: OfflineRules) -> str:
    if gaps is None:
        return "What they lose from training to test days is not known."
    return (
        f"From training to test days {evidence.challenger_name} loses {gaps.challenger:.1%} of "
        f"its NDCG@10, {evidence.champion_name} {gaps.champion:.1%}: {100 * gaps.difference:+.1f} "
        f"points ({100 * gaps.lower:+.1f} to {100 * gaps.upper:+.1f}); over "
        f"{100 * rules.overfit_margin:g} it is overfit."
    )
