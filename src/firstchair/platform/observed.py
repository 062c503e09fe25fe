"""What Dagster and MLflow were last seen to say, and when, for those who ask neither.

To ask them takes a process longer than everything else that `firstchair status` reads. So
`alert_sensor` notes what it finds each minute, and `firstchair run` when it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from firstchair.definitions.checks import Check
from firstchair.platform.platform import Platform
from firstchair.promotion import out_of_line


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A Dagster run that waits or works.

    status: As Dagster has it, such as `queued` or `started`. why: Causes of a retraining, else
    empty.
    """

    run_id: str
    job: str
    partition: str | None
    status: str
    since: datetime
    why: str

    def sentence(self) -> str:
        """All of it in words."""
        of_day = f" for {self.partition}" if self.partition else ""
        because = f" because of {self.why}" if self.why else ""
        return (
            f"{self.job}{of_day}{because}: {self.status} since {self.since:%Y-%m-%d %H:%M:%S} UTC."
        )


@dataclass(frozen=True, slots=True)
class RegistryState:
    """Whether MLflow agrees with an entry of the ledger.

    entry: sequence number of the last entry at that time; 0 before the first. followed: whether
    aliases and stages had been brought in line with it. moved: aliases that point elsewhere, and
    where. has_champion: whether the entry's champion is registered.
    """

    entry: int
    followed: bool
    moved: Mapping[str, str | None]
    has_champion: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """What was found at one time.

    checks: of runs and asset checks. runs: those that waited or worked.
    """

    seen_at: datetime
    checks: tuple[Check, ...]
    runs: tuple[UnderWay, ...]
    registry: RegistryState


_DOCUMENT = TypeAdapter(Observed)


def observe(platform: Platform, checks: tuple[Check, ...], runs: tuple[UnderWay, ...]) -> Observed:
    """Note what Dagster says, and what MLflow says now, in the journal.

    Raises:
        LedgerError, ModelError: The database cannot be written, or MLflow does not answer; what was
            noted before stands, with its time.
    """
    found = Observed(platform.now, checks, runs, registry_state(platform))
    document = _DOCUMENT.dump_python(found, mode="json")
    platform.journal.note_observed(document, now=platform.now)
    return found


def last_observed(platform: Platform) -> Observed | None:
    """What was noted last; None before the first time."""
    document = platform.journal.observed()
    return None if document is None else _DOCUMENT.validate_python(document)


def registry_state(platform: Platform) -> RegistryState:
    """Ask MLflow whether it agrees with the last entry; before the first there is nothing to ask.

    Raises:
        ModelError: MLflow does not answer.
    """
    last = platform.ledger.last()
    if last is None or last.champion_after is None:
        return RegistryState(0, followed=True, moved={}, has_champion=False)
    return RegistryState(
        entry=last.sequence,
        followed=platform.registry.followed() == last.sequence,
        moved=out_of_line(platform.registry, platform.ledger),
        has_champion=platform.registry.find(last.champion_after) is not None,
    )
