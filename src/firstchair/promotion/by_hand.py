"""Decisions by a person: written to the ledger like any other, with their name and reason."""

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime

import firstchair
from firstchair.databases import advisory_lock
from firstchair.errors import RefusedDecisionError
from firstchair.promotion.decisions import LOCK
from firstchair.promotion.evidence_record import families_of
from firstchair.promotion.kinds import Verb
from firstchair.promotion.ledger import BY_HAND, Decision, Entry, Ledger
from firstchair.promotion.protocol import canary_over, describe, follow, reconcile_aliases
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.rollbacks import rollback_target
from firstchair.promotion.stages import REMOVED, Outcome, Phase, Stage, begin, probation

LOOK = "Look at `firstchair status` and `firstchair decisions`, then choose another version."


@dataclass(frozen=True, slots=True)
class ManualDecision:
    """A decision by a person: who, why, when, and the first day (UTC) on which it is served."""

    person: str
    reason: str
    now: datetime
    as_of: date


def promote_by_hand(
    registry: Registry,
    ledger: Ledger,
    manual: ManualDecision,
    *,
    version: str,
    users: int,
    salt: str,
) -> Entry:
    """Promote a version; it is on probation like one that the gate promoted.

    The canary of another version is over, with an entry of its own.

    The control group keeps the present champion, or the one before it where the present champion is
    itself on probation: a rollback must not bring back a version that has not passed.

    Args:
        registry: Where the version is registered.
        ledger: Where it is written.
        manual: The person, the reason and the time.
        version: Number of the version.
        users: Population, for the control group of probation.
        salt: Of the platform's arms; the arms of a canary of this version are kept.

    Raises:
        RefusedDecisionError: It serves already, or there is no champion yet; nothing was written.
        UnknownVersionError: There is no such version.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        last, chosen = ledger.last(), registry.version(version)
        # A champion that was deleted in MLflow has no alias to be put back: another takes its
        # place.
        if last is None or last.champion_after is None or registry.find(last.champion_after):
            reconcile_aliases(registry, ledger, now=manual.now)
            last = ledger.last()
        if last is None or last.champion_after is None:
            raise _refused(
                "There is no champion yet: the first run makes one.",
                "Build models with `firstchair run`.",
            )
        if last.champion_after == chosen.version:
            raise _refused(f"Version {version} is the champion already.", LOOK)
        last = _without_canary(registry, ledger, manual, last, chosen.version)
        control = _control(registry, ledger, str(last.champion_after), chosen)
        canary = _assigned(ledger, last, chosen.version, control, salt=salt, on=manual.as_of)
        phase = probation(canary, users=users, on=manual.as_of)
        outcome = Outcome(Stage.PROBATION, chosen.version, phase)
        decision = _decision(registry, Verb.PROMOTE, manual, chosen, outcome, last)
        return _written(registry, ledger, decision)


def _assigned(
    ledger: Ledger, last: Entry, version: str, control: str, *, salt: str, on: date
) -> Phase:
    """A canary of the version: the arms of its running one, or arms that it never had.

    Arms of an earlier stage of the version would differ already in what is known from before.
    """
    canary = begin(challenger=version, champion=control, salt=salt, on=on)
    running = last.phase
    if running is not None and running.treatment == version:
        return replace(canary, salt=running.salt, assigned_on=running.assigned_on)
    if any(phase is not None and phase.salt == canary.salt for _, phase in ledger.phases()):
        return replace(canary, salt=f"{canary.salt}/{on}")
    return canary


def _control(registry: Registry, ledger: Ledger, champion: str, chosen: Version) -> str:
    """The version for the control group of a promotion by hand, one that can be shown."""
    passed = ledger.stages().get(champion) == Stage.CHAMPION
    if passed and registry.find(champion) is not None:
        return champion
    target = rollback_target(registry, ledger)
    return champion if target in {None, chosen.version} else str(target)


def roll_back_by_hand(
    registry: Registry, ledger: Ledger, manual: ManualDecision, *, to: str | None = None
) -> Entry:
    """Remove the champion and bring back the version of `rollback_target`.

    A canary is over, with an entry of its own: its control is the version that is removed.

    Args:
        registry: Where both are registered.
        ledger: Where it is written.
        manual: The person, the reason and the time.
        to: Number of the version that the person confirmed; None accepts any.

    Raises:
        RefusedDecisionError: There is no version to bring back, or another one than `to`; nothing
            was written.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        reconcile_aliases(registry, ledger, now=manual.now)
        last, target = ledger.last(), rollback_target(registry, ledger)
        if last is None or last.champion_after is None:
            raise _refused(
                "There is no champion to roll back.", "Build models with `firstchair run`."
            )
        if target is None:
            raise _nobody_before(registry, ledger, last.champion_after)
        if to is not None and to != target:
            raise _refused(
                f"A rollback would bring back version {target} now, not version {to}.",
                "Look at the present state and confirm again.",
            )
        outcome = Outcome(Stage.ROLLED_BACK, target, None)
        chosen = registry.version(last.champion_after)
        last = _without_canary(registry, ledger, manual, last, chosen.version)
        decision = _decision(registry, Verb.ROLL_BACK, manual, chosen, outcome, last)
        return _written(registry, ledger, decision)


