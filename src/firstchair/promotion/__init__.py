"""Promotion of models by evidence: candidates, the gate, the ledger, the registry."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.promotion.by_hand import (
        ManualDecision,
        promote_by_hand,
        roll_back_by_hand,
    )
    from firstchair.promotion.candidates import (
        Candidate,
        enter_candidate,
        enter_candidate_if_needed,
        enter_reference,
        needed_families,
    )
    from firstchair.promotion.checks import condition_checks, entry_document, metric_checks
    from firstchair.promotion.decisions import Deciding, decide, restore_aliases, spans, undecided
    from firstchair.promotion.evidence_record import (
        Arm,
        RecordedEvaluation,
        evaluation_of,
        families_of,
        family_title,
        model_title,
        releases,
    )
    from firstchair.promotion.exposure import EvidenceReport, Span, build_evidence
    from firstchair.promotion.gate import (
        OfflineEvidence,
        Verdict,
        judge_challenger,
        judge_first_champion,
    )
    from firstchair.promotion.kinds import REFRESH, Verb
    from firstchair.promotion.ledger import Decision, Entry, Ledger, Verification
    from firstchair.promotion.notes import note
    from firstchair.promotion.plain_words import Explained, check_words, explained
    from firstchair.promotion.protocol import (
        ALIAS_MOVED,
        is_followed,
        out_of_line,
        reconcile_aliases,
    )
    from firstchair.promotion.reasons import Reason
    from firstchair.promotion.recompute import Replayed, ReplayReport, replay, replay_all
    from firstchair.promotion.refits import judge_refit
    from firstchair.promotion.registry import NAME, Alias, Registry, Training, Version
    from firstchair.promotion.registry_and_ledger import open_registry_and_ledger
    from firstchair.promotion.rollbacks import rollback_target
    from firstchair.promotion.rules import GateRules, LiveRules, OfflineRules
    from firstchair.promotion.stage_plan import PlannedStage, StagePlan, newest_plan
    from firstchair.promotion.stages import Phase, Stage, arms_of

__all__ = [
    "ALIAS_MOVED",
    "NAME",
    "REFRESH",
    "Alias",
    "Arm",
    "Candidate",
    "Deciding",
    "Decision",
    "Entry",
    "EvidenceReport",
    "Explained",
    "GateRules",
    "Ledger",
    "LiveRules",
    "ManualDecision",
    "OfflineEvidence",
    "OfflineRules",
    "Phase",
    "PlannedStage",
    "Reason",
    "RecordedEvaluation",
    "Registry",
    "ReplayReport",
    "Replayed",
    "Span",
    "Stage",
    "StagePlan",
    "Training",
    "Verb",
    "Verdict",
    "Verification",
    "Version",
    "arms_of",
    "build_evidence",
    "check_words",
    "condition_checks",
    "decide",
    "enter_candidate",
    "enter_candidate_if_needed",
    "enter_reference",
    "entry_document",
    "evaluation_of",
    "explained",
    "families_of",
    "family_title",
    "is_followed",
    "judge_challenger",
    "judge_first_champion",
    "judge_refit",
    "metric_checks",
    "model_title",
    "needed_families",
    "newest_plan",
    "note",
    "open_registry_and_ledger",
    "out_of_line",
    "promote_by_hand",
    "reconcile_aliases",
    "releases",
    "replay",
    "replay_all",
    "restore_aliases",
    "roll_back_by_hand",
    "rollback_target",
    "spans",
    "undecided",
]

__getattr__ = deferred(
    __name__,
    __all__,
    (
        "kinds",
        "reasons",
        "ledger",
        "checks",
        "evidence_record",
        "plain_words",
        "stages",
        "registry",
        "protocol",
        "registry_and_ledger",
        "stage_plan",
        "notes",
        "rules",
        "gate",
        "by_hand",
        "exposure",
        "candidates",
        "decisions",
        "refits",
        "recompute",
    ),
)
