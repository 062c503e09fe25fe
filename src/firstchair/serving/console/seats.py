"""Who sits in the first chair and who auditions, out of the entries of the ledger alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from firstchair.promotion import Entry
from firstchair.serving.published import Published


@dataclass(frozen=True, slots=True)
class Seat:
    """A version in a role: its family where it is known, since when, and the entry that put it there."""

    version: str
    family: str
    stage: str
    since: datetime
    entry: Entry


def families(entries: Sequence[Entry], published: Published | None) -> dict[str, str]:
    """Family of each version that an entry or what is published names."""
    found = {role.version: role.family for role in (published.roles.values() if published else ())}
    for entry in entries:
        named: Mapping[str, str | None] = entry.evidence.get("families") or {}
        versions = {"challenger": entry.challenger, "champion": entry.champion_before}
        versions |= entry.evidence.get("versions") or {}
        pairs = ((number, named.get(role)) for role, number in versions.items())
        found |= {number: family for number, family in pairs if number is not None and family is not None}
    return found


def champion(entries: Sequence[Entry], known: Mapping[str, str]) -> Seat | None:
    """Who sits now, by the entry that seated him; None where nobody does. Entries: newest first."""
    made = next((entry for entry in entries if entry.champion_after != entry.champion_before), None)
    if made is None or made.champion_after is None:
        return None
    stage = entries[0].stage_after if entries[0].challenger == made.champion_after else made.stage_after
    return Seat(
        made.champion_after, known.get(made.champion_after, "version"), stage or "champion", made.decided_at, made
    )


def challenger(entries: Sequence[Entry], known: Mapping[str, str]) -> Seat | None:
    """Who plays behind the screen by the last entry, with the newest entry that is about him."""
    if not entries:
        return None
    last = entries[0]
    number = last.evidence.get("challenger_after") or last.challenger
    if number is None or number == last.champion_after:
        return None
    about = next((entry for entry in entries if entry.challenger == number), last)
    stage = about.stage_after if about.challenger == number else None
    return Seat(str(number), known.get(str(number), "version"), stage or "shadow", about.decided_at, about)
