"""The champion and the challenger, read from the entries of the ledger alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from firstchair.console.charts import Mark
from firstchair.promotion import Entry, Explained, explained, families_of, model_title
from firstchair.promotion import releases as released
from firstchair.publication.published import Published

# Stages of a serving version; a challenger that once had one of them serves no longer.
SERVING_STAGES = ("champion", "probation")


@dataclass(frozen=True, slots=True)
class VersionInRole:
    """A version in a role: its family ("" if unknown), since when, and the entry that set it."""

    version: str
    family: str
    stage: str
    since: datetime
    entry: Entry

    @property
    def name(self) -> str:
        """The title of the version: `XGBoost 7`."""
        return model_title(self.version, self.family)

    @property
    def why(self) -> Explained:
        """The entry explained in plain words."""
        return explained(self.entry)


def families(entries: Sequence[Entry], published: Published | None) -> dict[str, str]:
    """Family of each version that the entries or the published lists name."""
    served = {role.version: role.family for role in (published.roles.values() if published else ())}
    return served | families_of(entries)


def releases(entries: Sequence[Entry], known: Mapping[str, str]) -> tuple[Mark, ...]:
    """The days on which another version began to serve, oldest first, for the charts over days.

    Entries: newest first. known: their `families`.
    """
    return tuple(Mark(day, name) for day, name in released(entries, known).items())


def champion(entries: Sequence[Entry], known: Mapping[str, str]) -> VersionInRole | None:
    """The champion that serves now, by the entry that promoted it; None where there is none.

    Entries: newest first.
    """
    made = next((entry for entry in entries if entry.champion_after != entry.champion_before), None)
    if made is None or made.champion_after is None:
        return None
    number = made.champion_after
    stage = _stage(entries, number, "champion")
    return VersionInRole(number, known.get(number, ""), stage, made.decided_at, made)


def challenger(entries: Sequence[Entry], known: Mapping[str, str]) -> VersionInRole | None:
    """The challenger by the last entry, with the newest entry about it; None where there is none.

    Entries: newest first. Its stage is "shadow" unless the entry names another.
    """
    if not entries:
        return None
    last = entries[0]
    number = last.evidence.get("challenger_after") or last.challenger
    if number is None or number == last.champion_after:
        return None
    about = next((entry for entry in entries if entry.challenger == number), last)
    stood = "shadow" if about.stage_after is None else about.stage_after
    stage = _stage(entries, number, "retired" if stood in SERVING_STAGES else stood)
    return VersionInRole(str(number), known.get(str(number), ""), stage, about.decided_at, about)


def _stage(entries: Sequence[Entry], version: str, otherwise: str) -> str:
    """Stage and share of traffic of a version by the last entry; `otherwise` if it has none."""
    phase = entries[0].phase
    return (
        f"{phase.stage} at {100 * phase.share:.0f} %"
        if phase is not None and phase.treatment == version
        else otherwise
    )
