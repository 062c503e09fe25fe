"""The entry of the ledger that a user was forgotten; it does not say who."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import firstchair
from firstchair.databases import advisory_lock
from firstchair.promotion.decisions import LOCK
from firstchair.promotion.kinds import ERASURE, Verb
from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.protocol import challenger_after, follow, reconcile_aliases
from firstchair.promotion.reasons import Reason
from firstchair.promotion.registry import Registry

# Day of an entry that comes before any decision: no event is older, so that each day can follow.
BEFORE_EVENTS = date(2000, 1, 1)


def record_erasure(
    registry: Registry,
    ledger: Ledger,
    *,
    erasure_id: str,
    refitted: Sequence[Mapping[str, Any]],
    person: str,
    now: datetime,
) -> Entry:
    """Write that a user was forgotten, once for each `erasure_id`; nothing else changes.

    Args:
        registry: Its aliases are brought in line with the ledger first.
        ledger: Where it is written.
        erasure_id: Drawn by chance, so that it names nobody.
        refitted: For each version that was fitted again: version, family, and its data fingerprint
            before and after.
        person: Who asked for it.
        now: The instant of the entry.

    Raises:
        LedgerError: The ledger cannot be written.
        ModelError: The registry does not answer.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        reconcile_aliases(registry, ledger, now=now)
        last = ledger.last()
        entry = ledger.append(_decision(last, erasure_id, refitted, person, now))
        if last is not None and entry.sequence > last.sequence:
            follow(registry, entry)
        return entry


def _decision(
    last: Entry | None,
    erasure_id: str,
    refitted: Sequence[Mapping[str, Any]],
    person: str,
    now: datetime,
) -> Decision:
    champion = None if last is None else last.champion_after
    names = ", ".join(f"{one['version']} ({one['family']})" for one in refitted)
    fitted = (
        f"Fitted again without them: {names}." if names else "No version had to be fitted again."
    )
    return Decision(
        decision_id=erasure_id,
        decided_at=now,
        as_of=BEFORE_EVENTS if last is None else last.as_of,
        decision=Verb.HOLD,
        champion_before=champion,
        champion_after=champion,
        challenger=None,
        stage_before=None,
        stage_after=None,
        reason_codes=(Reason.USER_FORGOTTEN,),
        reasons=(f"A user was forgotten. {fitted} Decisions made before cannot be replayed.",),
        evidence={
            "kind": ERASURE,
            "refitted": list(refitted),
            "phase": None if last is None else last.evidence.get("phase"),
            "challenger_after": None if last is None else challenger_after(last),
            "code_version": firstchair.__version__,
        },
        data_fingerprint="" if last is None else last.data_fingerprint,
        actor=person,
    )
