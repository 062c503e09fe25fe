"""Champion and challenger, since when and why, and the running stage with traffic."""

from dataclasses import dataclass
from datetime import datetime

from firstchair.promotion.evidence_record import model_title
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.plain_words import explained
from firstchair.promotion.registry import Alias, Registry, Version
from firstchair.promotion.stages import Phase


@dataclass(frozen=True, slots=True)
class Status:
    """Roles, with the entry that made the champion; `since` and `why` are None without one.

    why: that decision in a sentence. phase: the running stage with traffic; None if there is none.
    control, treatment: names of the phase's versions. last_look: verdict of the newest entry.
    """

    champion: Version | None
    challenger: Version | None
    since: datetime | None
    why: str | None
    phase: Phase | None
    control: str | None
    treatment: str | None
    last_look: str


def status(registry: Registry, ledger: Ledger) -> Status:
    """Read the roles from the registry and the reason from the ledger."""
    champion = registry.alias(Alias.CHAMPION)
    latest = ledger.last()
    phase = None if latest is None else latest.phase
    made = (
        None
        if latest is None or latest.champion_after is None
        else ledger.made(latest.champion_after)
    )
    return Status(
        champion=champion,
        challenger=registry.alias(Alias.CHALLENGER),
        since=None if made is None else made.decided_at,
        why=None if made is None else explained(made).sentence,
        phase=phase,
        control=None if phase is None else _name(registry, phase.control),
        treatment=None if phase is None else _name(registry, phase.treatment),
        last_look="" if latest is None else explained(latest).sentence,
    )


def _name(registry: Registry, number: str) -> str:
    return model_title(number, registry.version(number).family)
