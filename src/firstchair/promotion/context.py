"""The inputs of one day's decisions, and how a decision becomes an entry of the ledger."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

import firstchair
from firstchair.errors import EvidenceError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.promotion import kinds
from firstchair.promotion.evidence_record import families_of
from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.protocol import challenger_after, follow
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.rules import GateRules
from firstchair.promotion.stages import Phase, Stage

FIRST_CHAMPION, REFRESH = kinds.FIRST_CHAMPION, kinds.REFRESH
CHALLENGE, EXPERIMENT = kinds.CHALLENGE, kinds.EXPERIMENT
# The tables that each kind of decision reads.
READ: Mapping[str, tuple[t.Table, ...]] = {
    FIRST_CHAMPION: (t.OFFLINE_EVIDENCE, t.TRAINING_EVIDENCE),
    REFRESH: (t.VERSION_EVIDENCE, t.ARTISTS),
    CHALLENGE: (
        t.OFFLINE_EVIDENCE,
        t.PROMPTED_EVIDENCE,
        t.TRAINING_EVIDENCE,
        t.VERSION_EVIDENCE,
        t.EVENTS,
        t.ARTIST_REDIRECTS,
        t.RECOMMENDATIONS,
        t.DATA_QUALITY,
    ),
    EXPERIMENT: (t.EVIDENCE, t.DATA_QUALITY),
}


@dataclass(frozen=True, slots=True)
class StageTransition:
    """The content of an entry that is to be written.

    kind: one of the kinds above. champion_before, champion_after: numbers of versions. challenger:
    the version that the decision is about, and stage its stage after it. phase: the stage with
    traffic that is under way afterwards. challenger_after: the version behind the alias
    `challenger` afterwards; None leaves it where it is. data_fingerprint: of what was decided on.
    findings: everything else that the entry keeps as evidence.
    """

    kind: str
    decision: str
    reason_codes: tuple[str, ...]
    reasons: tuple[str, ...]
    champion_before: str | None
    champion_after: str | None
    challenger: Version
    stage: Stage
    phase: Phase | None
    challenger_after: str | None
    data_fingerprint: str
    findings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """Everything that the decisions of one day may read.

    lake: with every table that a decision reads pinned at one version. past: entries of the ledger
    before the decision, newest first. rules: of the gate. salt, holdout_share: of the platform's
    arms.
    """

    lake: Lake
    registry: Registry
    past: tuple[Entry, ...]
    as_of: date
    rules: GateRules
    salt: str
    holdout_share: float

    @property
    def last(self) -> Entry | None:
        """The newest entry."""
        return self.past[0] if self.past else None

    @property
    def phase(self) -> Phase | None:
        """The stage with traffic that is under way."""
        return None if self.last is None else self.last.phase

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Entries of the day, newest first."""
        return tuple(entry for entry in self.past if entry.as_of == self.as_of)

    def champion(self) -> Version | None:
        """The serving version by the ledger."""
        if self.last is None or self.last.champion_after is None:
            return None
        return self.registry.version(self.last.champion_after)

    def family(self, number: str) -> str | None:
        """Family of a version; from the ledger if it was deleted in MLflow, None if unknown."""
        found = self.registry.find(number)
        return families_of(self.past).get(number) if found is None else found.family

    def of_the_day(self, family: str) -> Version:
        """The newest version of a family for the day.

        Raises:
            EvidenceError: There is none.
        """
        versions = self.registry.versions(as_of=self.as_of, family=family)
        if not versions:
            raise EvidenceError(
                f"No version of {family} is registered for {self.as_of}.",
                where="registered model artist-recommender",
                data="Nothing was decided; the champion stays.",
                remedy=f"Materialise {family}_model for that day.",
            )
        return versions[-1]

    def per_user(self, family: str, kept: t.Table = t.OFFLINE_EVIDENCE) -> pa.Table:
        """Offline evidence of a family for the day from the table `kept`, sorted by user."""
        where = f"as_of = date '{self.as_of}' and family = '{family}'"
        return self.lake.read(kept, where).sort_by("user_key").combine_chunks()

    def per_user_of_version(self, version: str, purpose: str) -> pa.Table:
        """Evidence of a registered version for the day, sorted by user."""
        where = f"as_of = date '{self.as_of}' and version = '{version}' and purpose = '{purpose}'"
        return self.lake.read(t.VERSION_EVIDENCE, where).sort_by("user_key").combine_chunks()


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a decision: when, by whom, in which run."""

    now: datetime
    actor: str
    run_id: str | None = None
    tick_id: str | None = None


def pinned(lake: Lake) -> Lake:
    """The lake, with every table that decisions read pinned at its present version."""
    read = {table.name: table for tables in READ.values() for table in tables}
    return lake.at({name: lake.version(table) for name, table in read.items()})


def decision_of(context: DecisionContext, transition: StageTransition, origin: Origin) -> Decision:
    """Make the entry of a transition; a pure function, so that a decision can be recomputed.

    The same transition on the same data, rules and salt has the same id. The entry holds the Delta
    version of each table that was read, the rules, the salt and the version of this package.
    """
    last = context.last
    settings = context.rules.record()
    under_way = context.phase if transition.kind == EXPERIMENT else None
    identity = (
        transition.kind,
        context.as_of,
        transition.champion_before,
        transition.challenger.version,
        transition.data_fingerprint,
        settings,
        context.salt,
        context.holdout_share,
        None if under_way is None else under_way.record(),
    )
    return Decision(
        decision_id=hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()[:16],
        decided_at=origin.now,
        as_of=context.as_of,
        decision=transition.decision,
        champion_before=transition.champion_before,
        champion_after=transition.champion_after,
        challenger=transition.challenger.version,
        stage_before=transition.challenger.stage,
        stage_after=str(transition.stage),
        reason_codes=transition.reason_codes,
        reasons=transition.reasons,
        evidence={
            "kind": transition.kind,
            **transition.findings,
            "phase": None if transition.phase is None else transition.phase.record(),
            "challenger_after": transition.challenger_after
            or (None if last is None else challenger_after(last)),
            "settings": settings,
            "salt": context.salt,
            "holdout_share": context.holdout_share,
            "tables": {table.name: context.lake.version(table) for table in READ[transition.kind]},
            "code_version": firstchair.__version__,
            "tick_id": origin.tick_id,
        },
        data_fingerprint=transition.data_fingerprint,
        actor=origin.actor,
        run_id=origin.run_id,
    )


def write(
    context: DecisionContext, ledger: Ledger, transition: StageTransition, origin: Origin
) -> Entry:
    """Write the entry first, then stages and aliases; idempotent.

    A decision that was made before has an entry already. What is tagged and aliased follows the
    newest entry, which may be a later one.
    """
    entry = ledger.append(decision_of(context, transition, origin))
    follow(context.registry, ledger.last() or entry)
    return entry
