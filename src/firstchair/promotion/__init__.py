"""Proof before the chair, memory after it: candidates, the gate, the ledger, the registry."""

from firstchair.promotion.arms import BUCKETS, Arms, bucket_of
from firstchair.promotion.by_hand import Word, promote_by_hand, roll_back_by_hand
from firstchair.promotion.candidates import Candidate, enter_candidate, enter_reference
from firstchair.promotion.decisions import Deciding, decide, spans, undecided
from firstchair.promotion.exposure import EvidenceReport, Span, build_evidence
from firstchair.promotion.gate import OfflineEvidence, Rule, Verb, Verdict, judge_challenger, judge_seat
from firstchair.promotion.ledger import Decision, Entry, Ledger, Verification
from firstchair.promotion.memory import open_memory
from firstchair.promotion.protocol import ALIAS_MOVED, is_followed, out_of_line, reconcile_aliases
from firstchair.promotion.registry import NAME, Alias, Registry, Version
from firstchair.promotion.stages import Phase, Stage, arms_of
from firstchair.promotion.status import Status, status
from firstchair.promotion.table import StageSettings

__all__ = [
    "ALIAS_MOVED",
    "BUCKETS",
    "NAME",
    "Alias",
    "Arms",
    "Candidate",
    "Deciding",
    "Decision",
    "Entry",
    "EvidenceReport",
    "Ledger",
    "OfflineEvidence",
    "Phase",
    "Registry",
    "Rule",
    "Span",
    "Stage",
    "StageSettings",
    "Status",
    "Verb",
    "Verdict",
    "Verification",
    "Version",
    "Word",
    "arms_of",
    "bucket_of",
    "build_evidence",
    "decide",
    "enter_candidate",
    "enter_reference",
    "is_followed",
    "judge_challenger",
    "judge_seat",
    "open_memory",
    "out_of_line",
    "promote_by_hand",
    "reconcile_aliases",
    "roll_back_by_hand",
    "spans",
    "status",
    "undecided",
]
