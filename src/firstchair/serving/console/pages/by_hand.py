"""By hand: what a person may decide, and between whom he may choose."""

from dataclasses import dataclass

from firstchair.serving.console import seats
from firstchair.serving.console.sources import Sources

LEAST_REASON = 10
MOST_REASON = 2_000
CHOICES = 30


@dataclass(frozen=True, slots=True)
class HandPage:
    """Everything on the page. `choices`: family by version of those who stood before the gate and do not sit."""

    champion: seats.Seat | None
    choices: dict[str, str]


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person typed into a form."""

    version: str
    reason: str
    person: str

    def fault(self) -> str | None:
        """What is wrong with it, None where nothing is."""
        if not self.person.strip():
            return "Type your name: it stands in the ledger beside the reason."
        if not LEAST_REASON <= len(self.reason.strip()) <= MOST_REASON:
            return f"Type a reason of {LEAST_REASON} to {MOST_REASON:,} characters: it stands in the ledger for ever."
        return None


def hand_page(sources: Sources) -> HandPage:
    """Who sits, and who could: newest first."""
    entries = sources.ledger.entries()
    known = seats.families(entries, sources.published())
    sitting = seats.champion(entries, known)
    stood = (version for entry in entries for version in (entry.challenger, entry.champion_before))
    others = {version: known.get(version, "") for version in stood if version}
    if sitting is not None:
        others.pop(sitting.version, None)
    return HandPage(sitting, dict(list(others.items())[:CHOICES]))
