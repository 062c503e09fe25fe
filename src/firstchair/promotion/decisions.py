"""A day's decisions: the entry in the ledger first, the alias second, each idempotent."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from firstchair.databases import advisory_lock
from firstchair.definitions.families import CONTENDERS
from firstchair.events import blocked_days
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.models import POPULARITY, Family
from firstchair.promotion.candidates import families_decided_on, needed_families
from firstchair.promotion.challengers import (
    challengers_of_the_day,
    evaluate_challengers,
    evaluate_first_champion,
    first_versions,
    is_evaluated,
    measure_serving,
)
from firstchair.promotion.context import (
    EXPERIMENT,
    FIRST_CHAMPION,
    REFRESH,
    DecisionContext,
    Origin,
    StageTransition,
    pinned,
    write,
)
from firstchair.promotion.exposure import Span
from firstchair.promotion.kinds import Verb
from firstchair.promotion.ledger import Entry, Ledger
from firstchair.promotion.live import bring_back, evaluate_stage, not_shown, shown_in
from firstchair.promotion.protocol import challenger_after, reconcile_aliases
from firstchair.promotion.reasons import Reason
from firstchair.promotion.refits import evaluate_refit, measure_refit
from firstchair.promotion.registry import Registry
from firstchair.promotion.rollbacks import rollback_target
from firstchair.promotion.rules import GateRules
from firstchair.promotion.stage_planning import plan_stage
from firstchair.promotion.stages import REMOVED, Phase

LOCK = "firstchair promotion"


@dataclass(frozen=True, slots=True)
class Deciding:
    """The result of a day: its entries, champion and challenger after them, the running stage."""

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
    rules: GateRules,
    salt: str,
    holdout_share: float,
    actor: str = "run",
    run_id: str | None = None,
    tick_id: str | None = None,
) -> Deciding:
    """Decide the day: on the stage with traffic where one is under way, else on versions.

    While a stage with traffic is running, its two versions are frozen, and the day's versions wait
    as candidates. Otherwise a refit of the champion's family from an earlier day is compared with
    the serving version, and then the day's challengers are. If no stage is running, the plan of one
    that would begin today is written first (gold/stage_plan).

    No entry is written for a day before the last decided one, for a day that was decided on the
    same data, and for a day with bad records until they are corrected. A first champion is made
    even on bad records.

    Args:
        lake: The tables.
        registry: Versions and aliases.
        ledger: Where the entries go.
        as_of: The day; nothing at or after it is used.
        now: When the decision is made.
        rules: Rules of the gate.
        salt: Salt of the platform's arms.
        holdout_share: Share of users, 0..1, who stay on the baseline for good.
        actor: Who decides.
        run_id: The Dagster run, if there is one.
        tick_id: The tick of the sensor that asked for it, if there is one.

    Raises:
        EvidenceError: The versions or the evidence of the day are not complete.
        LedgerError: The ledger cannot be written; no alias moves.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        reconcile_aliases(registry, ledger, now=now)
        last = ledger.last()
        origin = Origin(now, actor, run_id, tick_id)
        day = _Day(lake, registry, ledger, as_of, rules, salt, holdout_share, origin)
        if last is None or (last.as_of <= as_of and not _is_blocked(lake, as_of)):
            day.decide()
        return day.outcome()