def _without_canary(
    registry: Registry, ledger: Ledger, manual: ManualDecision, last: Entry, version: str
) -> Entry:
    """The newest entry, after one that ends the canary of another version if one is running."""
    phase = last.phase
    if phase is None or phase.stage is not Stage.CANARY or phase.treatment == version:
        return last
    reason = f"Its canary ended, because {manual.person} decided about version {version} by hand."
    over = canary_over(
        last,
        families_of(ledger.entries()),
        BY_HAND,
        (BY_HAND, reason),
        as_of=max(last.as_of, manual.as_of),
        now=manual.now,
        actor=manual.person,
    )
    entry = ledger.append(over)
    # Aliases follow the decision itself, since the champion of this entry may have been deleted.
    if (found := registry.find(phase.treatment)) is not None:
        registry.set_stage(found.version, Stage.RETIRED, decision=entry.decision_id)
        describe(registry, found, entry)
    return entry


def _nobody_before(registry: Registry, ledger: Ledger, champion: str) -> RefusedDecisionError:
    stages = ledger.stages()
    served = {e.champion_before for e in ledger.champion_changes()} - {None, champion}
    numbers = sorted((str(v) for v in served), key=int)
    removed = [
        f"{v} was {stages[v].replace('_', ' ')}" for v in numbers if stages.get(v) in REMOVED
    ]
    removed += [f"{v} was deleted in MLflow" for v in numbers if registry.find(v) is None]
    why = f": {', '.join(removed)}" if removed else ""
    return _refused(
        f"No version that served before champion {champion} may come back{why}.",
        "Promote a version with `firstchair promote VERSION --reason TEXT`; it is put on "
        "probation.",
    )


def _written(registry: Registry, ledger: Ledger, decision: Decision) -> Entry:
    entry = ledger.append(decision)
    follow(registry, entry)
    return entry


def _decision(
    registry: Registry,
    verb: Verb,
    manual: ManualDecision,
    chosen: Version,
    outcome: Outcome,
    last: Entry,
) -> Decision:
    identity = f"{BY_HAND} {verb} {chosen.version} {last.sequence} {manual.reason}"
    other = last.champion_after if verb is Verb.PROMOTE else outcome.champion
    found = None if other is None else registry.find(other)
    return Decision(
        decision_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        decided_at=manual.now,
        as_of=max(last.as_of, manual.as_of),
        decision=str(verb),
        champion_before=last.champion_after,
        champion_after=outcome.champion,
        challenger=chosen.version,
        stage_before=chosen.stage,
        stage_after=str(outcome.stage),
        reason_codes=(BY_HAND,),
        reasons=(manual.reason,),
        evidence={
            "kind": BY_HAND,
            "phase": None if outcome.phase is None else outcome.phase.record(),
            "challenger_after": last.champion_after,
            "versions": {"champion": other, "challenger": chosen.version},
            "families": {
                "champion": None if found is None else found.family,
                "challenger": chosen.family,
            },
            "code_version": firstchair.__version__,
        },
        data_fingerprint=chosen.data_fingerprint,
        actor=manual.person,
    )


def _refused(what: str, remedy: str) -> RefusedDecisionError:
    return RefusedDecisionError(
        what,
        where="ledger",
        data="Nothing was written and no alias was moved.",
        remedy=remedy,
    )
