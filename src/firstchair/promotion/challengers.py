"""Decisions on test days: the first champion, and which challenger goes into canary."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from firstchair.errors import EvidenceError
from firstchair.evaluation import cutoff_of, load_split
from firstchair.evaluation.overfitting import TwoSplits
from firstchair.evaluation.versions import measure_versions
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import POPULARITY
from firstchair.promotion.context import (
    CHALLENGE,
    FIRST_CHAMPION,
    DecisionContext,
    StageTransition,
)
from firstchair.promotion.gate import (
    OfflineEvidence,
    Verdict,
    judge_challenger,
    judge_first_champion,
)
from firstchair.promotion.kinds import Verb
from firstchair.promotion.ledger import Entry
from firstchair.promotion.reasons import Reason
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.slate_log import Shadowed, shadowed_days, slate_log
from firstchair.promotion.stages import REMOVED, Stage, begin
from firstchair.promotion.veto import OffPolicy, off_policy, with_veto

EVIDENCE = (t.OFFLINE_EVIDENCE, t.TRAINING_EVIDENCE, t.VERSION_EVIDENCE)
ITSELF = "the serving version itself"
RECIPE = "its family and settings, fitted on the same training days"


def first_versions(context: DecisionContext) -> list[Version]:
    """The versions of the day that may become the first champion, the usual one first.

    Raises:
        EvidenceError: A family has none.
    """
    return [context.of_the_day(family) for family in context.rules.offline.first_families]


def evaluate_first_champion(
    context: DecisionContext, versions: Sequence[Version]
) -> StageTransition:
    """Make the best version on test days the first champion: something has to serve.

    It is the first of `versions`, unless others pass against it as challengers: then that of them
    with the greatest lower bound of NDCG@10. The entry says what is proven, also against plain
    popularity.
    """
    best, compared = _best_of(context, versions)
    families = (POPULARITY, best.family)
    rows = _both(context, families, t.OFFLINE_EVIDENCE)
    evidence = _offline(families, rows, (best.data_fingerprint,) * 2, None)
    verdict = judge_first_champion(evidence, context.rules.offline)
    return StageTransition(
        kind=FIRST_CHAMPION,
        decision=str(verdict.decision),
        reason_codes=verdict.reason_codes,
        reasons=(*verdict.reasons, *compared),
        champion_before=None,
        champion_after=best.version,
        challenger=best,
        stage=Stage.CHAMPION,
        phase=None,
        challenger_after=None,
        data_fingerprint=best.data_fingerprint,
        findings=_findings(verdict, None, best)
        | {
            "compared": [version.version for version in versions],
            "evidence_digests": _digests(context, (t.OFFLINE_EVIDENCE, t.TRAINING_EVIDENCE)),
        },
    )


def _best_of(
    context: DecisionContext, versions: Sequence[Version]
) -> tuple[Version, tuple[str, ...]]:
    """The best version on test days, and sentences on how the others compare with the first."""
    usual, *others = versions
    if not others:
        return usual, ()
    rules = context.rules.offline
    evidence = [_evidence_of_both(context, usual, other) for other in others]
    verdicts = [judge_challenger(one, rules, compared=len(others)) for one in evidence]
    passed = [
        (_lower(verdict), other)
        for verdict, other in zip(verdicts, others, strict=True)
        if verdict.decision is Verb.PROMOTE
    ]
    _, best = max(passed, key=lambda one: one[0], default=(0.0, usual))
    reasons = [reason for verdict in verdicts for reason in verdict.reasons]
    chosen = (
        f"{best.family} is the best of the contenders on test days."
        if passed
        else f"No other contender is proven better than {usual.family} on test days."
    )
    return best, (*dict.fromkeys(reasons), chosen)


def _evidence_of_both(
    context: DecisionContext, champion: Version, challenger: Version
) -> OfflineEvidence:
    """Evidence of two versions of the day, both by their families' fits on the training days."""
    families = (champion.family, challenger.family)
    rows = _both(context, families, t.OFFLINE_EVIDENCE)
    fingerprints = (champion.data_fingerprint, challenger.data_fingerprint)
    return _offline(families, rows, fingerprints, _splits(context, families, rows))


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A challenger, and its results on test days and on logged slates."""

    challenger: Version
    verdict: Verdict
    slates: OffPolicy
    measured: str
    prompted: dict[str, Any]


def measure_serving(lake: Lake, registry: Registry, serving: Version, *, as_of: date) -> bool:
    """Measure the serving version on the day's test days, if it was fitted on none of them.

    The rows go to gold/version_evidence. If it was fitted on some of the test days, nothing is
    measured, and its family's offline evidence of the day is used in its place.

    Returns:
        Whether it was measured, and the table has changed.

    Raises:
        LakeError, ModelError: A table or the artifact cannot be read; nothing is written.
    """
    if not _is_measured_itself(lake, serving, as_of):
        return False
    split = load_split(lake, as_of=as_of)
    models = {serving.version: registry.load(serving)}
    rows = measure_versions(models, split.train, split.positives, as_of=as_of, purpose=CHALLENGE)
    where = f"as_of = '{as_of}' and purpose = '{CHALLENGE}'"
    lake.replace_where(t.VERSION_EVIDENCE, rows, where)
    return True


def _is_measured_itself(lake: Lake, serving: Version, as_of: date) -> bool:
    return serving.as_of <= cutoff_of(lake, as_of=as_of)


def challengers_of_the_day(context: DecisionContext, serving: Version) -> list[Version]:
    """The day's undecided versions of other families that may become champion.

    Raises:
        EvidenceError: A family has no version for the day.
    """
    families = context.rules.offline.challenging(serving.family)
    found = [context.of_the_day(family) for family in families]
    return [version for version in found if not is_evaluated(context.entries, version)]


def is_evaluated(entries: Sequence[Entry], version: Version) -> bool:
    """Whether nothing is left to decide about a challenger.

    That is the case if the day has an entry about it, or if it was rolled back or rejected.

    Args:
        entries: Entries of the day, newest first.
        version: The challenger.
    """
    about = [e for e in entries if e.challenger == version.version and e.stage_after is not None]
    compared = any(entry.evidence["kind"] == CHALLENGE for entry in about)
    return compared or (bool(about) and about[0].stage_after in REMOVED)


def evaluate_challengers(
    context: DecisionContext,
    serving: Version,
    challengers: Sequence[Version],
    *,
    recipe: Version,
) -> list[StageTransition]:
    """Compare challengers with the serving version; the best of those that pass goes into canary.

    The winner's transition is the last one, so that the newest entry holds its canary phase.

    Args:
        context: What the decisions of the day may read.
        serving: The version that serves.
        challengers: Versions of the day of other families.
        recipe: The day's version of the serving family: its offline evidence stands for a serving
            version that was fitted on some of the test days.

    Returns:
        A transition for each challenger.

    Raises:
        EvidenceError: The evidence of the day is not complete; nothing is decided.
    """
    found = [_evaluate(context, serving, version, recipe) for version in challengers]
    found.sort(key=lambda one: (one.verdict.decision is Verb.PROMOTE, _lower(one.verdict)))
    compared = [version.version for version in challengers]
    return [
        _transition(
            context,
            serving,
            one,
            enters=one is found[-1] and one.verdict.decision is Verb.PROMOTE,
            compared=compared,
            recipe=recipe,
        )
        for one in found
    ]


def _evaluate(
    context: DecisionContext, serving: Version, challenger: Version, recipe: Version
) -> _Evaluated:
    evidence, measured = _against_serving(context, serving, challenger, recipe)
    rules = context.rules.offline
    compared = len(rules.challenging(serving.family))
    verdict = judge_challenger(evidence, rules, compared=compared)
    days = shadowed_days(context.past, before=context.as_of, days=rules.veto_days)
    families = (serving.family, challenger.family)
    alike = [day for day in days if _families(context, day) == families]
    log = slate_log(context.lake, alike, length=rules.veto_slate_length, before=context.as_of)
    slates = off_policy(log, rules)
    prompted = _prompted(context, families)
    return _Evaluated(challenger, with_veto(verdict, slates), slates, measured, prompted)


def _families(context: DecisionContext, day: Shadowed) -> tuple[str | None, str | None]:
    """Families of the serving version and of the challenger, also of deleted versions."""
    return context.family(day.champion), context.family(day.challenger)


def _transition(
    context: DecisionContext,
    serving: Version,
    found: _Evaluated,
    *,
    enters: bool,
    compared: Sequence[str],
    recipe: Version,
) -> StageTransition:
    challenger, verdict = found.challenger, found.verdict
    codes, reasons = verdict.reason_codes, verdict.reasons
    if verdict.decision is Verb.PROMOTE:
        codes = (Reason.SHADOW_PASSED, Reason.SUPERIOR)
        sentence = (
            "It is now shown to users." if enters else "Another challenger of the day is better."
        )
        reasons = (*reasons, f"Passed on test days. {sentence}")
    rejected = verdict.decision is Verb.REJECT
    stage = Stage.CANARY if enters else Stage.REJECTED if rejected else Stage.SHADOW
    phase = begin(
        challenger=challenger.version,
        champion=serving.version,
        salt=context.salt,
        on=context.as_of,
    )
    return StageTransition(
        kind=CHALLENGE,
        decision=str(Verb.REJECT if rejected else Verb.HOLD),
        reason_codes=codes,
        reasons=reasons,
        champion_before=serving.version,
        champion_after=serving.version,
        challenger=challenger,
        stage=stage,
        phase=phase if enters else None,
        challenger_after=challenger.version,
        data_fingerprint=challenger.data_fingerprint,
        findings=_findings(verdict, serving, challenger)
        | found.prompted
        | {
            "versions": {"champion": serving.version, "challenger": challenger.version},
            "champion_measured": found.measured,
            "compared": list(compared),
            "recipe_version": recipe.version,
            "off_policy": found.slates.record(),
            "overfit": None if verdict.overfit is None else asdict(verdict.overfit),
            "evidence_digests": _digests(context, EVIDENCE),
        },
    )


def _digests(context: DecisionContext, tables: Sequence[t.Table]) -> dict[str, str]:
    """Digests of the day's rows that a decision read, by table."""
    day = f"as_of = date '{context.as_of}'"
    return {table.name: context.lake.fingerprint(table, day) for table in tables}