@dataclass(frozen=True, slots=True)
class _Day:
    """The decisions of one day, one after another."""

    lake: Lake
    registry: Registry
    ledger: Ledger
    as_of: date
    rules: GateRules
    salt: str
    holdout_share: float
    origin: Origin

    def decide(self) -> None:
        context = self._context(pinned(self.lake))
        if (phase := context.phase) is not None:
            if (transition := self._of_stage(context, phase)) is not None:
                write(context, self.ledger, transition, self.origin)
        elif not any(entry.evidence["kind"] == EXPERIMENT for entry in context.entries):
            self._plan()
            self._champion(context)
            self._challengers()

    def _of_stage(self, context: DecisionContext, phase: Phase) -> StageTransition | None:
        """The transition of the running stage, by what was served and what can be served.

        The next step of the ramp begins only if the challenger was served, and a rollback brings
        back a version that is there.
        """
        found = evaluate_stage(context, phase)
        if found is None:
            return None
        if Reason.RAMP_CLEAR in found.reason_codes:
            shown = shown_in(context.lake, phase, before=self.as_of)
            over = found.findings["days"] >= self.rules.live.max_days
            return found if shown.enough else not_shown(found, phase, shown, over=over)
        if found.decision == Verb.ROLL_BACK and not self._is_there(found.champion_after):
            return bring_back(found, phase, rollback_target(self.registry, self.ledger))
        return found

    def _is_there(self, version: str | None) -> bool:
        return version is not None and self.registry.find(version) is not None

    def _context(self, lake: Lake) -> DecisionContext:
        """The inputs of the next decision, with every table pinned at its present version."""
        return DecisionContext(
            lake=lake,
            registry=self.registry,
            past=tuple(self.ledger.entries()),
            as_of=self.as_of,
            rules=self.rules,
            salt=self.salt,
            holdout_share=self.holdout_share,
        )

    def _champion(self, context: DecisionContext) -> None:
        """Make a first champion, or compare a refit with the serving version once a day."""
        serving = context.champion()
        if serving is None:
            transition = evaluate_first_champion(context, first_versions(context))
            write(context, self.ledger, transition, self.origin)
            return
        if any(_changes_champion(entry) for entry in context.entries):
            return
        stages = self.ledger.stages()
        refit = measure_refit(
            self.lake,
            self.registry,
            serving,
            as_of=self.as_of,
            rules=self.rules,
            removed={version for version, stage in stages.items() if stage in REMOVED},
        )
        if refit is not None:
            context = replace(context, lake=pinned(self.lake))
            transition = evaluate_refit(context, serving, refit)
            write(context, self.ledger, transition, self.origin)

    def _challengers(self) -> None:
        """Compare the day's challengers with the serving version, unless a refit is in canary."""
        context = self._context(pinned(self.lake))
        serving = context.champion()
        if serving is None or context.phase is not None:
            return
        challengers = challengers_of_the_day(context, serving)
        if not challengers:
            return
        if measure_serving(self.lake, self.registry, serving, as_of=self.as_of):
            context = replace(context, lake=pinned(self.lake))
        recipe = context.of_the_day(serving.family)
        for transition in evaluate_challengers(context, serving, challengers, recipe=recipe):
            entry = write(context, self.ledger, transition, self.origin)
            context = replace(context, past=(entry, *context.past))

    def _plan(self) -> None:
        """Write the plan of a stage that would begin today; nothing is decided by it."""
        plan_stage(
            self.lake,
            as_of=self.as_of,
            salt=self.salt,
            holdout_share=self.holdout_share,
            rules=self.rules.live,
        )

    def outcome(self) -> Deciding:
        context = self._context(self.lake)
        last, phase = context.last, context.phase
        return Deciding(
            as_of=self.as_of,
            entries=context.entries,
            champion=None if last is None else last.champion_after,
            challenger=None if last is None else challenger_after(last),
            decision=", ".join(entry.decision for entry in context.entries) or self._why_none(),
            reasons=" ".join(reason for entry in context.entries for reason in entry.reasons),
            stage="no stage with traffic"
            if phase is None
            else f"{phase.stage} at {phase.share:.0%}",
        )

    def _why_none(self) -> str:
        if _is_blocked(self.lake, self.as_of):
            return "none: the day's records are bad"
        last = self.ledger.last()
        later = last is not None and last.as_of > self.as_of
        return "none: a later day is decided already" if later else "none: nothing new is known"


def _changes_champion(entry: Entry) -> bool:
    kinds = {FIRST_CHAMPION, REFRESH}
    return entry.evidence["kind"] in kinds and entry.decision == Verb.PROMOTE


