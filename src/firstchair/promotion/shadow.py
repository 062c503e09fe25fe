"""Decisions on offline evidence: who fills the chair, who may show himself to users."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from firstchair.errors import EvidenceError
from firstchair.evaluation import POPULARITY
from firstchair.evaluation.overfitting import TwoSplits
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.promotion.gate import OfflineEvidence, Verb, Verdict, judge_challenger, judge_seat
from firstchair.promotion.ledger import Entry
from firstchair.promotion.registry import Version
from firstchair.promotion.slate_log import Shadowed, shadowed_days, slate_log
from firstchair.promotion.stages import Stage, begin
from firstchair.promotion.table import CHALLENGE, SEAT, Table, Turn
from firstchair.promotion.veto import OffPolicy, off_policy, with_veto

# Who auditions for the chair; the baselines are there to be compared with.
CONTENDERS = (Family.ALS, Family.XGBOOST)
PASSED = "shadow_passed"


def seat(table: Table) -> None:
    """The chair is filled, or its holder replaced by the same family on newer data."""
    holder = table.champion()
    fresh = table.of_the_day(Family.ALS if holder is None else Family(holder.family))
    if holder is not None and (holder.as_of > table.as_of or holder.version == fresh.version):
        return
    verdict = judge_seat(_evidence(table, POPULARITY, fresh, fresh), table.rule, first=holder is None)
    seated = verdict.decision is Verb.PROMOTE
    before = None if holder is None else holder.version
    table.write(
        Turn(
            kind=SEAT,
            decision=str(verdict.decision),
            reason_codes=verdict.reason_codes,
            reasons=verdict.reasons,
            before=before,
            after=fresh.version if seated else before,
            challenger=fresh,
            stage=Stage.CHAMPION if seated else Stage.REJECTED,
            phase=None,
            challenger_after=None,
            data_fingerprint=fresh.data_fingerprint,
            findings=_findings(verdict, holder, fresh),
        )
    )


@dataclass(frozen=True, slots=True)
class _Hearing:
    """A contender, what test days and slates say of it."""

    challenger: Version
    verdict: Verdict
    slates: OffPolicy


def challenge(table: Table) -> None:
    """The day's other contenders against the champion's family; the best of those that pass goes into canary."""
    holder = table.champion()
    if holder is None:
        return
    versions = [table.of_the_day(family) for family in CONTENDERS if family != holder.family]
    heard = [_hear(table, holder, version) for version in versions if not is_heard(table.entries(), version)]
    # The best is written last: his canary is then what the last entry says.
    heard.sort(key=lambda hearing: (hearing.verdict.decision is Verb.PROMOTE, _lower(hearing.verdict)))
    for hearing in heard:
        best = hearing is heard[-1]
        _write_challenge(table, holder, hearing, enters=best and hearing.verdict.decision is Verb.PROMOTE)


def is_heard(entries: Sequence[Entry], version: Version) -> bool:
    """Whether a contender has an entry among those of its day; all families of a day share one data fingerprint."""
    return any(e.evidence["kind"] == CHALLENGE and e.challenger == version.version for e in entries)


def _hear(table: Table, holder: Version, challenger: Version) -> _Hearing:
    evidence = _evidence(table, holder.family, holder, challenger, training=True)
    verdict = judge_challenger(evidence, table.rule)
    days = shadowed_days(table.ledger.entries(), before=table.as_of, days=table.rule.veto_days)
    of_families = (holder.family, challenger.family)
    alike = [day for day in days if _families(table, day) == of_families]
    slates = off_policy(slate_log(table.lake, alike), table.rule)
    return _Hearing(challenger, with_veto(verdict, slates), slates)


def _families(table: Table, day: Shadowed) -> tuple[str, str]:
    """Of who played and who stood behind the screen: the day's versions are new, their families are not."""
    champion, challenger = (table.registry.version(number).family for number in (day.champion, day.challenger))
    return champion, challenger