def _findings(verdict: Verdict, serving: Version | None, challenger: Version) -> dict[str, object]:
    families = {
        "champion": None if serving is None else serving.family,
        "challenger": challenger.family,
    }
    return {"metrics": verdict.metrics, "checks": verdict.checks, "families": families}


def _lower(verdict: Verdict) -> float:
    return float(verdict.metrics[0]["lower"]) if verdict.metrics else -np.inf


def _against_serving(
    context: DecisionContext, serving: Version, challenger: Version, recipe: Version
) -> tuple[OfflineEvidence, str]:
    """Evidence of both versions on the same test days, and how the serving one was measured.

    A serving version that was fitted on none of the test days is measured itself. Otherwise it has
    seen test days, and its family's evidence, fitted on the challenger's training days, stands for
    it. In that case both must come from the same data of the day.
    """
    families = (serving.family, challenger.family)
    unseen = _both(context, families, t.OFFLINE_EVIDENCE)
    itself = context.per_user_of_version(serving.version, CHALLENGE)
    if itself.num_rows:
        rows, fingerprint, measured = (itself, unseen[1]), challenger.data_fingerprint, ITSELF
        _require_same_users(context, (f"version {serving.version}", challenger.family), rows)
    else:
        rows, fingerprint, measured = unseen, recipe.data_fingerprint, RECIPE
    splits = _splits(context, families, unseen)
    return _offline(families, rows, (fingerprint, challenger.data_fingerprint), splits), measured


