"""The version that a rollback brings back, whoever decides it."""

from collections.abc import Iterator

from firstchair.promotion.kinds import Verb
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import Registry
from firstchair.promotion.stages import Stage


def rollback_target(registry: Registry, ledger: Ledger) -> str | None:
    """The version that a rollback would bring back; None if there is none.

    It is the newest version that served before the present champion was promoted, that had passed
    its probation or needed none, that was neither rolled back nor rejected since, and that was not
    deleted in MLflow.

    Raises:
        LedgerError, ModelError: The ledger or the registry cannot be read.
    """
    stages = ledger.stages()
    passed = (v for v in _predecessors(ledger) if stages.get(v) == Stage.CHAMPION)
    return next((version for version in passed if registry.find(version) is not None), None)


def _predecessors(ledger: Ledger) -> Iterator[str]:
    """Versions that served before the present champion was promoted, newest first.

    Entries that brought the champion back by a rollback do not count as its promotion.
    """
    changes = ledger.champion_changes()
    serving = changes[0].champion_after if changes else None
    promoted = False
    for entry in changes:
        promoted = promoted or (entry.champion_after == serving and entry.decision == Verb.PROMOTE)
        if promoted and entry.champion_before not in {None, serving}:
            yield str(entry.champion_before)
