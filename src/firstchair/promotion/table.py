"""The table at which one day is decided: who sits, what is known of the day, how an entry is written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa

import firstchair
from firstchair.errors import EvidenceError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.promotion.gate import Rule
from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.protocol import challenger_after, follow
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.stages import Phase, Stage
from firstchair.promotion.trial import TrialRules

SEAT, CHALLENGE, TRIAL = "seat", "challenge", "trial"


@dataclass(frozen=True, slots=True)
class StageSettings:
    """What stages with traffic are made of.

    rules: of the gate. salt: of the platform's arms. yardstick_share: users who stay on trending for ever.
    decision_share: of the others, those who see the challenger in the stage that decides.
    """

    rules: TrialRules = field(default_factory=TrialRules)
    salt: str = "first"
    yardstick_share: float = 0.01
    decision_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Turn:
    """What one entry says: the decision, who sits before and after it, what becomes of whom it is about."""

    kind: str
    decision: str
    reason_codes: tuple[str, ...]
    reasons: tuple[str, ...]
    before: str | None
    after: str | None
    challenger: Version
    stage: Stage
    phase: Phase | None
    challenger_after: str | None
    data_fingerprint: str
    findings: Mapping[str, Any]


@dataclass
class Table:
    """One day's decisions."""

    lake: Lake
    registry: Registry
    ledger: Ledger
    as_of: date
    now: datetime
    rule: Rule
    stages: StageSettings
    actor: str
    run_id: str | None
    tick_id: str | None = None

    def last(self) -> Entry | None:
        """The newest entry."""
        return self.ledger.last()

    def phase(self) -> Phase | None:
        """The stage with traffic that is under way."""
        last = self.last()
        return None if last is None else last.phase

    def champion(self) -> Version | None:
        """Who sits in the chair by the ledger."""
        last = self.last()
        return None if last is None or last.champion_after is None else self.registry.version(last.champion_after)

    def entries(self) -> list[Entry]:
        """Those of the day, newest first."""
        return [entry for entry in self.ledger.entries() if entry.as_of == self.as_of]

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
        """Offline evidence of a family, sorted by user; of the days it was fitted to where that table is named."""
        rows = self.lake.read(kept, f"as_of = date '{self.as_of}' and family = '{family}'")
        return rows.sort_by("user_key").combine_chunks()

    def write(self, turn: Turn) -> Entry:
        """The entry first, stages and aliases after it; the same turn again is the entry that stands."""
        last = self.last()
        kept = None if last is None else challenger_after(last)
        settings = {"offline": asdict(self.rule), "live": self.stages.rules.record()}
        phase = self.phase() if turn.kind == TRIAL else None
        identity = (
            *(turn.kind, self.as_of, turn.before, turn.challenger.version, turn.data_fingerprint, settings),
            None if phase is None else phase.record(),
        )
        entry = self.ledger.append(
            Decision(
                decision_id=hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()[:16],
                decided_at=self.now,
                as_of=self.as_of,
                decision=turn.decision,
                champion_before=turn.before,
                champion_after=turn.after,
                challenger=turn.challenger.version,
                stage_before=turn.challenger.stage,
                stage_after=str(turn.stage),
                reason_codes=turn.reason_codes,
                reasons=turn.reasons,
                evidence={
                    "kind": turn.kind,
                    **turn.findings,
                    "phase": None if turn.phase is None else turn.phase.record(),
                    "challenger_after": turn.challenger_after or kept,
                    "settings": settings,
                    "code_version": firstchair.__version__,
                    "tick_id": self.tick_id,
                },
                data_fingerprint=turn.data_fingerprint,
                actor=self.actor,
                run_id=self.run_id,
            )
        )
        follow(self.registry, entry)
        return entry
