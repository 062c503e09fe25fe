"""Decisions: the ledger with a filter, one entry in full, and the champion at a given time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from firstchair.console import roles
from firstchair.console.sources import Cause, Sources
from firstchair.promotion import Entry, Explained, Verb, Verification, explained

PAGE_ENTRIES = 50
ALL_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """The filter: one decision or all, a text in reasons, codes or versions, entries before one."""

    decision: str = ""
    text: str = ""
    before: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decisions:
    """Everything on the page.

    more: number with which to ask for earlier entries; None at the end of the ledger.
    """

    asked: Asked
    verbs: tuple[str, ...]
    entries: tuple[tuple[Entry, Explained], ...]
    found: int
    more: int | None
    champion_at: Entry | None
    verification: Verification
    causes: tuple[Cause, ...]
    families: dict[str, str]


def decisions_page(sources: Sources, asked: Asked) -> Decisions:
    """The entries that pass the filter, newest first; the whole hash chain is checked each time."""
    entries = sources.ledger.entries(limit=ALL_ENTRIES)
    wanted = [entry for entry in entries if _answers(entry, asked)]
    later = [entry for entry in wanted if asked.before is None or entry.sequence < asked.before]
    shown = later[:PAGE_ENTRIES]
    return Decisions(
        asked=asked,
        verbs=tuple(str(verb) for verb in Verb),
        entries=tuple((entry, explained(entry)) for entry in shown),
        found=len(wanted),
        more=shown[-1].sequence if len(later) > len(shown) else None,
        champion_at=None if asked.at is None else sources.ledger.champion_at(asked.at),
        verification=sources.ledger.verify(),
        causes=tuple(sources.config.causes()),
        families=roles.families(entries, sources.published()),
    )


def _answers(entry: Entry, asked: Asked) -> bool:
    if asked.decision and entry.decision != asked.decision:
        return False
    said = (*entry.reason_codes, *entry.reasons, entry.actor, str(entry.as_of), entry.decision_id)
    versions = (entry.champion_before, entry.champion_after, entry.challenger)
    return asked.text.casefold() in " ".join(map(str, (*said, *versions))).casefold()


def entry_of(entries: Sequence[Entry], named: str) -> Entry | None:
    """The entry with that sequence number or decision id; None if there is none."""
    return next(
        (entry for entry in entries if named in {str(entry.sequence), entry.decision_id}), None
    )
