"""A day's decisions: the entry in the ledger first, the alias second, each harmless to repeat."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from firstchair.databases import advisory_lock
from firstchair.evaluation import POPULARITY
from firstchair.events import blocked_days
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.promotion.exposure import Span
from firstchair.promotion.gate import Rule
from firstchair.promotion.ledger import Entry, Ledger
from firstchair.promotion.live import look
from firstchair.promotion.protocol import challenger_after, reconcile_aliases
from firstchair.promotion.registry import Registry
from firstchair.promotion.shadow import CONTENDERS, challenge, is_heard, seat
from firstchair.promotion.table import TRIAL, StageSettings, Table

LOCK = "firstchair promotion"


@dataclass(frozen=True, slots=True)
class Deciding:
    """What a day came to: its entries, who sits and who challenges after them, and the stage under way."""

    as_of: date
    entries: tuple[Entry, ...]
    champion: str | None
    challenger: str | None
    decision: str
    reasons: str
    stage: str


def decide(
    lake: Lake,
    registry: Registry,
    ledger: Ledger,
    *,
    as_of: date,
    now: datetime,
    rule: Rule,
    stages: StageSettings | None = None,
    actor: str = "run",
    run_id: str | None = None,
    tick_id: str | None = None,
) -> Deciding:
    """Decide the day: on the stage with traffic where one is under way, else on the day's versions.

    While a stage with traffic is under way its two versions are frozen: the day's versions are candidates and wait.
    Otherwise the champion's family is refreshed, then the other contenders are heard. A day before the last decided
    one is left alone, one whose records are bad waits until they are mended (only an empty chair is filled on them),
    and one decided on the same data keeps its entries.

    Raises:
        EvidenceError: The versions or the evidence of the day are not complete.
        LedgerError: The ledger cannot be written; no alias moves.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        reconcile_aliases(registry, ledger, now=now)
        settings = stages or StageSettings()
        table = Table(lake, registry, ledger, as_of, now, rule, settings, actor, run_id, tick_id)
        last = ledger.last()
        if last is None or (last.as_of <= as_of and not _is_blocked(lake, as_of)):
            _decide(table)
        return _outcome(table)


def _decide(table: Table) -> None:
    if (phase := table.phase()) is not None:
        look(table, phase)
    elif not any(entry.evidence["kind"] == TRIAL for entry in table.entries()):
        seat(table)
        challenge(table)


def undecided(lake: Lake, registry: Registry, ledger: Ledger) -> list[date]:
    """Days with versions of all families and complete evidence that have no entry yet, ascending."""
    last = ledger.last()
    days = [day for day in lake.partitions(t.OFFLINE_EVIDENCE) if last is None or day >= last.as_of]
    days = [day for day in days if last is None or not _is_blocked(lake, day)]
    return [day for day in days if _is_complete(lake, registry, day) and not _is_decided(registry, ledger, day)]


def _is_blocked(lake: Lake, as_of: date) -> bool:
    """Whether the newest day that a decision would use is one that nothing may rest on."""
    newest = as_of - timedelta(days=1)
    return bool(blocked_days(lake, newest, newest))


def spans(ledger: Ledger) -> list[Span]:
    """Every stage with traffic so far, oldest first, each with its last day of evidence."""
    found: list[Span] = []
    for as_of, phase in ledger.phases():
        if found and found[-1].last_day is None and found[-1].phase != phase:
            found[-1] = Span(found[-1].phase, as_of - timedelta(days=1))
        if phase is not None and (not found or found[-1].phase != phase):
            found.append(Span(phase, None))
    return found


def _is_complete(lake: Lake, registry: Registry, as_of: date) -> bool:
    families = {version.family for version in registry.versions(as_of=as_of)}
    evidence = set(lake.read(t.OFFLINE_EVIDENCE, f"as_of = date '{as_of}'").column("family").to_pylist())
    return families >= set(Family) and evidence >= {*Family, POPULARITY}


def _is_decided(registry: Registry, ledger: Ledger, as_of: date) -> bool:
    entries = [entry for entry in ledger.entries() if entry.as_of == as_of]
    phase = ledger.phases()[-1][1] if entries else None
    if any(e.evidence["kind"] == TRIAL for e in entries) or (phase is not None and phase.first_day >= as_of):
        return True
    if not entries or entries[0].champion_after is None:
        return False
    seated = registry.version(entries[0].champion_after).family
    newest = {version.family: version for version in registry.versions(as_of=as_of)}
    return all(is_heard(entries, newest[family]) for family in CONTENDERS if family != seated)


def _why_none(table: Table) -> str:
    bad = _is_blocked(table.lake, table.as_of)
    return "none: the day's records are bad" if bad else "none: a later day is decided already"


def _outcome(table: Table) -> Deciding:
    entries, last = tuple(table.entries()), table.last()
    phase = table.phase()
    return Deciding(
        as_of=table.as_of,
        entries=entries,
        champion=None if last is None else last.champion_after,
        challenger=None if last is None else challenger_after(last),
        decision=", ".join(entry.decision for entry in entries) or _why_none(table),
        reasons=" ".join(reason for entry in entries for reason in entry.reasons),
        stage="no stage with traffic" if phase is None else f"{phase.stage} at {phase.share:.0%}",
    )
