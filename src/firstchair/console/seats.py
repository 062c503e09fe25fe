"""Who sits in the first chair and who auditions, out of the entries of the ledger alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from firstchair.console.charts import Mark
from firstchair.promotion import Entry, Explained, explained, families_of, model_title
from firstchair.promotion import releases as released
from firstchair.publication.published import Published

# Stages of who sits; a version of the past that had one of them has left it.
SEATED = ("champion", "probation")


@dataclass(frozen=True, slots=True)
class Seat:
    """A version in a role: its family where it is known, since when, and the entry that put it there."""

    version: str
    family: str
    stage: str
    since: datetime
    entry: Entry

    @property
    def name(self) -> str:
        """What people call the version: `XGBoost 7`."""
        return model_title(self.version, self.family)

    @property
    def why(self) -> Explained:
        """The entry in plain words."""
        return explained(self.entry)


def families(entries: Sequence[Entry], published: Published | None) -> dict[str, str]:
    """Family of each version that an entry or what is published names."""
    served = {role.version: role.family for role in (published.roles.values() if published else ())}
    return served | families_of(entries)


def releases(entries: Sequence[Entry], known: Mapping[str, str]) -> tuple[Mark, ...]:
    """Days from which on another version served, oldest first, for the charts over days.

    Entries: newest first. known: their `families`.
    """
    return tuple(Mark(day, name) for day, name in released(entries, known).items())


def champion(entries: Sequence[Entry], known: Mapping[str, str]) -> Seat | None:
    """Who sits now, by the entry that seated him; None where nobody does. Entries: newest first."""
    made = next((entry for entry in entries if entry.champion_after != entry.champion_before), None)
    if made is None or made.champion_after is None:
        return None
    number = made.champion_after
    return Seat(number, known.get(number, ""), _stage(entries, number, "champion"), made.decided_at, made)


def challenger(entries: Sequence[Entry], known: Mapping[str, str]) -> Seat | None:
    """Who plays behind the screen by the last entry, with the newest entry that is about him."""
    if not entries:
        return None
    last = entries[0]
    number = last.evidence.get("challenger_after") or last.challenger
    if number is None or number == last.champion_after:
        return None
    about = next((entry for entry in entries if entry.challenger == number), last)
    stood = "shadow" if about.stage_after is None else about.stage_after
    stage = _stage(entries, number, "retired" if stood in SEATED else stood)
    return Seat(str(number), known.get(str(number), ""), stage, about.decided_at, about)


def _stage(entries: Sequence[Entry], version: str, otherwise: str) -> str:
    """Stage with traffic that a version is in by the last entry, with its share; else `otherwise`."""
    phase = entries[0].phase
    return (
        f"{phase.stage} at {100 * phase.share:.0f} %" if phase is not None and phase.on_trial == version else otherwise
    )