def _write_challenge(table: Table, holder: Version, hearing: _Hearing, *, enters: bool) -> None:
    challenger, verdict = hearing.challenger, hearing.verdict
    passed = verdict.decision is Verb.PROMOTE
    codes, reasons = verdict.reason_codes, verdict.reasons
    if passed:
        codes = (PASSED, "superior")
        told = "He now shows himself to users." if enters else "Another contender of the day is better still."
        reasons = (*reasons, f"Passed on test days. {told}")
    stage = Stage.CANARY if enters else Stage.REJECTED if verdict.decision is Verb.REJECT else Stage.SHADOW
    phase = begin(challenger=challenger.version, champion=holder.version, salt=table.stages.salt, on=table.as_of)
    table.write(
        Turn(
            kind=CHALLENGE,
            decision=str(Verb.REJECT if verdict.decision is Verb.REJECT else Verb.HOLD),
            reason_codes=codes,
            reasons=reasons,
            before=holder.version,
            after=holder.version,
            challenger=challenger,
            stage=stage,
            phase=phase if enters else None,
            challenger_after=challenger.version,
            data_fingerprint=challenger.data_fingerprint,
            findings=_findings(verdict, holder, challenger)
            | {"off_policy": hearing.slates.record(), "overfit": _gaps(verdict)},
        )
    )


def _findings(verdict: Verdict, holder: Version | None, challenger: Version) -> dict[str, object]:
    families = {"champion": None if holder is None else holder.family, "challenger": challenger.family}
    return {"metrics": verdict.metrics, "checks": verdict.checks, "families": families}


def _gaps(verdict: Verdict) -> dict[str, object] | None:
    return None if verdict.overfit is None else asdict(verdict.overfit)


def _lower(verdict: Verdict) -> float:
    return float(verdict.metrics[0]["lower"]) if verdict.metrics else -np.inf


def _evidence(
    table: Table, champion_family: str, champion: Version, challenger: Version, *, training: bool = False
) -> OfflineEvidence:
    families = (champion_family, challenger.family)
    ours, theirs = _both(table, families, t.OFFLINE_EVIDENCE)
    values = [[_numbers(rows, name) for rows in (ours, theirs)] for name in ("ndcg_at_10", "recall_at_20")]
    return OfflineEvidence(
        champion_name=champion_family,
        challenger_name=challenger.family,
        champion_fingerprint=champion.data_fingerprint,
        challenger_fingerprint=challenger.data_fingerprint,
        champion_ndcg=values[0][0],
        challenger_ndcg=values[0][1],
        champion_recall=values[1][0],
        challenger_recall=values[1][1],
        splits=_splits(table, families, (ours, theirs)) if training else None,
    )


def _both(table: Table, families: tuple[str, str], kept: t.Table) -> tuple[pa.Table, pa.Table]:
    """Values of two families, of the same users at the same places."""
    ours, theirs = (table.per_user(family, kept) for family in families)
    if ours.column("user_key") != theirs.column("user_key"):
        raise EvidenceError(
            f"{families[0]} and {families[1]} were measured on different users at {table.as_of}.",
            where=kept.name,
            data="Nothing was decided; the champion stays.",
            remedy="Materialise both models of that day again.",
        )
    return ours, theirs


def _splits(table: Table, families: tuple[str, str], unseen: tuple[pa.Table, pa.Table]) -> TwoSplits | None:
    """NDCG@10 of both on training and on test days; None where what they remember was not kept."""
    trained = _both(table, families, t.TRAINING_EVIDENCE)
    if not trained[0].num_rows:
        return None
    ours, theirs = (
        (_numbers(a, "ndcg_at_10"), _numbers(b, "ndcg_at_10")) for a, b in zip(trained, unseen, strict=True)
    )
    keys = [np.asarray(rows.column("user_key").to_pylist()) for rows in (trained[0], unseen[0])]
    return TwoSplits(keys[0], keys[1], champion=ours, challenger=theirs)


def _numbers(rows: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.float64)