def restore_aliases(registry: Registry, ledger: Ledger, *, now: datetime) -> bool:
    """Correct the aliases by the ledger; return whether any had to be corrected.

    Lists are made and published by alias, so this is done before, and an alias that somebody moved
    has no effect on users.

    Raises:
        LedgerError, ModelError: The ledger or the registry does not answer.
    """
    with advisory_lock(ledger.url, LOCK, wait=True):
        return reconcile_aliases(registry, ledger, now=now)


def undecided(
    lake: Lake, registry: Registry, ledger: Ledger, contenders: Sequence[Family] = CONTENDERS
) -> list[date]:
    """Days without an entry that have all that a decision reads, ascending.

    That is all needed versions and their evidence of the day. While a stage with traffic is running
    the stage's newest evidence is enough: a rollback does not wait for models.

    Args:
        lake: The tables.
        registry: Versions.
        ledger: The entries so far.
        contenders: Families that may challenge.
    """
    needed = needed_families(registry, ledger, contenders)
    decided_on = families_decided_on(registry, ledger, contenders)
    last = ledger.last()
    staged = _staged(lake, None if last is None else last.phase)
    measured = {*lake.partitions(t.OFFLINE_EVIDENCE), *lake.partitions(t.TRAINING_EVIDENCE)}
    days = [day for day in sorted(measured | staged) if last is None or day >= last.as_of]
    days = [day for day in days if last is None or not _is_blocked(lake, day)]
    complete = (
        day
        for day in days
        if day in staged or _is_complete(lake, registry, day, needed, decided_on)
    )
    return [day for day in complete if not _is_decided(registry, ledger, day, contenders)]


def _staged(lake: Lake, phase: Phase | None) -> set[date]:
    """The newest day on which a running stage has evidence of the day before, if there is one.

    Earlier days would be decided on less, and what follows from them is not served any more.
    """
    if phase is None:
        return set()
    days = (day + timedelta(days=1) for day in lake.partitions(t.EVIDENCE)[-1:])
    return {day for day in days if day > phase.first_day}


def _is_blocked(lake: Lake, as_of: date) -> bool:
    """Whether the newest day that a decision would use has bad records."""
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


def _is_complete(
    lake: Lake, registry: Registry, as_of: date, needed: Set[Family], decided_on: Set[Family]
) -> bool:
    """Whether all needed families have a version and evidence of the day.

    Those that may serve have it of all test users, as plain popularity always has.
    """
    families = {version.family for version in registry.versions(as_of=as_of)}
    tested = _measured(lake, t.OFFLINE_EVIDENCE, as_of)
    # A day without test users has evidence of the training days alone.
    evidence = tested or _measured(lake, t.TRAINING_EVIDENCE, as_of)
    return (
        families >= needed
        and evidence.keys() >= {*needed, POPULARITY}
        and all(tested[family] == tested[POPULARITY] for family in decided_on)
    )


def _measured(lake: Lake, kept: t.Table, as_of: date) -> Counter[str]:
    """How many users each family was measured on."""
    with connect() as connection:
        counted = connection.execute(
            f"select family, count(*) from {lake.scan(kept)} "
            f"where as_of = date '{as_of}' group by all"
        ).fetchall()
    return Counter(dict(counted))


def _is_decided(
    registry: Registry, ledger: Ledger, as_of: date, contenders: Sequence[Family]
) -> bool:
    entries = [entry for entry in ledger.entries() if entry.as_of == as_of]
    phase = ledger.phases()[-1][1] if entries else None
    if any(entry.evidence["kind"] == EXPERIMENT for entry in entries):
        return True
    if phase is not None and phase.first_day >= as_of:
        return True
    if not entries or entries[0].champion_after is None:
        return False
    serving = registry.version(entries[0].champion_after).family
    newest = {version.family: version for version in registry.versions(as_of=as_of)}
    return all(is_evaluated(entries, newest[family]) for family in contenders if family != serving)
