"""What Dagster and MLflow were last seen to say, and when, for those who ask neither.

To ask them takes a process longer than everything else that `firstchair status` reads. So
`alert_sensor` notes what it finds each minute, and `firstchair run` when it ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread

from pydantic import TypeAdapter

from firstchair.definitions.checks import Check, CheckState
from firstchair.errors import FirstchairError, ModelError
from firstchair.platform.platform import Platform
from firstchair.promotion import Entry, out_of_line

MLFLOW_AWAY = "mlflow_away"
# MLflow's client repeats a request for minutes (mlflow 3.17); a tick of a sensor ends after one.
PATIENCE_SECONDS = 20.0


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

    checks: of runs, asset checks, and whether MLflow answered. runs: those that waited or worked.
    registry: what MLflow said; where it did not answer, what it had said before.
    """

    seen_at: datetime
    checks: tuple[Check, ...]
    runs: tuple[UnderWay, ...]
    registry: RegistryState


_DOCUMENT = TypeAdapter(Observed)


def observe(
    platform: Platform,
    checks: tuple[Check, ...],
    runs: tuple[UnderWay, ...],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Observed:
    """Note what Dagster says, and what MLflow says now, in the journal.

    Args:
        platform: The platform, and the instant of asking.
        checks: Of runs and asset checks.
        runs: Those that wait or work.
        patience_seconds: For how long MLflow is waited for.

    Raises:
        LedgerError: The database cannot be read or written; what was noted before stands, with its
            time.
    """
    registry, answers = _asked(platform, patience_seconds)
    found = Observed(platform.now, (*checks, answers), runs, registry)
    document = _DOCUMENT.dump_python(found, mode="json")
    platform.journal.note_observed(document, now=platform.now)
    return found


def last_observed(platform: Platform) -> Observed | None:
    """What was noted last; None before the first time."""
    document = platform.journal.observed()
    return None if document is None else _DOCUMENT.validate_python(document)


def registry_state(platform: Platform) -> RegistryState:
    """Ask MLflow whether it agrees with the last entry; before the first there is nothing to ask.

    Where it does not answer, it is what was noted last.
    """
    return _asked(platform, PATIENCE_SECONDS)[0]


def _asked(platform: Platform, patience_seconds: float) -> tuple[RegistryState, Check]:
    """What MLflow says, and whether it answered."""
    nothing = RegistryState(0, followed=True, moved={}, has_champion=False)
    last = platform.ledger.last()
    if last is None or last.champion_after is None:
        text = "MLflow is asked once there is a champion."
        return nothing, Check(MLFLOW_AWAY, CheckState.NOT_APPLICABLE, text)
    try:
        found = _within(patience_seconds, partial(_ask, platform, last, last.champion_after))
    except ModelError as error:
        seen = last_observed(platform)
        known = "Aliases and versions are told as they were last seen."
        away = Check(MLFLOW_AWAY, CheckState.FAILS, f"{error.what} {known}")
        return (nothing if seen is None else seen.registry), away
    return found, Check(MLFLOW_AWAY, CheckState.PASSES, "MLflow answers.")


def _ask(platform: Platform, last: Entry, champion: str) -> RegistryState:
    return RegistryState(
        entry=last.sequence,
        followed=platform.registry.followed() == last.sequence,
        moved=out_of_line(platform.registry, platform.ledger),
        has_champion=platform.registry.find(champion) is not None,
    )


def _within(seconds: float, ask: Callable[[], RegistryState]) -> RegistryState:
    """Wait so long for an answer; a thread that is still asking then ends in its own time.

    Raises:
        ModelError: There is none.
    """
    answer: SimpleQueue[RegistryState | FirstchairError] = SimpleQueue()

    def work() -> None:
        try:
            answer.put(ask())
        except FirstchairError as error:
            answer.put(error)

    Thread(target=work, daemon=True, name="ask MLflow").start()
    try:
        found = answer.get(timeout=seconds)
    except Empty:
        raise ModelError(
            f"MLflow did not answer within {seconds:g} seconds.",
            where="the registered model",
            data="Nothing was changed.",
            remedy="Bring MLflow back, or check FIRSTCHAIR_MLFLOW_TRACKING_URI.",
        ) from None
    if isinstance(found, FirstchairError):
        raise found
    return found
