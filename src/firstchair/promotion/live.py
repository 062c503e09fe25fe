"""Decisions on live evidence: a day's look at the stage with traffic, and the step that follows from it."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from firstchair.lake import tables as t
from firstchair.promotion.exposure import stage_rows
from firstchair.promotion.gate import Verb
from firstchair.promotion.stages import Outcome, Phase, Stage, after
from firstchair.promotion.table import TRIAL, Table, Turn
from firstchair.promotion.trial import TrialDecision, as_evidence, decide


def look(table: Table, phase: Phase) -> None:
    """Decide on all days of the stage before the table's; nothing on its very first morning."""
    where = stage_rows(phase, before=table.as_of)
    rows = table.lake.read(t.EVIDENCE, where)
    if table.as_of <= phase.first_day or not rows.num_rows:
        return
    fingerprint = table.lake.fingerprint(t.EVIDENCE, where)
    if any(e.evidence["kind"] == TRIAL and e.data_fingerprint == fingerprint for e in table.entries()):
        return
    evidence = as_evidence(_in_order(rows), where=t.EVIDENCE.name)
    found = decide(evidence, table.stages.rules, stage=str(phase.stage), share=phase.share)
    outcome = after(
        phase,
        found.decision,
        found.reason_codes,
        users=evidence.users,
        decision_share=table.stages.decision_share,
        on=table.as_of,
    )
    _write(table, phase, found, outcome, fingerprint)


def _in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("day", "ascending"), ("user_key", "ascending")])


def _write(table: Table, phase: Phase, found: TrialDecision, outcome: Outcome, fingerprint: str) -> None:
    on_trial = table.registry.version(phase.on_trial)
    last = table.last()
    before = None if last is None else last.champion_after
    screened = phase.on_trial if outcome.phase is not None and outcome.champion != phase.on_trial else None
    if found.decision is Verb.PROMOTE or phase.stage is Stage.PROBATION:
        screened = phase.standing if outcome.champion == phase.on_trial else phase.on_trial
    table.write(
        Turn(
            kind=TRIAL,
            decision=str(found.decision),
            reason_codes=found.reason_codes,
            reasons=found.reasons,
            before=before,
            after=outcome.champion,
            challenger=on_trial,
            stage=outcome.stage,
            phase=outcome.phase,
            challenger_after=screened,
            data_fingerprint=fingerprint,
            findings=_findings(table, phase, found),
        )
    )


def _findings(table: Table, phase: Phase, found: TrialDecision) -> dict[str, Any]:
    standing = table.registry.version(phase.standing)
    versions = {"champion": phase.standing, "challenger": phase.on_trial}
    families = {"champion": standing.family, "challenger": table.registry.version(phase.on_trial).family}
    record = asdict(found)
    kept = ("metrics", "segments", "checks", "minimum_detectable_effect", "days", "outlook")
    return {
        **{name: record[name] for name in kept},
        "families": families,
        "versions": versions,
        "phase_before": phase.record(),
        "shortened": list(table.stages.rules.shortened()),
    }
