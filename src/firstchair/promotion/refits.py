"""Refresh of the champion: a refit of its family takes over if it is proven no worse."""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from firstchair.errors import EvidenceError
from firstchair.evaluation import RelativeInterval, paired_bootstrap
from firstchair.evaluation.versions import ListChange, list_change, measure_versions
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import TrainingData, load_training_data, positive_interactions
from firstchair.promotion.context import REFRESH, DecisionContext, StageTransition
from firstchair.promotion.gate import (
    Values,
    Verdict,
    can_reject,
    check_record,
    metric_record,
    users_said,
)
from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.rules import GateRules, OfflineRules, percent
from firstchair.promotion.stages import Stage, begin

# Reasons for which a refit is held; it may be evaluated again.
UNPROVEN = {Reason.REFRESH_NOT_PROVEN, Reason.TOO_FEW_USERS}


def measure_refit(
    lake: Lake,
    registry: Registry,
    serving: Version,
    *,
    as_of: date,
    rules: GateRules,
    removed: Collection[str],
) -> Version | None:
    """Measure the serving version and a refit on days that neither was fitted on.

    A version fitted as of day R knows the events before R, so the days from R on are new to it and
    to the older serving version. The refit is the newest one whose test days are enough to detect a
    difference of `refresh_margin`, or prove it worse by more; failing that, one that has had
    `refresh_max_test_days` days. Only unprompted interactions count, because artists from the
    serving version's slates would favour that version.

    The rows replace those of the same day and purpose in gold/version_evidence.

    Args:
        lake: The tables; events before `as_of` are complete.
        registry: The registry of both versions.
        serving: The version that serves.
        as_of: The day of the decision; nothing at or after it is used.
        rules: Margin, error, power, least test users.
        removed: Numbers of versions that the ledger says were rolled back or rejected.

    Returns:
        The refit to be evaluated; None if there is none, or none with enough test users.

    Raises:
        LakeError, ModelError: A table or an artifact cannot be read; nothing is written.
    """
    longest = timedelta(days=rules.offline.refresh_max_test_days)
    for refit in _pending(registry, serving, as_of, longest, removed):
        start = max(refit.as_of, as_of - longest)
        rows = _measured(lake, registry, (serving, refit), start=start, as_of=as_of)
        if _is_telling(rows, serving, refit, rules, last_chance=start == as_of - longest):
            where = f"as_of = '{as_of}' and purpose = '{REFRESH}'"
            lake.replace_where(t.VERSION_EVIDENCE, rows, where)
            return refit
    return None


def _pending(
    registry: Registry, serving: Version, as_of: date, longest: timedelta, removed: Collection[str]
) -> Iterator[Version]:
    """Refits newer than the serving version without a decision against them, newest first.

    Of those that have had the longest test, only the newest is returned.
    """
    day = as_of - timedelta(days=1)
    while day > serving.as_of:
        found = [
            version
            for version in registry.versions(as_of=day, family=serving.family)
            if version.stage in {Stage.CANDIDATE, Stage.SHADOW} and version.version not in removed
        ]
        if found:
            yield found[-1]
            if as_of - day >= longest:
                return
        day -= timedelta(days=1)


def _measured(
    lake: Lake, registry: Registry, versions: tuple[Version, ...], *, start: date, as_of: date
) -> pa.Table:
    data: TrainingData = load_training_data(lake, as_of=start, labels=False)
    positives = positive_interactions(lake, start=start, end=as_of).unprompted
    models = {version.version: registry.load(version) for version in versions}
    return measure_versions(models, data, positives, as_of=as_of, purpose=REFRESH)


