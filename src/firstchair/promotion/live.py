"""Evaluate the running stage with traffic, and make the transition that follows from it."""

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from firstchair.definitions.arms import CHALLENGER
from firstchair.events import blocked_days
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.promotion.context import EXPERIMENT, DecisionContext, StageTransition
from firstchair.promotion.experiment import ExperimentDecision, as_evidence, decide
from firstchair.promotion.exposure import stage_rows
from firstchair.promotion.kinds import UNSEEN, Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.stages import Outcome, Phase, Stage, after

# Finding of a rollback whose version was deleted: the one that serves in its place, or None.
BROUGHT_BACK = "brought_back"
# A step of the ramp tests something only if at least this share of what the challenger's users were
# shown is the challenger's. It is far less than it should be: users without lists see others.
LEAST_SHOWN = 0.1


def evaluate_stage(context: DecisionContext, phase: Phase) -> StageTransition | None:
    """Decide on all days of the stage before the context's day.

    Days with bad records do not belong to the stage, which lasts that much longer.

    Returns:
        None if there is nothing to decide: on the first day of the stage, and if the same evidence
        was decided on before.
    """
    left_out = blocked_days(context.lake, phase.first_day, context.as_of - timedelta(days=1))
    where, good = (stage_rows(phase, before=context.as_of, without=days) for days in ((), left_out))
    if context.as_of <= phase.first_day or not context.lake.count(t.EVIDENCE, good):
        return None
    fingerprint = context.lake.fingerprint(t.EVIDENCE, good)
    decided = [e for e in context.entries if e.evidence["kind"] == EXPERIMENT]
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


@dataclass(frozen=True, slots=True)
class Shown:
    """Impressions of the challenger's users in a stage, and those that are the challenger's."""

    impressions: int
    of_challenger: int

    @property
    def enough(self) -> bool:
        """Whether the challenger was served; also where no impression is known."""
        return self.of_challenger >= LEAST_SHOWN * self.impressions


def shown_in(lake: Lake, phase: Phase, *, before: date) -> Shown:
    """What the challenger's users were shown on the days of a stage before a day.

    The arms of the evidence say whom the challenger should be shown to. Where a day was decided
    late, as by a run after an outage, its lists were never served.
    """
    with connect() as connection:
        ((impressions, of_challenger),) = connection.execute(
            f"""
            select count(*), count(*) filter (model_version = $version)
            from {lake.scan(t.EVENTS)} semi join (
                select user_key from {lake.scan(t.EVIDENCE)}
                where arm = '{CHALLENGER}' and {stage_rows(phase, before=before)})
            using (user_key)
            where event_type = 'impression' and event_date >= $first and event_date < $before
            """,
            {"version": phase.treatment, "first": phase.first_day, "before": before},
        ).fetchall()
    return Shown(impressions, of_challenger)


def not_shown(
    transition: StageTransition, phase: Phase, shown: Shown, *, over: bool
) -> StageTransition:
    """The step of the ramp has tested nothing, because the challenger was not served in it.

    Args:
        transition: The one that would begin the next step.
        phase: The step.
        shown: What its users were shown.
        over: Whether it has had all its days, so that the version is retired; else it goes on.
    """
    sentence = (
        f"Of {shown.impressions:,} impressions of the challenger's users {shown.of_challenger:,} "
        "are of its lists, so its safety has not been tested: lists of these days were not served."
    )
    if over:
        sentence += " Its days are over, so the champion stays and other versions may compete."
    return replace(
        transition,
        reason_codes=(Reason.DATA_QUALITY, *((Reason.HORIZON_REACHED,) if over else ())),
        reasons=(sentence,),
        stage=Stage.RETIRED if over else phase.stage,
        phase=None if over else phase,
        challenger_after=None if over else transition.challenger_after,
        findings={**transition.findings, UNSEEN: asdict(shown)},
    )


def bring_back(transition: StageTransition, phase: Phase, target: str | None) -> StageTransition:
    """The rollback of a probation whose version before was deleted in MLflow.

    Args:
        transition: The rollback to that version.
        phase: The probation.
        target: A version that served earlier and is there; None if there is none, so that the
            champion stays on probation.
    """
    gone = f"Version {phase.control}, which served before, was deleted in MLflow"
    if target is None:
        transition = replace(
            transition,
            decision=str(Verb.HOLD),
            champion_after=phase.treatment,
            stage=Stage.PROBATION,
            phase=phase,
            challenger_after=phase.control,
        )
        sentence = f"{gone}, and no other may come back: promote one by hand."
    else:
        transition = replace(transition, champion_after=target)
        sentence = f"{gone}: version {target} serves again."
    return replace(
        transition,
        reason_codes=(*transition.reason_codes, Reason.VERSION_DELETED),
        reasons=(*transition.reasons, sentence),
        findings={**transition.findings, BROUGHT_BACK: target},
    )


def _transition(
    context: DecisionContext,
    phase: Phase,
    outcome: Outcome,
    found: ExperimentDecision,
    fingerprint: str,
    findings: dict[str, Any],
) -> StageTransition:
    challenger = None
    if outcome.phase is not None and outcome.champion != phase.treatment:
        challenger = phase.treatment
    if found.decision is Verb.PROMOTE or phase.stage is Stage.PROBATION:
        challenger = phase.control if outcome.champion == phase.treatment else phase.treatment
    return StageTransition(
        kind=EXPERIMENT,
        decision=str(found.decision),
        reason_codes=found.reason_codes,
        reasons=found.reasons,
        champion_before=None if context.last is None else context.last.champion_after,
        champion_after=outcome.champion,
        challenger=context.registry.version(phase.treatment),
        stage=outcome.stage,
        phase=outcome.phase,
        challenger_after=challenger,
        data_fingerprint=fingerprint,
        findings=findings,
    )


def _findings(
    context: DecisionContext, phase: Phase, found: ExperimentDecision, left_out: list[date]
) -> dict[str, Any]:
    versions = {"champion": phase.control, "challenger": phase.treatment}
    families = {role: context.family(number) for role, number in versions.items()}
    record = asdict(found)
    kept = ("metrics", "segments", "minimum_detectable_effect", "planned_detectable_effect",
            "wanted_effect", "days", "outlook")  # fmt: skip
    return {
        **{name: record[name] for name in kept},
        "checks": (*record["checks"], *_days_left_out(left_out)),
        "days_left_out": [day.isoformat() for day in left_out],
        "families": families,
        "versions": versions,
        "phase_before": phase.record(),
        "shortened": list(context.rules.live.shortened()),
    }


def _days_left_out(left_out: list[date]) -> tuple[dict[str, Any], ...]:
    """A check that lists the days left out, because the stage lasts longer by them."""
    if not left_out:
        return ()
    named = ", ".join(map(str, left_out))
    return (
        {
            "name": "days_left_out",
            "passes": True,
            "detail": f"Left out of the stage because of bad records: {named}.",
        },
    )
