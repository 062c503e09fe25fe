"""Entries that decide nothing: what was done to the data that decisions rest on."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from firstchair.promotion.ledger import Decision, Entry, Ledger
from firstchair.promotion.protocol import challenger_after
from firstchair.promotion.reasons import Reason


def note(
    ledger: Ledger,
    code: Reason,
    reason: str,
    *,
    identity: str,
    actor: str,
    now: datetime,
    evidence: Mapping[str, Any],
) -> Entry | None:
    """Write an entry after which everything stands as before it.

    Args:
        ledger: Gets the entry; one of the same code and identity is written once.
        code: What was done.
        reason: The same in words.
        identity: Tells this one from others of the code.
        actor: Who did it.
        now: The clock.
        evidence: Further facts; nothing that identifies a person.

    Returns:
        The entry; None where no decision was ever made, and so none rests on the data.

    Raises:
        LedgerError: The ledger cannot be written.
    """
    last = ledger.last()
    if last is None:
        return None
    decision = Decision(
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
            "kind": str(code),
            "phase": last.evidence.get("phase"),
            "challenger_after": challenger_after(last),
            **evidence,
        },
        data_fingerprint=last.data_fingerprint,
        actor=actor,
    )
    return ledger.append(decision)
