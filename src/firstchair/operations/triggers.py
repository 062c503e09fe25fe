"""What is due, read from tables: new objects, models older than the features."""

import hashlib
from dataclasses import dataclass
from datetime import date

from firstchair import events
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.operations.platform import Platform

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