def _is_telling(
    rows: pa.Table, serving: Version, refit: Version, rules: GateRules, *, last_chance: bool
) -> bool:
    """Whether these rows are enough to evaluate the refit.

    They never are if nothing can be compared: there was no positive interaction, or the serving
    version found hardly any of them. They always are on the last possible day. Otherwise there must
    be `min_test_users`, and they must be enough to detect a difference of the margin, or prove the
    refit worse by more.
    """
    offline, both = rules.offline, [_of(rows, version.version) for version in (serving, refit)]
    try:
        found = _interval(both[0], both[1], offline)
    except EvidenceError:
        return False
    needed = float(ndtri(1 - offline.refresh_alpha) + ndtri(rules.live.power))
    precise = found.se * needed <= offline.refresh_margin
    telling = precise or found.upper < -offline.refresh_margin
    return last_chance or (telling and found.users >= offline.min_test_users)


def _of(rows: pa.Table, version: str) -> pa.Table:
    return rows.filter(pa.compute.equal(rows.column("version"), version)).sort_by("user_key")


def _ndcg(rows: pa.Table) -> Values:
    return np.asarray(rows.column("ndcg_at_10").to_numpy(), dtype=np.float64)


def _interval(serving: pa.Table, refit: pa.Table, offline: OfflineRules) -> RelativeInterval:
    return paired_bootstrap(
        _ndcg(serving),
        _ndcg(refit),
        samples=offline.bootstrap_samples,
        alpha=2 * offline.refresh_alpha,
        seed=offline.seed,
    )


def judge_refit(
    serving: pa.Table, refit: pa.Table, *, catalogue: int, offline: OfflineRules
) -> Verdict:
    """Decide whether a refit may take over from the serving version.

    It is promoted if the lower bound of the relative difference of NDCG@10 (one-sided, error
    `refresh_alpha`, paired by user) is above -`refresh_margin`, and its lists keep within the alarm
    limits: enough artists in common with the serving version's, coverage of the catalogue, and a
    similar distribution of scores. Otherwise it is held; the reason codes name what failed.

    Args:
        serving: Rows of gold/version_evidence of the serving version, sorted by user_key.
        refit: The same of the refit, of the same users.
        catalogue: Artists in the catalogue.
        offline: Margin and limits.

    Raises:
        EvidenceError: There is no test user, or the serving version found nothing, or for so few
            users that the interval is unknown.
    """
    found = _interval(serving, refit, offline)
    change = list_change(serving, refit, catalogue=catalogue)
    proof = (
        f"NDCG@10 {found.challenger:.4f} against {found.champion:.4f} of the serving version: "
        f"{found.relative_difference:+.1%} ({found.lower:+.1%} to {found.upper:+.1%}, "
        f"{found.users:,} users); {percent(offline.refresh_margin)} worse would be too much."
    )
    worse = found.upper < 0 and can_reject(_ndcg(serving), _ndcg(refit), offline)
    asked = (
        (
            Reason.REFRESH_WORSE if worse else Reason.REFRESH_NOT_PROVEN,
            found.lower > -offline.refresh_margin,
            proof,
        ),
        (
            Reason.TOO_FEW_USERS,
            found.users >= offline.min_test_users,
            users_said(found.users, offline),
        ),
        *_list_checks(change, offline),
    )
    failing = [(code, detail) for code, passes, detail in asked if not passes]
    metric = metric_record("ndcg_at_10", "guardrail", found, -offline.refresh_margin)
    names = ("not_inferior", "test_users", "overlap", "coverage", "score_shift")
    checks = tuple(
        check_record(name, passes, text)
        for name, (_, passes, text) in zip(names, asked, strict=True)
    )
    if failing:
        codes, reasons = zip(*failing, strict=True)
        return Verdict(Verb.HOLD, tuple(codes), tuple(reasons), (metric,), checks)
    return Verdict(Verb.PROMOTE, (Reason.REFRESHED_CHAMPION,), (proof,), (metric,), checks)


