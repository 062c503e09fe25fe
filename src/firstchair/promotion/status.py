"""Champion and challenger, since when and why, and the running stage with traffic."""

from dataclasses import dataclass, replace
from datetime import datetime

from firstchair.promotion.evidence_record import model_title
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.plain_words import explained
from firstchair.promotion.protocol import challenger_after
from firstchair.promotion.registry import Registry, Version
from firstchair.promotion.stages import Phase


@dataclass(frozen=True, slots=True)
class Status:
    """Roles, with the entry that made the champion; `since` and `why` are None without one.

    why: that decision in a sentence. phase: the running stage with traffic; None if there is none.
    control, treatment: names of the phase's versions. last_look: verdict of the newest entry.
    """

    champion: Version | None
    challenger: Version | None
    since: datetime | None
    why: str | None
    phase: Phase | None
    control: str | None
    treatment: str | None
    last_look: str


def status(registry: Registry, ledger: Ledger) -> Status:
    """Read the roles and the reason from the ledger, which aliases follow.

    MLflow is asked only for a version that the ledger has no note of: one that an earlier release
    registered.

    Raises:
        LedgerError, ModelError: The ledger, or the registry for such a version, does not answer.
    """
    latest = ledger.last()
    if latest is None:
        return Status(None, None, None, None, None, None, None, "")

    phase = latest.phase
    made = None if latest.champion_after is None else ledger.made(latest.champion_after)
    return Status(
        champion=_registered(registry, ledger, latest.champion_after),
        challenger=_registered(registry, ledger, challenger_after(latest)),
        since=None if made is None else made.decided_at,
        why=None if made is None else explained(made).sentence,
        phase=phase,
        control=None if phase is None else _name(registry, ledger, phase.control),
        treatment=None if phase is None else _name(registry, ledger, phase.treatment),
        last_look=explained(latest).sentence,
    )


def _registered(registry: Registry, ledger: Ledger, number: str | None) -> Version | None:
    """What was registered as a version; None if there is none, or nobody knows it any more."""
    if number is None:
        return None
    if (noted := ledger.registered(number)) is not None:
        return noted
    found = registry.find(number)
    return None if found is None else replace(found, stage=ledger.stage(number))


def _name(registry: Registry, ledger: Ledger, number: str) -> str:
    found = _registered(registry, ledger, number)
    return model_title(number, None if found is None else found.family)
