"""The history of events with accounts and catalogue, and its cut by `as_of`."""

from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import ibis
import ibis.expr.types as ir

from firstchair.lake import Definition, DuckDBEngine, Engine, unread
from firstchair.lake import tables as lake_tables

# In the order of `History`.
TABLES = (lake_tables.EVENTS, lake_tables.USERS, lake_tables.ARTISTS, lake_tables.TRACKS)
# A definition takes a day as a date, or as an expression.
Day: TypeAlias = date | ir.DateScalar


@dataclass(frozen=True, slots=True)
class History:
    """The Ibis tables of one engine from which features are computed.

    events: silver/events, one row per accepted event, all days; a merged artist is the one it was
        merged into.
    users, artists, tracks: silver/users, silver/artists, silver/tracks as they are now. Accounts
        and catalogue are not versioned, so only events are cut by `as_of`.
    """

    events: ir.Table
    users: ir.Table
    artists: ir.Table
    tracks: ir.Table


def open_history(engine: DuckDBEngine) -> History:
    """Open the history over the present versions of the lake; a missing table has no rows."""
    return History(*map(engine.table, TABLES))


def open_views(engine: Engine) -> None:
    """Make the tables of a history views of the engine, for `over_history`."""
    for table in TABLES:
        engine.open(table)


def over_history(definition: Definition, **given: Any) -> ir.Table:
    """Rows of a definition over the views of the history, for `Engine.rows` and `statement`.

    >>> from firstchair.features import interactions
    >>> from firstchair.lake import statement
    >>> "silver_events" in statement(over_history, definition=interactions, as_of=date(2026, 1, 9))
    True
    """
    return definition(History(*map(unread, TABLES)), **given)


def before(events: ir.Table, as_of: Day) -> ir.Table:
    """Events with occurred_at < `as_of` 00:00 UTC; every feature reads events through this.

    The condition on `occurred_at` decides; that on `event_date` lets the engine skip partitions.
    """
    return events.filter(events.event_date < as_day(as_of), events.occurred_at < midnight(as_of))


def as_day(day: Day) -> ir.DateScalar:
    """The day as an expression."""
    return ibis.literal(day) if isinstance(day, date) else day


def days_before(day: Day, count: int) -> ir.DateScalar:
    """The day that lies `count` days before `day`."""
    return (as_day(day) - ibis.interval(days=count)).cast("date")


def midnight(day: Day) -> ir.TimestampScalar:
    """`day` 00:00 UTC as an instant of an engine whose session is in UTC."""
    return as_day(day).cast("timestamp('UTC')")


def whole_days(since: ir.TimestampColumn, as_of: Day) -> ir.IntegerColumn:
    """Whole days of 24 hours from `since` to `as_of` 00:00 UTC; negative if `since` is later."""
    # By the calendar, as `epoch_seconds` keeps the fraction on DuckDB alone (Ibis 12.0).
    instant = since.cast("timestamp")
    after_midnight = instant > instant.date().cast("timestamp")
    return as_day(as_of).delta(instant.date(), unit="day") - after_midnight.cast("int64")