def _list_checks(change: ListChange, offline: OfflineRules) -> tuple[tuple[Reason, bool, str], ...]:
    return (
        (
            Reason.REFRESH_OVERLAP,
            change.overlap >= offline.refresh_min_overlap,
            f"{change.overlap:.0%} of the first ten artists are in both lists of a user; "
            f"at least {percent(offline.refresh_min_overlap)} are wanted.",
        ),
        (
            Reason.REFRESH_COVERAGE,
            change.coverage_change >= -offline.refresh_max_coverage_loss,
            f"Lists show {change.coverage_after:.1%} of the catalogue, "
            f"{change.coverage_before:.1%} before ({change.coverage_change:+.0%}); "
            f"at most {percent(offline.refresh_max_coverage_loss)} of it may be lost.",
        ),
        (
            Reason.REFRESH_SCORE_SHIFT,
            change.score_shift <= offline.refresh_max_score_shift,
            f"Population stability index of the scores {change.score_shift:.2f}; "
            f"over {offline.refresh_max_score_shift:g} is a major shift.",
        ),
    )


def evaluate_refit(context: DecisionContext, serving: Version, refit: Version) -> StageTransition:
    """Make the transition of a refit: it takes over, goes into canary, or is held.

    A refit that is proven worse, or whose lists exceed the alarm limits, is rejected. One that
    lacks proof may be evaluated again.

    Raises:
        EvidenceError: The two were measured on different users; nothing is decided.
    """
    rows = [context.per_user_of_version(version.version, REFRESH) for version in (serving, refit)]
    _require_same_users(rows, serving, refit, context.as_of)
    verdict = judge_refit(
        rows[0], rows[1], catalogue=context.lake.count(t.ARTISTS), offline=context.rules.offline
    )
    passes = verdict.decision is Verb.PROMOTE
    canary = passes and context.rules.offline.refresh_needs_canary
    phase = None
    if canary:
        salt = context.salt
        phase = begin(
            challenger=refit.version, champion=serving.version, salt=salt, on=context.as_of
        )
    takes_over = passes and not canary
    only_unproven = set(verdict.reason_codes) <= UNPROVEN
    stage = Stage.CANARY if canary else Stage.CHAMPION
    if not passes:
        stage = Stage.SHADOW if only_unproven else Stage.REJECTED
    return StageTransition(
        kind=REFRESH,
        decision=str(Verb.PROMOTE if takes_over else Verb.HOLD),
        reason_codes=(Reason.REFRESH_CANARY,) if canary else verdict.reason_codes,
        reasons=(_introduced(serving, refit), *verdict.reasons),
        champion_before=serving.version,
        champion_after=refit.version if takes_over else serving.version,
        challenger=refit,
        stage=stage,
        phase=phase,
        challenger_after=refit.version if canary else None,
        data_fingerprint=context.lake.fingerprint(
            t.VERSION_EVIDENCE, f"as_of = date '{context.as_of}' and purpose = '{REFRESH}'"
        ),
        findings=_findings(verdict, rows[0], serving, refit),
    )


def _introduced(serving: Version, refit: Version) -> str:
    return (
        f"Version {refit.version} is {refit.family} fitted again, with data until {refit.as_of}; "
        f"version {serving.version} serves."
    )


def _findings(verdict: Verdict, rows: pa.Table, serving: Version, refit: Version) -> dict[str, Any]:
    return {
        "metrics": verdict.metrics,
        "checks": verdict.checks,
        "families": {"champion": serving.family, "challenger": refit.family},
        "versions": {"champion": serving.version, "challenger": refit.version},
        "test_from": rows.column("test_from")[0].as_py().isoformat(),
        "fitted": {
            version.version: {
                "as_of": version.as_of.isoformat(),
                "data_fingerprint": version.data_fingerprint,
            }
            for version in (serving, refit)
        },
    }


def _require_same_users(
    rows: list[pa.Table], serving: Version, refit: Version, as_of: date
) -> None:
    if rows[0].num_rows and rows[0].column("user_key") == rows[1].column("user_key"):
        return
    raise EvidenceError(
        f"Versions {serving.version} and {refit.version} were measured on {rows[0].num_rows:,} and "
        f"{rows[1].num_rows:,} users at {as_of}.",
        where=t.VERSION_EVIDENCE.name,
        data="Nothing was decided; the champion stays.",
        remedy="Materialise promotion_decision of that day again.",
    )


__all__ = ["evaluate_refit", "judge_refit", "measure_refit"]
