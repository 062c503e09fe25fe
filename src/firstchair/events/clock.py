"""The clock of this machine, held against the newest event that was read before."""

from datetime import datetime

import pyarrow as pa

from firstchair.errors import RunError
from firstchair.events.calendar import event_days, quarantined
from firstchair.events.parsing import CLOCK_SKEW
from firstchair.events.vocabulary import Reason
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t


def require_clock(lake: Lake, now: datetime) -> None:
    """Raise if the clock stands behind the newest event; nothing is read from a source before.

    Ingestion accepts nothing that is more than `CLOCK_SKEW` ahead of its clock. Events further
    ahead than that were read under another clock, and under this one sound events would be refused
    as `future_timestamp`. Events of stray days (`firstchair.events.calendar`) say nothing of it.

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
    later = lake.count(t.BRONZE_EVENTS, _after(now))
    raise RunError(
        f"The clock says {now:%Y-%m-%d %H:%M} UTC, which is {behind:,.1f} hours before the newest "
        f"event, {newest:%Y-%m-%d %H:%M} UTC; {later:,} of "
        f"{lake.count(t.BRONZE_EVENTS):,} events lie after it.",
        where="clock of this machine",
        data="Nothing was read or written; if the clock is behind, sound events would be refused.",
        remedy="Compare the clock with another one (`timedatectl` shows whether it is "
        "synchronised). If it is behind, set it and run again. If it is right, it was ahead when "
        "these events were read: `firstchair run --clock-is-right` refuses them.",
    )


def refuse_later_events(lake: Lake, now: datetime) -> int:
    """Refuse the landed events after a clock that is right, as ingestion would have done under it.

    They leave bronze/events and silver/events for quarantine/events (`future_timestamp`), from
    which `replay_quarantine` brings back those whose time has come. It is idempotent, and completes
    what a killed call began.

    Args:
        lake: The tables.
        now: What the clock says; events up to `CLOCK_SKEW` after it stay.

    Returns:
        How many events were refused.

    Raises:
        LakeError: The lake cannot be read or written.
    """
    later = _after(now)
    refused = _refused(lake, now, later)
    if not refused.num_rows:
        return 0
    _drop_validated(lake, refused, f"event_date >= '{(now + CLOCK_SKEW).date()}'")
    with connect() as connection:
        connection.register("refused", refused)
        new = connection.sql(
            f"select * from refused anti join {lake.scan(t.QUARANTINE_EVENTS)} "
            "using (object_url, line)"
        ).to_arrow_table()
    if new.num_rows:
        lake.append(t.QUARANTINE_EVENTS, new)
    lake.delete(t.EVENTS, later)
    # Last, so that a call that is killed finds them again.
    lake.delete(t.BRONZE_EVENTS, later)
    return int(refused.num_rows)


def _newest(lake: Lake) -> datetime | None:
    """When the newest event of the history occurred; None before any."""
    days = event_days(lake)
    if days is None:
        return None
    with connect() as connection:
        row = connection.execute(
            f"select max(occurred_at) from {lake.scan(t.BRONZE_EVENTS)} "
            f"where event_date = date '{days[1]}'"
        ).fetchone()
    return None if row is None else row[0]


def _after(now: datetime) -> str:
    """Predicate (SQL of the engine and of Delta) of events that this clock would not accept."""
    limit = now + CLOCK_SKEW
    return f"event_date >= '{limit.date()}' and occurred_at > '{limit.isoformat()}'"


def _refused(lake: Lake, now: datetime, later: str) -> pa.Table:
    """Rows of quarantine/events for the landed events that `later` (SQL) names."""
    detail = f"'occurred_at lies after the clock, {now:%Y-%m-%d %H:%M} UTC, that was set right'"
    columns = quarantined(f"'{Reason.FUTURE_TIMESTAMP}'", detail)
    with connect() as connection:
        return (
            connection.sql(f"""
                with later as (select * from {lake.scan(t.BRONZE_EVENTS)} where {later})
                select q.* replace (
                    '{now.isoformat()}'::timestamptz as quarantined_at, l.batch_id as batch_id)
                from (select {columns} from later) q join later l using (event_id)
                order by q.event_date, q.source, q.source_seq, q.event_id
            """)
            .to_arrow_table()
            .cast(t.QUARANTINE_EVENTS.schema)
        )


def _drop_validated(lake: Lake, refused: pa.Table, of_days: str) -> None:
    """Take out what the validation of their day, or a stray day, had refused of these events."""
    before = lake.read(t.QUARANTINE_EVENTS, f"batch_id is null and {of_days}")
    with connect() as connection:
        connection.register("before", before)
        connection.register("refused", refused)
        kept = connection.sql(
            "select * from before anti join refused using (event_id)"
        ).to_arrow_table()
    if kept.num_rows < before.num_rows:
        lake.replace_where(t.QUARANTINE_EVENTS, kept, f"batch_id is null and {of_days}")
