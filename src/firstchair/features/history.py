"""What was known when: the history of events with accounts and catalogue, and the one cut by `as_of`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import ibis
import ibis.expr.types as ir

from firstchair.lake import Engine
from firstchair.lake import tables as lake_tables


@dataclass(frozen=True, slots=True)
class History:
    """The Ibis tables of one engine that features are made of.

    events: silver/events, one row per accepted event, all days; a merged artist is the one it was
        merged into.
    users, artists, tracks: silver/users, silver/artists, silver/tracks as they stand now. Accounts and
        catalogue are not versioned, so only events are cut by `as_of`.
    """

    events: ir.Table
    users: ir.Table
    artists: ir.Table
    tracks: ir.Table


def open_history(engine: Engine) -> History:
    """The history over the present snapshots of the engine's lake; a missing table has no rows."""
    return History(
        events=engine.table(lake_tables.EVENTS),
        users=engine.table(lake_tables.USERS),
        artists=engine.table(lake_tables.ARTISTS),
        tracks=engine.table(lake_tables.TRACKS),
    )


def before(events: ir.Table, as_of: date) -> ir.Table:
    """The events with occurred_at < `as_of` 00:00 UTC: the only way any feature reads events.

    The condition on `event_date` lets the engine skip whole partitions; the one on `occurred_at` is what counts.
    """
    return events.filter(events.event_date < ibis.literal(as_of), events.occurred_at < midnight(as_of))


def midnight(day: date) -> ir.TimestampScalar:
    """`day` 00:00 UTC as an instant of the engine."""
    return ibis.literal(datetime.combine(day, time.min, tzinfo=UTC), type="timestamp('UTC')")


def whole_days(since: ir.TimestampColumn, as_of: date) -> ir.IntegerColumn:
    """Whole days of 24 hours from `since` to `as_of` 00:00 UTC; negative where `since` is later."""
    seconds = int(datetime.combine(as_of, time.min, tzinfo=UTC).timestamp())
    return ((seconds - since.epoch_seconds()) / 86_400).floor().cast("int64")
