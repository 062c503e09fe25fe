"""What is due, read from tables: new objects, models older than the features."""

import hashlib
from dataclasses import dataclass
from datetime import date

from firstchair import events, serving
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.operations.platform import Platform
from firstchair.promotion import is_followed, out_of_line, undecided

# Evidently's own rule for a data set: half of the columns.
DRIFTED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class RetrainingDue:
    """Features that no model has seen, and why that matters."""

    as_of: date
    cause: str


@dataclass(frozen=True, slots=True)
class WaitingObjects:
    """Event objects that no batch has read, and a digest of their names."""

    objects: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DecisionDue:
    """A day that is to be put before the gate, or whose outcome is not yet served; `why` is the run's key."""

    as_of: date
    why: str


def decisions_due(platform: Platform) -> list[DecisionDue]:
    """Days without an entry, else the last one where aliases or published lists are not what its entry says."""
    due = [DecisionDue(day, f"decision-{day}") for day in undecided(platform.lake, platform.registry, platform.ledger)]
    last = platform.ledger.last()
    if due or last is None:
        return due
    if not is_followed(platform.registry, platform.ledger):
        moved = out_of_line(platform.registry, platform.ledger)
        return [DecisionDue(last.as_of, f"aliases-{last.sequence}-{moved}")]
    served = serving.serves(platform.settings.published)
    if served is not None and (served.champion, served.arms) != (last.champion_after, platform.arms().bounds):
        return [DecisionDue(max(last.as_of, served.as_of), f"lists-{last.sequence}-{served.published}")]
    return []


def waiting_objects(platform: Platform) -> WaitingObjects:
    """Objects under events_url that the manifest does not hold as done."""
    names = sorted(events.waiting(platform.lake, events_url=platform.settings.events_url))
    return WaitingObjects(len(names), hashlib.sha256("\n".join(names).encode()).hexdigest()[:16])


def retraining_due(platform: Platform) -> RetrainingDue | None:
    """The newest features where not every family has been fitted on them; None where all have."""
    days = platform.lake.partitions(t.USER_FEATURES)
    matrix = platform.lake.partitions(t.INTERACTIONS)
    common = sorted(set(days) & set(matrix))
    if not common:
        return None
    newest = common[-1]
    if {version.family for version in platform.registry.versions(as_of=newest)} >= set(Family):
        return None
    drift = platform.lake.read(t.DRIFT, f"as_of = date '{newest}'").column("drifted").to_pylist()
    drifted = bool(drift) and sum(drift) / len(drift) >= DRIFTED_SHARE
    return RetrainingDue(newest, "drift" if drifted else "freshness")
