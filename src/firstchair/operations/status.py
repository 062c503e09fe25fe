"""`firstchair status`: who plays first chair, since when and why; how fresh it all is; what is wrong."""

from dataclasses import dataclass
from datetime import date

from firstchair import events, promotion
from firstchair.lake import is_simulated
from firstchair.lake import tables as t
from firstchair.operations.alerts import Alert, open_alerts
from firstchair.operations.platform import Platform


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """Roles from the registry and the ledger, newest day of each table, what was refused or skipped, alerts.

    simulated: some accepted event is, so none of it is of a real service.
    """

    roles: promotion.Status
    events_until: date | None
    features_as_of: date | None
    lists_as_of: date | None
    refused: events.Refused | None
    skipped: events.Skipped | None
    alerts: tuple[Alert, ...]
    simulated: bool


def status(platform: Platform) -> PlatformStatus:
    """Read the state of the platform; nothing is changed."""
    newest = {
        table: max(platform.lake.partitions(table), default=None)
        for table in (t.EVENTS, t.USER_FEATURES, t.RECOMMENDATIONS)
    }
    return PlatformStatus(
        roles=promotion.status(platform.registry, platform.ledger),
        events_until=newest[t.EVENTS],
        features_as_of=newest[t.USER_FEATURES],
        lists_as_of=newest[t.RECOMMENDATIONS],
        refused=events.refused(platform.lake),
        skipped=events.skipped(platform.lake),
        alerts=open_alerts(platform),
        simulated=is_simulated(platform.lake),
    )
