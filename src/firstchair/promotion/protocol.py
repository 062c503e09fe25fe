"""Make aliases and stages follow the ledger, and detect aliases that somebody else moved."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from firstchair.promotion.evidence_record import families_of
from firstchair.promotion.kinds import LOST_CANARY
from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.plain_words import explained
from firstchair.promotion.reasons import Reason
from firstchair.promotion.registry import Alias, Pointers, Registry, Version
from firstchair.promotion.stages import Stage

ALIAS_MOVED = "alias_moved"


def follow(registry: Registry, entry: Entry) -> None:
    """Set stages and aliases as an entry says, then record that it is done; idempotent.

    `previous` is the version that the champion took over from; after a rollback there is none,
    since the one that served before was removed. `previous` and `challenger` point nowhere where
    their version was deleted in MLflow, and such a version gets no tag and no description.

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
    # Last, because nothing depends on a description.
    if about is not None:
        describe(registry, about, entry)


def describe(registry: Registry, version: Version, entry: Entry) -> None:
    """Describe a version in MLflow by what an entry says of it."""
    registry.describe_decision(
        version.version,
        sequence=entry.sequence,
        decision_id=entry.decision_id,
        sentence=explained(entry).sentence,
    )


def _retire(registry: Registry, entry: Entry) -> None:
    """Point the alias `previous` at the version that the champion replaced."""
    before = registry.find(str(entry.champion_before))
    if before is not None:
        registry.set_stage(before.version, Stage.RETIRED)
    if entry.phase is not None and entry.phase.control != entry.champion_before:
        before = registry.find(entry.phase.control)
    _point(registry, Alias.PREVIOUS, before)


def _point(registry: Registry, alias: Alias, version: Version | None) -> None:
    """Point an alias at a version; at nothing if that was deleted in MLflow."""
    if version is None:
        registry.drop_alias(alias)
    else:
        registry.set_alias(alias, version.version)


def challenger_after(entry: Entry) -> str | None:
    """The version in shadow or in canary after an entry."""
    found = entry.evidence.get("challenger_after")
    return None if found is None else str(found)


def out_of_line(registry: Registry, ledger: Ledger) -> dict[str, str | None]:
    """Aliases that do not agree with the last entry, and where they point; empty if all agree.

    A challenger that was deleted in MLflow needs no alias.
    """
    last = ledger.last()
    return {} if last is None else _elsewhere(registry, last, registry.pointers())


def _elsewhere(registry: Registry, last: Entry, found: Pointers) -> dict[str, str | None]:
    """As `out_of_line`, from data that were read already."""
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
    """Whether aliases and stages agree with the last entry in full."""
    last = ledger.last()
    if last is None:
        return True
    found = registry.pointers()
    if found.followed != last.sequence:
        return False
    return not _elsewhere(registry, last, found) and not _lost_canary(registry, last)


def _lost_canary(registry: Registry, entry: Entry) -> bool:
    """Whether the version of a running canary was deleted in MLflow."""
    phase = entry.phase
    if phase is None or phase.stage is not Stage.CANARY:
        return False
    return registry.find(phase.treatment) is None


def reconcile_aliases(registry: Registry, ledger: Ledger, *, now: datetime) -> bool:
    """Correct the aliases by the last entry; return whether any had to be corrected.

    After a crash, what is missing is done. If the entry had been followed, somebody else moved the
    alias: it is put back, and an entry records that. `firstchair promote` is the way to move it. A
    canary whose version was deleted in MLflow ends with an entry, without a promotion.
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
    moves = ", ".join(f"{name} to {number or 'nothing'}" for name, number in sorted(moved.items()))
    return unchanged(
        last,
        ALIAS_MOVED,
        f"An alias was moved without an entry: {moves}. It was put back as entry {last.sequence} "
        "says.",
        identity=f"{last.sequence} {moves}",
        actor="reconciliation",
        now=now,
        evidence={"kind": "alias", "moved": moved},
    )


def unchanged(
    last: Entry,
    code: str,
    reason: str,
    *,
    identity: str,
    actor: str,
    now: datetime,
    evidence: Mapping[str, Any],
) -> Decision:
    """The decision of an entry after which everything stands as after `last`.

    Args:
        last: The last entry.
        code: What was done or seen.
        reason: The same in words.
        identity: Tells this one from others of the code.
        actor: Who did it.
        now: The clock.
        evidence: Further facts, `kind` among them.
    """
    return Decision(
        decision_id=hashlib.sha256(f"{code} {identity}".encode()).hexdigest()[:16],
        decided_at=now,
        as_of=last.as_of,
        decision="hold",
        champion_before=last.champion_after,
        champion_after=last.champion_after,
        challenger=challenger_after(last),
        stage_before=None,
        stage_after=None,
        reason_codes=(code,),
        reasons=(reason,),
        evidence={
            "phase": last.evidence.get("phase"),
            "challenger_after": challenger_after(last),
            **evidence,
        },
        data_fingerprint=last.data_fingerprint,
        actor=actor,
    )


def _deleted(last: Entry, families: Mapping[str, str], now: datetime) -> Decision:
    """The decision that ends a canary whose version was deleted."""
    phase = last.phase
    assert phase is not None
    reason = (
        f"Version {phase.treatment} was deleted in MLflow during its canary, so the stage is over "
        f"and its users see champion {phase.control} again. MLflow brings no version back: the "
        "next one of the family may compete."
    )
    why = (Reason.VERSION_DELETED, reason)
    return canary_over(
        last, families, LOST_CANARY, why, as_of=last.as_of, now=now, actor="reconciliation"
    )


def canary_over(
    last: Entry,
    families: Mapping[str, str],
    kind: str,
    why: tuple[str, str],
    *,
    as_of: date,
    now: datetime,
    actor: str,
) -> Decision:
    """The decision that retires the version in canary, without a promotion.

    Args:
        last: The newest entry; a canary is running after it.
        families: Of the versions, by number.
        kind: Of the entry.
        why: Reason code, and the same in words.
        as_of: First day without the stage.
        now: The clock.
        actor: Who ends it.
    """
    phase = last.phase
    assert phase is not None
    identity = f"{kind} {last.sequence} {phase.treatment}"
    code, reason = why
    return Decision(
        decision_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        decided_at=now,
        as_of=as_of,
        decision="hold",
        champion_before=last.champion_after,
        champion_after=last.champion_after,
        challenger=phase.treatment,
        stage_before=str(Stage.CANARY),
        stage_after=str(Stage.RETIRED),
        reason_codes=(code,),
        reasons=(reason,),
        evidence={
            "kind": kind,
            "phase_before": phase.record(),
            "phase": None,
            "challenger_after": None,
            "versions": {"champion": phase.control, "challenger": phase.treatment},
            "families": {
                "champion": families.get(phase.control),
                "challenger": families.get(phase.treatment),
            },
        },
        data_fingerprint=last.data_fingerprint,
        actor=actor,
    )
