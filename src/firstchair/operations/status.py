"""`firstchair status`: roles, what is at work and what waits, how fresh it all is, what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from firstchair import events, promotion
from firstchair.definitions.checks import Check
from firstchair.lake import is_simulated
from firstchair.lake import tables as t
from firstchair.models import contenders
from firstchair.operations.alerts import Alert, alerts_of, watch
from firstchair.operations.platform import Platform
from firstchair.operations.start import settled_at
from firstchair.operations.work import Work, at_work

if TYPE_CHECKING:
    from dagster_project.execution import UnderWay


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """Roles, newest day of each table, what was refused or skipped, checks, alerts, work.

    work: what writes the tables now; None where nothing does. runs: Dagster runs that wait or work.
    waiting: the newest candidates, while a stage with traffic keeps the gate from judging them.
    waiting_for: the same in words, and what they wait for; empty where none does.
    stage_plan: what a stage would find; empty while one is under way, and before the first plan.
    starts_at: when retraining and the daily build may start after the first start of a home; None
    where that is past. simulated: some accepted event is, so none of it is of a real service.
    """

    roles: promotion.Status
    events_until: date | None
    features_as_of: date | None
    lists_as_of: date | None
    refused: events.Refused | None
    skipped: events.Skipped | None
    checks: tuple[Check, ...]
    alerts: tuple[Alert, ...]
    work: Work | None
    runs: "tuple[UnderWay, ...]"
    waiting: tuple[promotion.Version, ...]
    waiting_for: str
    stage_plan: str
    starts_at: datetime | None
    simulated: bool


def status(platform: Platform) -> PlatformStatus:
    """Read the state of the platform; nothing is changed."""
    from dagster_project.execution import runs_under_way
    from dagster_project.instance import open_instance

    instance = open_instance(platform.settings)
    newest = {
        table: max(platform.lake.partitions(table), default=None)
        for table in (t.EVENTS, t.USER_FEATURES, t.RECOMMENDATIONS)
    }
    checks, waiting = watch(platform, instance), waiting_candidates(platform)
    return PlatformStatus(
        roles=promotion.status(platform.registry, platform.ledger),
        events_until=newest[t.EVENTS],
        features_as_of=newest[t.USER_FEATURES],
        lists_as_of=newest[t.RECOMMENDATIONS],
        refused=events.refused(platform.lake),
        skipped=events.skipped(platform.lake),
        checks=checks,
        alerts=alerts_of(checks, platform),
        work=at_work(platform.databases.ledger),
        runs=runs_under_way(instance),
        waiting=waiting,
        waiting_for=waiting_sentence(waiting, platform.ledger.last()),
        stage_plan=stage_plan(platform),
        starts_at=settled_at(platform),
        simulated=is_simulated(platform.lake),
    )


def doing(platform: Platform) -> tuple[str, ...]:
    """What is at work and what waits, a sentence each, without asking Dagster."""
    work, until = at_work(platform.databases.ledger), settled_at(platform)
    found = (
        "" if work is None else work.sentence(),
        waiting_sentence(waiting_candidates(platform), platform.ledger.last()),
        "" if until is None else settling_sentence(until),
    )
    return tuple(filter(None, found))


def stage_plan(platform: Platform) -> str:
    """What a stage would find; empty while one is under way, and before the first plan."""
    last = platform.ledger.last()
    if last is not None and last.phase is not None:
        return ""
    found = promotion.newest_plan(platform.lake)
    return "" if found is None else found.sentence


def settling_sentence(until: datetime) -> str:
    """Until when nothing heavy begins after the first start of a home."""
    return (
        "First start of this home: retraining and the daily build do not begin by themselves "
        f"before {until:%Y-%m-%d %H:%M} UTC (settle_minutes)."
    )


def waiting_candidates(platform: Platform) -> tuple[promotion.Version, ...]:
    """The newest day's candidates while a stage with traffic is under way: its versions are frozen.

    Nothing is decided about them until it is over; none without a stage.
    """
    last = platform.ledger.last()
    if last is None or last.phase is None:
        return ()
    for day in reversed(platform.lake.partitions(t.USER_FEATURES)):
        found = platform.registry.versions(as_of=day)
        if found:
            frozen = {last.phase.on_trial, last.phase.standing}
            return tuple(
                version
                for version in found
                if version.version not in frozen
                and version.stage == promotion.Stage.CANDIDATE
                and version.family in contenders()
            )
    return ()


def waiting_sentence(versions: Sequence[promotion.Version], last: promotion.Entry | None) -> str:
    """Which candidates wait, and for what; empty where none does."""
    if not versions or last is None or last.phase is None:
        return ""
    named = ", ".join(f"{version.version} ({version.family})" for version in versions)
    waiting = "1 candidate waits" if len(versions) == 1 else f"{len(versions)} candidates wait"
    return (
        f"{waiting} (as of {versions[0].as_of}) until the {last.phase.stage} of version "
        f"{last.phase.on_trial} is over: {named}."
    )
