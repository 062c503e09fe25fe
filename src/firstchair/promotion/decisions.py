"""A day's decisions: the entry in the ledger first, the alias second, each harmless to repeat."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date, datetime

import numpy as np
import pyarrow as pa

import firstchair
from firstchair.databases import advisory_lock
from firstchair.errors import EvidenceError
from firstchair.evaluation import POPULARITY
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.promotion.gate import OfflineEvidence, Rule, Verb, Verdict, judge_challenger, judge_seat
from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.registry import Alias, Registry, Stage, Version

# Who auditions for the chair; the baselines are there to be compared with.
CONTENDERS = (Family.ALS, Family.XGBOOST)
SEAT, CHALLENGE = "seat", "challenge"


@dataclass(frozen=True, slots=True)
class Deciding:
    """What a day came to: its entries, and who sits and who challenges after them."""

    as_of: date
    entries: tuple[Entry, ...]
    champion: str | None
    challenger: str | None
    decision: str
    reasons: str


def decide(
    lake: Lake,
    registry: Registry,
    ledger: Ledger,
    *,
    as_of: date,
    now: datetime,
    rule: Rule,
    actor: str = "run",
    run_id: str | None = None,
) -> Deciding:
    """Put the day's versions before the gate: first the champion's own family, then the challenger.

    A day before the last decided one is left alone, and one decided on the same data keeps its entries.

    Raises:
        EvidenceError: The versions or the evidence of the day are not complete.
        LedgerError: The ledger cannot be written; no alias moves.
    """
    with advisory_lock(ledger.url, "firstchair promotion", wait=True):
        reconcile_aliases(registry, ledger)
        table = _Table(lake, registry, ledger, as_of, now, rule, actor, run_id)
        last = ledger.last()
        if last is None or last.as_of <= as_of:
            table.seat()
            table.challenge()
        return table.outcome()


def reconcile_aliases(registry: Registry, ledger: Ledger) -> bool:
    """Make the aliases what the last entry says, after a crash between the two; whether any was moved."""
    last = ledger.last()
    if last is None:
        return False
    wanted = {Alias.CHAMPION: last.champion_after, Alias.CHALLENGER: _challenger_after(last)}
    moved = False
    for alias, number in wanted.items():
        found = registry.alias(alias)
        if number is not None and (found is None or found.version != number):
            _follow(registry, last)
            moved = True
    return moved


def undecided(lake: Lake, registry: Registry, ledger: Ledger) -> list[date]:
    """Days with versions of all families and complete evidence that have no entry yet, ascending."""
    last = ledger.last()
    days = [day for day in lake.partitions(t.OFFLINE_EVIDENCE) if last is None or day >= last.as_of]
    return [day for day in days if _is_complete(lake, registry, day) and not _decided(registry, ledger, day)]


def _is_complete(lake: Lake, registry: Registry, as_of: date) -> bool:
    families = {version.family for version in registry.versions(as_of=as_of)}
    evidence = set(lake.read(t.OFFLINE_EVIDENCE, f"as_of = date '{as_of}'").column("family").to_pylist())
    return families >= set(Family) and evidence >= {*Family, POPULARITY}


def _decided(registry: Registry, ledger: Ledger, as_of: date) -> bool:
    fingerprints = {version.data_fingerprint for version in registry.versions(as_of=as_of)[-len(Family) :]}
    entries = [entry for entry in ledger.entries() if entry.as_of == as_of]
    return any(e.evidence["kind"] == CHALLENGE and e.data_fingerprint in fingerprints for e in entries)


@dataclass
class _Table:
    """The table at which one day is decided."""

    lake: Lake
    registry: Registry
    ledger: Ledger
    as_of: date
    now: datetime
    rule: Rule
    actor: str
    run_id: str | None

    def seat(self) -> None:
        """The chair is filled, or its holder replaced by the same family on newer data."""
        holder = self._champion()
        fresh = self._of_the_day(Family.ALS if holder is None else Family(holder.family))
        if holder is not None and (holder.as_of > self.as_of or holder.version == fresh.version):
            return
        verdict = judge_seat(self._evidence(POPULARITY, fresh, fresh), self.rule, first=holder is None)
        seated = verdict.decision is Verb.PROMOTE
        self._write(SEAT, verdict, holder, fresh if seated else holder, fresh)

    def challenge(self) -> None:
        """The other contender of the day against the champion's family, on the same data."""
        holder = self._champion()
        if holder is None or self._decided_on(holder.data_fingerprint):
            return
        challenger = self._of_the_day(next(family for family in CONTENDERS if family != holder.family))
        if self._decided_on(challenger.data_fingerprint):
            return
        verdict = judge_challenger(self._evidence(holder.family, holder, challenger), self.rule)
        promoted = verdict.decision is Verb.PROMOTE
        self._write(CHALLENGE, verdict, holder, challenger if promoted else holder, challenger)

    def outcome(self) -> Deciding:
        entries = tuple(entry for entry in self.ledger.entries() if entry.as_of == self.as_of)
        last = self.ledger.last()
        return Deciding(
            as_of=self.as_of,
            entries=entries,
            champion=None if last is None else last.champion_after,
            challenger=None if last is None else _challenger_after(last),
            decision=", ".join(entry.decision for entry in entries) or "none: a later day is decided already",
            reasons=" ".join(reason for entry in entries for reason in entry.reasons),
        )

    def _champion(self) -> Version | None:
        last = self.ledger.last()
        return None if last is None or last.champion_after is None else self.registry.version(last.champion_after)

    def _decided_on(self, fingerprint: str) -> bool:
        return any(
            e.as_of == self.as_of and e.evidence["kind"] == CHALLENGE and e.data_fingerprint == fingerprint
            for e in self.ledger.entries()
        )

    def _of_the_day(self, family: str) -> Version:
        versions = self.registry.versions(as_of=self.as_of, family=family)
        if not versions:
            raise EvidenceError(
                f"No version of {family} is registered for {self.as_of}.",
                where="registered model artist-recommender",
                data="Nothing was decided; the champion stays.",
                remedy=f"Materialise {family}_model for that day.",
            )
        return versions[-1]

    def _evidence(self, champion_family: str, champion: Version, challenger: Version) -> OfflineEvidence:
        ours, theirs = (self._per_user(family) for family in (champion_family, challenger.family))
        if ours.column("user_key") != theirs.column("user_key"):
            raise EvidenceError(
                f"{champion_family} and {challenger.family} were tested on different users at {self.as_of}.",
                where=t.OFFLINE_EVIDENCE.name,
                data="Nothing was decided; the champion stays.",
                remedy="Materialise both models of that day again.",
            )
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
        )

    def _per_user(self, family: str) -> pa.Table:
        rows = self.lake.read(t.OFFLINE_EVIDENCE, f"as_of = date '{self.as_of}' and family = '{family}'")
        return rows.sort_by("user_key").combine_chunks()

    def _write(
        self, kind: str, verdict: Verdict, before: Version | None, after: Version | None, challenger: Version
    ) -> None:
        evidence = {
            "kind": kind,
            "metrics": verdict.metrics,
            "checks": verdict.checks,
            "rule": asdict(self.rule),
            "code_version": firstchair.__version__,
            "families": {"champion": None if before is None else before.family, "challenger": challenger.family},
        }
        identity = (kind, self.as_of, before and before.version, challenger.version, asdict(self.rule))
        entry = self.ledger.append(
            Decision(
                decision_id=hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()[:16],
                decided_at=self.now,
                as_of=self.as_of,
                decision=str(verdict.decision),
                champion_before=None if before is None else before.version,
                champion_after=None if after is None else after.version,
                challenger=challenger.version,
                stage_before=challenger.stage,
                stage_after=str(_stage_after(kind, verdict)),
                reason_codes=verdict.reason_codes,
                reasons=verdict.reasons,
                evidence=evidence,
                data_fingerprint=challenger.data_fingerprint,
                actor=self.actor,
                run_id=self.run_id,
            )
        )
        _follow(self.registry, entry)


