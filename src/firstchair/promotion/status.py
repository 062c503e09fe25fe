"""Who sits in the first chair, since when and why, and who plays behind the screen."""

from dataclasses import dataclass
from datetime import datetime

from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import Alias, Registry, Version
from firstchair.promotion.stages import Phase


@dataclass(frozen=True, slots=True)
class Status:
    """Roles with the entry that made the champion: `since` and `why` are None where there is none.

    phase: the stage with traffic that is under way; None where there is none. last_look: reasons of the newest entry.
    """

    champion: Version | None
    challenger: Version | None
    since: datetime | None
    why: str | None
    phase: Phase | None
    last_look: tuple[str, ...]


def status(registry: Registry, ledger: Ledger) -> Status:
    """Roles as the registry has them, the reason as the ledger has it."""
    champion = registry.alias(Alias.CHAMPION)
    latest = ledger.last()
    made = None if latest is None or latest.champion_after is None else ledger.made(latest.champion_after)
    return Status(
        champion=champion,
        challenger=registry.alias(Alias.CHALLENGER),
        since=None if made is None else made.decided_at,
        why=None if made is None else " ".join(made.reasons),
        phase=None if latest is None else latest.phase,
        last_look=() if latest is None else latest.reasons,
    )
