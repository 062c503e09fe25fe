"""`firstchair status`: roles, running and waiting work, freshness, alerts."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from firstchair import events
from firstchair.definitions.checks import Check
from firstchair.lake import is_simulated
from firstchair.lake import tables as t
from firstchair.platform.activity import stage_plan, waiting_candidates, waiting_sentence
from firstchair.platform.alerts import Alert, alerts_of, watch
from firstchair.platform.platform import Platform
from firstchair.platform.start import settled_at
from firstchair.platform.work import Work, at_work
from firstchair.promotion import Version
from firstchair.promotion.status import Status
from firstchair.promotion.status import status as roles_of

if TYPE_CHECKING:
    from dagster_project.execution import UnderWay


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """Roles, newest day of each table, refused or skipped records, checks, alerts, work.

    work: what writes the tables now; None if nothing does. runs: Dagster runs that wait or work.
    waiting: the newest candidates, while a stage with traffic keeps the gate from judging them.
    waiting_for: a sentence about them and what they wait for; empty without any. stage_plan: the
    effect that a stage could detect; empty during a stage and before the first plan. starts_at:
    when retraining and the daily build may start after the first start of a home; None if that is
    past. simulated: whether any accepted event is simulated; then the platform serves no real
    users.
    """

    roles: Status
    events_until: date | None
    features_as_of: date | None
    lists_as_of: date | None
    refused: events.Refused | None
    skipped: events.Skipped | None
    checks: tuple[Check, ...]
    alerts: tuple[Alert, ...]
    work: Work | None
    runs: "tuple[UnderWay, ...]"
    waiting: tuple[Version, ...]
    waiting_for: str
    stage_plan: str
    starts_at: datetime | None
    simulated: bool


def status(platform: Platform) -> PlatformStatus:
    """Read the state of the platform; nothing is changed."""
    from dagster_project.execution import run_checks, runs_under_way
    from dagster_project.instance import open_instance

    instance = open_instance(platform.settings)
    newest = {
        table: max(platform.lake.partitions(table), default=None)
        for table in (t.EVENTS, t.USER_FEATURES, t.RECOMMENDATIONS)
    }
    checks, waiting = (
        watch(platform, run_checks(instance, now=platform.now)),
        waiting_candidates(platform),
    )
    return PlatformStatus(
        roles=roles_of(platform.registry, platform.ledger),
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
