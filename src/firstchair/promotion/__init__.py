"""Proof before the chair, memory after it: candidates, the gate, the ledger, the registry."""

from firstchair.promotion.candidates import Candidate, enter_candidate, enter_reference
from firstchair.promotion.decisions import Deciding, decide, reconcile_aliases, undecided
from firstchair.promotion.gate import OfflineEvidence, Rule, Verb, Verdict, judge_challenger, judge_seat
from firstchair.promotion.ledger import Decision, Entry, Ledger, Verification
from firstchair.promotion.memory import open_memory
from firstchair.promotion.registry import NAME, Alias, Registry, Stage, Version
from firstchair.promotion.status import Status, status

__all__ = [
    "NAME",
    "Alias",
    "Candidate",
    "Deciding",
    "Decision",
    "Entry",
    "Ledger",
    "OfflineEvidence",
    "Registry",
    "Rule",
    "Stage",
    "Status",
    "Verb",
    "Verdict",
    "Verification",
    "Version",
    "decide",
    "enter_candidate",
    "enter_reference",
    "judge_challenger",
    "judge_seat",
    "open_memory",
    "reconcile_aliases",
    "status",
    "undecided",
]
