"""The clock of this machine, held against the newest event that was read before."""

from datetime import datetime

from firstchair.errors import RunError
from firstchair.events.parsing import CLOCK_SKEW
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t


def require_clock(lake: Lake, now: datetime) -> None:
    """Raise if the clock stands behind the newest event; nothing is read from a source before.

    Ingestion accepts nothing that is more than `CLOCK_SKEW` ahead of its clock. Events further
    ahead than that were read under another clock, and under this one sound events would be refused
    as `future_timestamp`.

    Args:
        lake: The tables.
        now: What the clock says.

    Raises:
        RunError: The clock is more than `CLOCK_SKEW` behind.
    """
    newest = _newest(lake)
    if newest is None or newest <= now + CLOCK_SKEW:
        return
    behind = (newest - now).total_seconds() / 3600
    raise RunError(
        f"The clock says {now:%Y-%m-%d %H:%M} UTC, which is {behind:,.1f} hours before the newest "
        f"event, {newest:%Y-%m-%d %H:%M} UTC.",
        where="clock of this machine",
        data="Nothing was read or written; under this clock sound events would be refused.",
        remedy="Set the clock (`timedatectl` shows whether it is synchronised), then run again.",
    )


def _newest(lake: Lake) -> datetime | None:
    """When the newest event in bronze/events occurred; None before any."""
    days = lake.partitions(t.BRONZE_EVENTS)
    if not days:
        return None
    with connect() as connection:
        row = connection.execute(
            f"select max(occurred_at) from {lake.scan(t.BRONZE_EVENTS)} "
            f"where event_date = date '{days[-1]}'"
        ).fetchone()
    return None if row is None else row[0]
