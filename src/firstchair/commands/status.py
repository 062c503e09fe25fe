"""`firstchair status`: roles, running and waiting work, freshness, alerts."""

from dataclasses import dataclass
from datetime import date, datetime

from firstchair import events
from firstchair.definitions.checks import Check
from firstchair.lake import is_simulated
from firstchair.lake import tables as t
from firstchair.platform.activity import stage_plan, waiting_candidates, waiting_sentence
from firstchair.platform.alerts import Alert, alerts_of, watch
from firstchair.platform.observed import UnderWay, last_observed
from firstchair.platform.platform import Platform
from firstchair.platform.start import settled_at
from firstchair.platform.work import Work, at_work
from firstchair.promotion import Version
from firstchair.promotion.status import Status
from firstchair.promotion.status import status as roles_of


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """Roles, newest day of each table, refused or skipped records, checks, alerts, work.

    work: what writes the tables now; None if nothing does. runs: Dagster runs that wait or work, as
    they were at `seen_at`, when Dagster and MLflow were last asked; None before the first time.
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
    runs: tuple[UnderWay, ...]
    seen_at: datetime | None
    waiting: tuple[Version, ...]
    waiting_for: str
    stage_plan: str
    starts_at: datetime | None
    simulated: bool


def status(platform: Platform) -> PlatformStatus:
    """Read the state of the platform; nothing is changed.

    Of Dagster and MLflow it says what was seen last; who had no look yet is told so.
    """
    newest = {
        table: max(platform.lake.partitions(table), default=None)
        for table in (t.EVENTS, t.USER_FEATURES, t.RECOMMENDATIONS)
    }
    seen, waiting = last_observed(platform), waiting_candidates(platform)
    checks = watch(platform, seen)
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
        runs=() if seen is None else seen.runs,
        seen_at=None if seen is None else seen.seen_at,
        waiting=waiting,
        waiting_for=waiting_sentence(waiting, platform.ledger.last()),
        stage_plan=stage_plan(platform),
        starts_at=settled_at(platform),
        simulated=is_simulated(platform.lake),
    )
