"""Who sits in the first chair, since when and why, and who plays behind the screen."""

from dataclasses import dataclass
from datetime import datetime

from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import Alias, Registry, Version


@dataclass(frozen=True, slots=True)
class Status:
    """Roles with the entry that made the champion: `since` and `why` are None where there is none."""

    champion: Version | None
    challenger: Version | None
    since: datetime | None
    why: str | None


def status(registry: Registry, ledger: Ledger) -> Status:
    """Roles as the registry has them, the reason as the ledger has it."""
    champion = registry.alias(Alias.CHAMPION)
    made = next((e for e in ledger.entries() if e.champion_after != e.champion_before), None)
    return Status(
        champion=champion,
        challenger=registry.alias(Alias.CHALLENGER),
        since=None if made is None else made.decided_at,
        why=None if made is None else " ".join(made.reasons),
    )