def _stage_after(kind: str, verdict: Verdict) -> Stage:
    if verdict.decision is Verb.PROMOTE:
        return Stage.CHAMPION
    if verdict.decision is Verb.REJECT or kind == SEAT:
        return Stage.REJECTED
    return Stage.SHADOW


def _challenger_after(entry: Entry) -> str | None:
    """Who stands behind the screen after an entry: whoever was put before the gate and does not sit."""
    if entry.evidence["kind"] == SEAT:
        return None
    return entry.challenger if entry.challenger != entry.champion_after else entry.champion_before


def _follow(registry: Registry, entry: Entry) -> None:
    """Do to aliases and stages what the entry says; doing it twice changes nothing."""
    changed = entry.champion_after != entry.champion_before
    if entry.challenger is not None and entry.stage_after is not None:
        registry.set_stage(entry.challenger, Stage(entry.stage_after))
    if entry.champion_after is not None:
        if changed and entry.champion_before is not None:
            registry.set_stage(entry.champion_before, Stage.RETIRED)
            registry.set_alias(Alias.PREVIOUS, entry.champion_before)
        registry.set_alias(Alias.CHAMPION, entry.champion_after)
    if (challenger := _challenger_after(entry)) is not None:
        registry.set_alias(Alias.CHALLENGER, challenger)


def _numbers(rows: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.float64)