def _offline(
    families: tuple[str, str],
    rows: tuple[pa.Table, pa.Table],
    fingerprints: tuple[str, str],
    splits: TwoSplits | None,
) -> OfflineEvidence:
    ndcg, recall = (
        [_numbers(one, name) for one in rows] for name in ("ndcg_at_10", "recall_at_20")
    )
    return OfflineEvidence(
        champion_name=families[0],
        challenger_name=families[1],
        champion_fingerprint=fingerprints[0],
        challenger_fingerprint=fingerprints[1],
        champion_ndcg=ndcg[0],
        challenger_ndcg=ndcg[1],
        champion_recall=recall[0],
        challenger_recall=recall[1],
        splits=splits,
    )


def _both(
    context: DecisionContext, families: tuple[str, str], kept: t.Table
) -> tuple[pa.Table, pa.Table]:
    """Values of two families, for the same users in the same order."""
    ours, theirs = (context.per_user(family, kept) for family in families)
    _require_same_users(context, families, (ours, theirs))
    return ours, theirs


def _prompted(context: DecisionContext, families: tuple[str, str]) -> dict[str, Any]:
    """Mean metrics of both families on interactions that slates prompted; {} if there are none.

    They are reported only: the models that served chose what the slates showed.
    """
    rows = _both(context, families, t.PROMPTED_EVIDENCE)
    if not rows[0].num_rows:
        return {}
    names = ("ndcg_at_10", "recall_at_20")
    champion, challenger = (
        {name: float(_numbers(of_family, name).mean()) for name in names} for of_family in rows
    )
    users = rows[0].num_rows
    return {"prompted": {"users": users, "champion": champion, "challenger": challenger}}


def _require_same_users(
    context: DecisionContext, names: tuple[str, str], rows: tuple[pa.Table, pa.Table]
) -> None:
    if rows[0].column("user_key") == rows[1].column("user_key"):
        return
    raise EvidenceError(
        f"{names[0]} and {names[1]} were measured on different users at {context.as_of}.",
        where=t.OFFLINE_EVIDENCE.name,
        data="Nothing was decided; the champion stays.",
        remedy="Materialise both models of that day again.",
    )


def _splits(
    context: DecisionContext, families: tuple[str, str], unseen: tuple[pa.Table, pa.Table]
) -> TwoSplits | None:
    """NDCG@10 of both families on training and test days; None without one on training days."""
    trained = _both(context, families, t.TRAINING_EVIDENCE)
    if not trained[0].num_rows:
        return None
    ours, theirs = (
        (_numbers(a, "ndcg_at_10"), _numbers(b, "ndcg_at_10"))
        for a, b in zip(trained, unseen, strict=True)
    )
    keys = [np.asarray(rows.column("user_key").to_pylist()) for rows in (trained[0], unseen[0])]
    return TwoSplits(keys[0], keys[1], champion=ours, challenger=theirs)


def _numbers(rows: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.float64)
