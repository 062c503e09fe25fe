"""Decisions on live evidence: what the stage with traffic has shown by a day, and the step that follows."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from firstchair.events import blocked_days
from firstchair.lake import tables as t
from firstchair.promotion.context import TRIAL, DecisionContext, StageTransition
from firstchair.promotion.evidence_record import families_of
from firstchair.promotion.exposure import stage_rows
from firstchair.promotion.gate import Verb
from firstchair.promotion.stages import Outcome, Phase, Stage, after
from firstchair.promotion.trial import TrialDecision, as_evidence, decide


def evaluate_stage(context: DecisionContext, phase: Phase) -> StageTransition | None:
    """Decide on all days of the stage before the context's; None where nothing new is to be decided.

    That is so on its very first morning, and where the day was decided on the same evidence already.
    Days on whose records nothing may rest are none of the stage's: it is longer by as many.
    """
    left_out = blocked_days(context.lake, phase.first_day, context.as_of - timedelta(days=1))
    where, good = (stage_rows(phase, before=context.as_of, without=days) for days in ((), left_out))
    if context.as_of <= phase.first_day or not context.lake.count(t.EVIDENCE, good):
        return None
    fingerprint = context.lake.fingerprint(t.EVIDENCE, good)
    decided = [e for e in context.entries if e.evidence["kind"] == TRIAL]
    if any(entry.data_fingerprint == fingerprint for entry in decided):
        return None
    rules = context.rules.live
    evidence = as_evidence(
        context.lake.read(t.EVIDENCE, where), where=t.EVIDENCE.name, bad_days=left_out
    )
    found = decide(evidence, rules, stage=str(phase.stage), share=phase.share)
    outcome = after(
        phase,
        found.decision,
        found.reason_codes,
        users=evidence.users,
        decision_share=rules.decision_share,
        on=context.as_of,
    )
    findings = _findings(context, phase, found, left_out)
    return _transition(context, phase, outcome, found, fingerprint, findings)


def _transition(
    context: DecisionContext,
    phase: Phase,
    outcome: Outcome,
    found: TrialDecision,
    fingerprint: str,
    findings: dict[str, Any],
) -> StageTransition:
    challenger = None
    if outcome.phase is not None and outcome.champion != phase.on_trial:
        challenger = phase.on_trial
    if found.decision is Verb.PROMOTE or phase.stage is Stage.PROBATION:
        challenger = phase.standing if outcome.champion == phase.on_trial else phase.on_trial
    return StageTransition(
        kind=TRIAL,
        decision=str(found.decision),
        reason_codes=found.reason_codes,
        reasons=found.reasons,
        champion_before=None if context.last is None else context.last.champion_after,
        champion_after=outcome.champion,
        challenger=context.registry.version(phase.on_trial),
        stage=outcome.stage,
        phase=outcome.phase,
        challenger_after=challenger,
        data_fingerprint=fingerprint,
        findings=findings,
    )


def _findings(
    context: DecisionContext, phase: Phase, found: TrialDecision, left_out: list[date]
) -> dict[str, Any]:
    versions = {"champion": phase.standing, "challenger": phase.on_trial}
    families = {role: _family(context, number) for role, number in versions.items()}
    record = asdict(found)
    kept = ("metrics", "segments", "minimum_detectable_effect", "planned_detectable_effect", "wanted_effect", "days",
            "outlook")  # fmt: skip
    return {
        **{name: record[name] for name in kept},
        "checks": (*record["checks"], *_days_left_out(left_out)),
        "days_left_out": [day.isoformat() for day in left_out],
        "families": families,
        "versions": versions,
        "phase_before": phase.record(),
        "shortened": list(context.rules.live.shortened()),
    }


def _family(context: DecisionContext, number: str) -> str | None:
    """Family of a version, by the ledger where it was deleted in MLflow."""
    found = context.registry.find(number)
    return families_of(context.past).get(number) if found is None else found.family


def _days_left_out(left_out: list[date]) -> tuple[dict[str, Any], ...]:
    """Told beside the checks, so that whoever reads them knows that the stage is longer."""
    if not left_out:
        return ()
    named = ", ".join(map(str, left_out))
    return (
        {
            "name": "days_left_out",
            "passes": True,
            "detail": f"Not of the stage, since their records are bad: {named}.",
        },
    )
