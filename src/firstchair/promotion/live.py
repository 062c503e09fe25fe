"""Decisions on live evidence: a day's look at the stage with traffic, and the step that follows from it."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from firstchair.events import blocked_days
from firstchair.lake import tables as t
from firstchair.promotion.exposure import stage_rows
from firstchair.promotion.gate import Verb
from firstchair.promotion.stages import Outcome, Phase, Stage, after
from firstchair.promotion.table import TRIAL, Table, Turn
from firstchair.promotion.trial import TrialDecision, as_evidence, decide


def look(table: Table, phase: Phase) -> None:
    """Decide on all days of the stage before the table's; nothing on its very first morning.

    Days on whose records nothing may rest are none of the stage's: it is longer by as many.
    """
    left_out = blocked_days(table.lake, phase.first_day, table.as_of - timedelta(days=1))
    where, good = (stage_rows(phase, before=table.as_of, without=days) for days in ((), left_out))
    if table.as_of <= phase.first_day or not table.lake.count(t.EVIDENCE, good):
        return
    fingerprint = table.lake.fingerprint(t.EVIDENCE, good)
    if any(e.evidence["kind"] == TRIAL and e.data_fingerprint == fingerprint for e in table.entries()):
        return
    rows = _in_order(table.lake.read(t.EVIDENCE, where))
    evidence = as_evidence(rows, where=t.EVIDENCE.name, left_out=left_out)
    shares = {"share": phase.share, "decision_share": table.stages.decision_share}
    found = decide(evidence, table.stages.rules, stage=str(phase.stage), **shares)
    outcome = after(
        phase,
        found.decision,
        found.reason_codes,
        users=evidence.users,
        decision_share=table.stages.decision_share,
        on=table.as_of,
    )
    _write(table, phase, outcome, found, fingerprint, _findings(table, phase, found, left_out))


def _in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("day", "ascending"), ("user_key", "ascending")])


def _write(
    table: Table, phase: Phase, outcome: Outcome, found: TrialDecision, fingerprint: str, findings: dict[str, Any]
) -> None:
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
            findings=findings,
        )
    )


def _findings(table: Table, phase: Phase, found: TrialDecision, left_out: list[date]) -> dict[str, Any]:
    standing = table.registry.version(phase.standing)
    versions = {"champion": phase.standing, "challenger": phase.on_trial}
    families = {"champion": standing.family, "challenger": table.registry.version(phase.on_trial).family}
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
        "shortened": list(table.stages.rules.shortened()),
    }


def _days_left_out(left_out: list[date]) -> tuple[dict[str, Any], ...]:
    """Told beside the checks, so that whoever reads them knows that the stage is longer."""
    if not left_out:
        return ()
    named = ", ".join(map(str, left_out))
    return (
        {"name": "days_left_out", "passes": True, "detail": f"Not of the stage, since their records are bad: {named}."},
    )
