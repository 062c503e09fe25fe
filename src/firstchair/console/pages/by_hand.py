"""By hand: the decisions that a person may make, and the versions that they may choose."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstchair.console import roles
from firstchair.console.sources import Sources
from firstchair.promotion import Entry, rollback_target

LEAST_REASON = 10
MOST_REASON = 2_000
MOST_PERSON = 100
CHOICES = 30


@dataclass(frozen=True, slots=True)
class Choice:
    """A version that may be promoted: its family and its stage by the ledger."""

    version: str
    family: str
    stage: str


@dataclass(frozen=True, slots=True)
class HandPage:
    """Everything on the page.

    choices: versions that may be promoted, newest first. comes_back: the version that a rollback
    would bring back; None if there is none.
    """

    champion: roles.VersionInRole | None
    choices: tuple[Choice, ...]
    comes_back: Choice | None


@dataclass(frozen=True, slots=True)
class Typed:
    """The fields of a form as a person typed them."""

    version: str
    reason: str
    person: str

    def fault(self) -> str | None:
        """What is wrong with the fields; None if they are right."""
        if not all(map(str.isprintable, (self.version, self.person, *self.reason.split()))):
            return "Type letters, numbers and signs alone: a field holds a control character."
        if len(self.person) > MOST_PERSON:
            return f"Type a name of at most {MOST_PERSON} characters."
        if not self.person.strip():
            return "Type your name: it stands in the ledger beside the reason."
        if not LEAST_REASON <= len(self.reason.strip()) <= MOST_REASON:
            return (
                f"Type a reason of {LEAST_REASON} to {MOST_REASON:,} characters: it stands in the "
                "ledger for ever."
            )
        return None


def hand_page(sources: Sources) -> HandPage:
    """The champion, the versions that may replace it, and the one that a rollback brings back."""
    entries = sources.ledger.entries()
    newest = _newest(sources, entries)
    known = roles.families(entries, sources.published()) | newest
    stages = sources.ledger.stages()
    champion = roles.champion(entries, known)
    stood = {v for entry in entries for v in (entry.challenger, entry.champion_before) if v}
    numbers = sorted(stood | set(newest), key=int, reverse=True)
    found = [Choice(v, known.get(v, "version"), stages.get(v, "candidate")) for v in numbers]
    target = rollback_target(sources.registry, sources.ledger)
    return HandPage(
        champion=champion,
        choices=tuple(c for c in found if champion is None or c.version != champion.version)[
            :CHOICES
        ],
        comes_back=next((choice for choice in found if choice.version == target), None),
    )


def _newest(sources: Sources, entries: Sequence[Entry]) -> dict[str, str]:
    """Family by version number, for the versions of the newest day with a decision."""
    if not entries:
        return {}
    return {v.version: v.family for v in sources.registry.versions(as_of=entries[0].as_of)}
