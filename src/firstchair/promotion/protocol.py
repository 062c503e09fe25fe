"""From entry to aliases: every step harmless to repeat, and what somebody else moved is noticed."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from firstchair.promotion.evidence_record import families_of
from firstchair.promotion.kinds import LOST_CANARY
from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.plain_words import explained
from firstchair.promotion.reasons import Reason
from firstchair.promotion.registry import Alias, Pointers, Registry, Version
from firstchair.promotion.stages import Stage

ALIAS_MOVED = "alias_moved"


def follow(registry: Registry, entry: Entry) -> None:
    """Do to stages and aliases what the entry says, then note that it is done; idempotent.

    `previous` is the version that the champion took over from; after a rollback there is none, since
    the one that served before was removed. `previous` and `challenger` point nowhere where their
    version was deleted in MLflow, and such a version gets no tag and no description.

    Raises:
        ModelError: The registry does not answer, or the champion is not there.
    """
    changed = entry.champion_after != entry.champion_before
    returns = entry.stage_after == Stage.ROLLED_BACK
    about = None if entry.challenger is None else registry.find(entry.challenger)
    if about is not None and entry.stage_after is not None:
        registry.set_stage(about.version, Stage(entry.stage_after), decision=entry.decision_id)
    if entry.champion_after is not None:
        if changed and entry.champion_before is not None:
            if returns:
                registry.set_stage(entry.champion_after, Stage.CHAMPION)
                registry.drop_alias(Alias.PREVIOUS)
            else:
                _retire(registry, entry)
        registry.set_alias(Alias.CHAMPION, registry.version(entry.champion_after).version)
    if (challenger := challenger_after(entry)) is not None:
        found = about if challenger == entry.challenger else registry.find(challenger)
        _point(registry, Alias.CHALLENGER, found)
    registry.note_followed(entry.sequence)
    # Last, since nothing rests on a description.
    if about is not None:
        registry.describe_decision(
            about.version,
            sequence=entry.sequence,
            decision_id=entry.decision_id,
            sentence=explained(entry).sentence,
        )


def _retire(registry: Registry, entry: Entry) -> None:
    """Let the alias `previous` point at the version that the champion took over from."""
    before = registry.find(str(entry.champion_before))
    if before is not None:
        registry.set_stage(before.version, Stage.RETIRED)
    if entry.phase is not None and entry.phase.standing != entry.champion_before:
        before = registry.find(entry.phase.standing)
    _point(registry, Alias.PREVIOUS, before)


def _point(registry: Registry, alias: Alias, version: Version | None) -> None:
    """Let an alias point at a version; at nothing where that was deleted in MLflow."""
    if version is None:
        registry.drop_alias(alias)
    else:
        registry.set_alias(alias, version.version)


def challenger_after(entry: Entry) -> str | None:
    """The version in shadow or in canary after an entry."""
    found = entry.evidence.get("challenger_after")
    return None if found is None else str(found)


def out_of_line(registry: Registry, ledger: Ledger) -> dict[str, str | None]:
    """Aliases that do not point where the last entry has them, and where they point.

    Empty where all is well. A challenger that was deleted in MLflow has no alias, and needs none.
    """
    last = ledger.last()
    return {} if last is None else _elsewhere(registry, last, registry.pointers())


def _elsewhere(registry: Registry, last: Entry, found: Pointers) -> dict[str, str | None]:
    """As `out_of_line`, of what was read already."""
    wanted = {Alias.CHAMPION: last.champion_after, Alias.CHALLENGER: challenger_after(last)}
    moved: dict[str, str | None] = {}
    for alias, number in wanted.items():
        pointed = found.aliases.get(alias)
        if number is None:
            continue
        if alias is Alias.CHAMPION and pointed is not None and registry.find(pointed) is None:
            pointed = None  # its version lost its tags
        if pointed == number or (alias is Alias.CHALLENGER and registry.find(number) is None):
            continue
        moved[str(alias)] = pointed
    return moved


def is_followed(registry: Registry, ledger: Ledger) -> bool:
    """Whether the last entry was followed to its end, and nothing was moved or deleted since."""
    last = ledger.last()
    if last is None:
        return True
    found = registry.pointers()
    if found.followed != last.sequence:
        return False
    return not _elsewhere(registry, last, found) and not _lost_canary(registry, last)


def _lost_canary(registry: Registry, entry: Entry) -> bool:
    """Whether a canary is under way whose version was deleted in MLflow."""
    phase = entry.phase
    if phase is None or phase.stage is not Stage.CANARY:
        return False
    return registry.find(phase.on_trial) is None


def reconcile_aliases(registry: Registry, ledger: Ledger, *, now: datetime) -> bool:
    """Make the aliases what the last entry says; whether anything had to be done.

    After a crash the entry is followed to its end. Where it had been, somebody else moved the alias: that gets an
    entry of its own, and the alias is put back. Whoever wants it moved says so with `firstchair promote`.
    A canary whose version was deleted in MLflow ends with an entry, and none is promoted.
    """
    last = ledger.last()
    if last is None:
        return False
    found = registry.pointers()
    followed, moved = found.followed == last.sequence, _elsewhere(registry, last, found)
    lost = _lost_canary(registry, last)
    if followed and not moved and not lost:
        return False
    if moved and followed:
        last = ledger.append(_moved(last, moved, now))
    if lost:
        last = ledger.append(_deleted(last, families_of(ledger.entries()), now))
    follow(registry, last)
    return True


def _moved(last: Entry, moved: dict[str, str | None], now: datetime) -> Decision:
    told = ", ".join(f"{name} to {number or 'nothing'}" for name, number in sorted(moved.items()))
    identity = f"{ALIAS_MOVED} {last.sequence} {told}"
    return Decision(
        decision_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        decided_at=now,
        as_of=last.as_of,
        decision="hold",
        champion_before=last.champion_after,
        champion_after=last.champion_after,
        challenger=challenger_after(last),
        stage_before=None,
        stage_after=None,
        reason_codes=(ALIAS_MOVED,),
        reasons=(
            f"An alias was moved without an entry: {told}. It was put back where entry {last.sequence} has it.",
        ),
        evidence={
            "kind": "alias",
            "moved": moved,
            "phase": last.evidence.get("phase"),
            "challenger_after": challenger_after(last),
        },
        data_fingerprint=last.data_fingerprint,
        actor="reconciliation",
    )


def _deleted(last: Entry, families: Mapping[str, str], now: datetime) -> Decision:
    """The end of a canary whose version is gone."""
    phase = last.phase
    assert phase is not None
    identity = f"{LOST_CANARY} {last.sequence} {phase.on_trial}"
    reason = (
        f"Version {phase.on_trial} was deleted in MLflow during its canary, so the stage is over "
        f"and its users see champion {phase.standing} again. MLflow brings no version back: the "
        "next one of the family may audition."
    )
    return Decision(
        decision_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        decided_at=now,
        as_of=last.as_of,
        decision="hold",
        champion_before=last.champion_after,
        champion_after=last.champion_after,
        challenger=phase.on_trial,
        stage_before=str(Stage.CANARY),
        stage_after=str(Stage.RETIRED),
        reason_codes=(Reason.VERSION_DELETED,),
        reasons=(reason,),
        evidence={
            "kind": LOST_CANARY,
            "phase_before": phase.record(),
            "phase": None,
            "challenger_after": None,
            "versions": {"champion": phase.standing, "challenger": phase.on_trial},
            "families": {
                "champion": families.get(phase.standing),
                "challenger": families.get(phase.on_trial),
            },
        },
        data_fingerprint=last.data_fingerprint,
        actor="reconciliation",
    )
