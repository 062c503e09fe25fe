"""Entries that decide nothing: what was done to the data that decisions rest on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from firstchair.promotion.ledger import Entry, Ledger
from firstchair.promotion.protocol import unchanged
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
    decision = unchanged(
        last,
        code,
        reason,
        identity=identity,
        actor=actor,
        now=now,
        evidence={"kind": str(code), **evidence},
    )
    return ledger.append(decision)
