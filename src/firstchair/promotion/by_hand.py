"""What a person decides: in the ledger like any other, with his reason."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

import firstchair
from firstchair.databases import advisory_lock
from firstchair.errors import LedgerError
from firstchair.promotion.decisions import LOCK
from firstchair.promotion.gate import Verb
from firstchair.promotion.ledger import BY_HAND, Decision, Entry, Ledger
from firstchair.promotion.protocol import follow, reconcile_aliases
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.stages import Outcome, Phase, Stage, probation


@dataclass(frozen=True, slots=True)
class Word:
    """A person's word: who, why, when, and the first day on which it is served."""

    person: str
    reason: str
    now: datetime
    as_of: date


def promote_by_hand(registry: Registry, ledger: Ledger, word: Word, *, version: str, users: int, salt: str) -> Entry:
    """Seat a version; it is on probation like one that earned it.

    Args:
        registry: Where the version is registered.
        ledger: Where it is written.
        word: Who wants it, and why.
        version: Number of the version.
        users: Population, for the control group of probation.
        salt: Of the platform's arms; that of a canary of this version is kept.

    Raises:
        LedgerError: It sits already, or there is no champion to take over from; nothing was written.
        ModelError: There is no such version.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        reconcile_aliases(registry, ledger, now=word.now)
        last, chosen = ledger.last(), registry.version(version)
        if last is None or last.champion_after is None:
            raise _refused("There is no champion yet: the first one sits down by itself.")
        if last.champion_after == chosen.version:
            raise _refused(f"Version {version} sits already.")
        known = last.phase is not None and last.phase.on_trial == chosen.version
        kept = last.phase.salt if known and last.phase is not None else f"{salt}/{chosen.version}"
        canary = Phase(Stage.CANARY, chosen.version, last.champion_after, 0.5, kept, word.as_of)
        phase = probation(canary, users=users, on=word.as_of)
        outcome = Outcome(Stage.PROBATION, chosen.version, phase)
        return _written(registry, ledger, _decision(Verb.PROMOTE, word, chosen, outcome, last))


def roll_back_by_hand(registry: Registry, ledger: Ledger, word: Word) -> Entry:
    """Give the chair back to who sat there before.

    Raises:
        LedgerError: Nobody sat there before; nothing was written.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        reconcile_aliases(registry, ledger, now=word.now)
        last = ledger.last()
        made = None if last is None or last.champion_after is None else ledger.made(last.champion_after)
        if last is None or last.champion_after is None or made is None or made.champion_before is None:
            raise _refused("Nobody sat in the chair before the present champion.")
        outcome = Outcome(Stage.ROLLED_BACK, made.champion_before, None)
        chosen = registry.version(last.champion_after)
        return _written(registry, ledger, _decision(Verb.ROLL_BACK, word, chosen, outcome, last))


def _written(registry: Registry, ledger: Ledger, decision: Decision) -> Entry:
    entry = ledger.append(decision)
    follow(registry, entry)
    return entry


def _decision(verb: Verb, word: Word, chosen: Version, outcome: Outcome, last: Entry) -> Decision:
    identity = f"{BY_HAND} {verb} {chosen.version} {last.sequence} {word.reason}"
    return Decision(
        decision_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        decided_at=word.now,
        as_of=max(last.as_of, word.as_of),
        decision=str(verb),
        champion_before=last.champion_after,
        champion_after=outcome.champion,
        challenger=chosen.version,
        stage_before=chosen.stage,
        stage_after=str(outcome.stage),
        reason_codes=(BY_HAND,),
        reasons=(word.reason,),
        evidence={
            "kind": BY_HAND,
            "phase": None if outcome.phase is None else outcome.phase.record(),
            "challenger_after": last.champion_after,
            "code_version": firstchair.__version__,
        },
        data_fingerprint=chosen.data_fingerprint,
        actor=word.person,
    )


def _refused(what: str) -> LedgerError:
    return LedgerError(
        what,
        where="ledger",
        data="Nothing was written and no alias was moved.",
        remedy="Look at `firstchair status` and `firstchair decisions`, then choose another version.",
    )
