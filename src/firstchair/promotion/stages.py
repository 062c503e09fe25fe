"""The stages of a version: which may follow which, and what a decision makes of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

from firstchair.definitions.arms import (
    RAMP_SHARES,
    Arms,
    Kept,
    next_canary_share,
    probation_control_share,
)
from firstchair.errors import RefusedDecisionError
from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason


class Stage(StrEnum):
    """The stage of a version."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    CHAMPION = "champion"
    PROBATION = "probation"
    RETIRED = "retired"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


# Final stages for the gate. A person may promote such a version, which puts it on probation.
REMOVED = frozenset({Stage.REJECTED, Stage.ROLLED_BACK})
# A person may put a version of any stage on probation; see `require`.
NEXT: Mapping[Stage, frozenset[Stage]] = {
    Stage.CANDIDATE: frozenset({Stage.SHADOW, Stage.CANARY, Stage.CHAMPION, Stage.REJECTED}),
    Stage.SHADOW: frozenset({Stage.SHADOW, Stage.CANARY, Stage.CHAMPION, Stage.REJECTED}),
    Stage.CANARY: frozenset({Stage.CANARY, Stage.PROBATION, Stage.REJECTED, Stage.RETIRED}),
    Stage.PROBATION: frozenset({Stage.PROBATION, Stage.CHAMPION, Stage.ROLLED_BACK}),
    Stage.CHAMPION: frozenset({Stage.CHAMPION, Stage.RETIRED, Stage.ROLLED_BACK}),
    Stage.RETIRED: frozenset({Stage.CANARY, Stage.CHAMPION, Stage.REJECTED, Stage.SHADOW}),
    Stage.REJECTED: frozenset({Stage.REJECTED}),
    Stage.ROLLED_BACK: frozenset({Stage.ROLLED_BACK}),
}


def require(before: str | None, after: str | None, *, by_hand: bool) -> None:
    """Refuse an impossible transition; a person may put any version on probation.

    Raises:
        RefusedDecisionError: The transition is impossible; nothing was written.
    """
    if before is None or after is None or (by_hand and after == Stage.PROBATION):
        return
    if after not in NEXT[Stage(before)]:
        possible = ", ".join(sorted(NEXT[Stage(before)]))
        raise RefusedDecisionError(
            f"No version goes from {before} to {after}.",
            where="ledger",
            data="Nothing was written and no alias was moved.",
            remedy=f"From {before} a version goes to {possible}; a person may promote it by hand, "
            "which puts it on probation.",
        )


@dataclass(frozen=True, slots=True)
class Phase:
    """A stage with traffic: two versions, frozen until it ends.

    Attributes:
        stage: Canary or probation.
        treatment: In a canary the challenger, in probation the new champion.
        control: In a canary the champion, in probation the one before.
        share: Share of the users outside the holdout who see the treatment, 0..1.
        salt: Of the arms; the same from the first step to the end of probation.
        first_day: First day of its evidence. Each step has its own.
        assigned_on: First day on which `salt` assigned users to the arms. What is known of users
            from before it is older than any difference of the arms.
    """

    stage: Stage
    treatment: str
    control: str
    share: float
    salt: str
    first_day: date
    assigned_on: date

    def record(self) -> dict[str, Any]:
        """The phase as ledger entries hold it, whose names never change.

        The day of the assignment is left out where it is the first day, so that a phase of an older
        entry has the record that it had.
        """
        assigned = {"assigned_on": self.assigned_on.isoformat()}
        return {
            "stage": str(self.stage),
            "on_trial": self.treatment,
            "standing": self.control,
            "share": self.share,
            "salt": self.salt,
            "first_day": self.first_day.isoformat(),
            **({} if self.assigned_on == self.first_day else assigned),
        }


def phase_of(record: Mapping[str, Any] | None) -> Phase | None:
    """The phase that a ledger entry records.

    Older entries do not say when users were assigned where that was before the first day; evidence
    of their phases is what was known at the first day of each.
    """
    if record is None:
        return None
    first_day = record["first_day"]
    return Phase(
        stage=Stage(record["stage"]),
        treatment=record["on_trial"],
        control=record["standing"],
        share=record["share"],
        salt=record["salt"],
        first_day=date.fromisoformat(first_day),
        assigned_on=date.fromisoformat(record.get("assigned_on", first_day)),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a decision: stage of the treatment, champion, and the phase that follows."""

    stage: Stage
    champion: str
    phase: Phase | None


def begin(*, challenger: str, champion: str, salt: str, on: date) -> Phase:
    """The first step of a canary, which assigns users to the arms."""
    own_salt = f"{salt}/{challenger}"
    return Phase(Stage.CANARY, challenger, champion, RAMP_SHARES[0], own_salt, on, on)


def probation(phase: Phase, *, users: int, on: date) -> Phase:
    """Probation of the treatment, with a control group as large as the population needs."""
    return replace(
        phase, stage=Stage.PROBATION, share=1 - probation_control_share(users), first_day=on
    )


def after(
    phase: Phase, verb: Verb, codes: tuple[str, ...], *, users: int, decision_share: float, on: date
) -> Outcome:
    """The outcome of a decision for a phase; a pure function.

    Args:
        phase: The running phase.
        verb: Action of the decision.
        codes: Reason codes of the decision.
        users: Number of users, for the size of the control group of probation.
        decision_share: Share of the challenger in the stage that decides.
        on: First day of what begins now.
    """
    champion = phase.treatment if phase.stage is Stage.PROBATION else phase.control
    if verb is Verb.PROMOTE:
        return Outcome(Stage.PROBATION, phase.treatment, probation(phase, users=users, on=on))
    if Reason.RAMP_CLEAR in codes:
        share = next_canary_share(phase.share, decision_share=decision_share)
        return Outcome(Stage.CANARY, champion, replace(phase, share=share, first_day=on))
    ends: dict[str, Stage] = {
        Reason.HORIZON_REACHED: Stage.RETIRED,
        Reason.CONFIRMED: Stage.CHAMPION,
        Reason.PROBATION_OVER: Stage.CHAMPION,
    }
    if verb is Verb.HOLD and not ends.keys() & set(codes):
        return Outcome(phase.stage, champion, phase)
    by_verb = {Verb.REJECT: Stage.REJECTED, Verb.ROLL_BACK: Stage.ROLLED_BACK}
    stage = by_verb.get(verb) or next(ends[code] for code in codes if code in ends)
    return Outcome(stage, phase.control if verb is Verb.ROLL_BACK else champion, None)


def arms_of(
    phase: Phase | None, *, salt: str, holdout_share: float, kept: Kept | None = None
) -> Arms:
    """Roles by bucket in a phase, or without one.

    Args:
        phase: The running phase; None if there is none.
        salt: Salt of the platform's arms.
        holdout_share: Share of all users, 0..1, who see trending for good.
        kept: Buckets of users who keep one.
    """
    arms = Arms.without_stage(holdout_salt=salt, holdout_share=holdout_share, kept=kept)
    if phase is None:
        return arms
    if phase.stage is Stage.PROBATION:
        return arms.in_probation(phase.share, salt=phase.salt)
    return arms.in_canary(phase.share, salt=phase.salt)
