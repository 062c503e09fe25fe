"""What failed on a day, read from the tables, and the account that did most of it."""

from datetime import date
from functools import lru_cache
from typing import Any

from firstchair.definitions.bounds import HOUR_MS
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

# Measures of gold/data_quality about accounts.
IMPOSSIBLE, BUSY = "impossible_listening", "busy_accounts"


def quality_of(lake: Lake, first: date, last: date) -> list[dict[str, Any]]:
    """The failing figures of the days `first` to `last` (both included), by day."""
    where = f"fails and event_date between date '{first}' and date '{last}'"
    rows = lake.read(t.DATA_QUALITY, where).sort_by(
        [("event_date", "ascending"), ("measure", "ascending")]
    )
    return list(rows.to_pylist())


def busiest_account(lake: Lake, measure: str, day: date) -> tuple[str, str] | None:
    """The account with the most implausible activity of a day.

    Args:
        lake: The tables.
        measure: `impossible_listening` or `busy_accounts`.
        day: The day.

    Returns:
        The account's `user_key`, and its activity in words; None if silver/events has no event of
        the day. It is read anew only where the table has a new version.
    """
    return _busiest(lake, measure, day, lake.version(t.EVENTS))


@lru_cache(maxsize=32)
def _busiest(lake: Lake, measure: str, day: date, _version: int | None) -> tuple[str, str] | None:
    by = "ms" if measure == IMPOSSIBLE else "actions"
    with connect() as connection:
        connection.execute(accounts_sql(lake, day, day))
        row = connection.execute(
            "select user_key, ms, plays, actions from accounts "
            f"order by {by} desc, user_key limit 1"
        ).fetchone()
    if row is None:
        return None
    key, ms, plays, actions = row
    if measure == IMPOSSIBLE:
        return key, f"{ms / HOUR_MS:,.0f} hours in {plays:,} plays"
    return key, f"{actions:,} actions"


def accounts_sql(lake: Lake, first: date, last: date) -> str:
    """SQL that makes the view `accounts`: activity of each account on each of the days."""
    return f"""
        create temp view accounts as
        select event_date as day, user_key,
               coalesce(sum(ms_played) filter (event_type = 'play'), 0) as ms,
               count(*) filter (event_type = 'play') as plays,
               count(*) filter (event_type not in ('play', 'impression')) as actions
        from {lake.scan(t.EVENTS)}
        where event_date between date '{first}' and date '{last}' group by all;
    """
