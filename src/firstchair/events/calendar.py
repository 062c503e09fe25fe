"""The calendar: which days of events there are, and which of them are a stray clock's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

import pyarrow as pa

from firstchair.definitions import churn
from firstchair.events.vocabulary import Reason
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

# Days without any event that part a history.
SILENT_DAYS = 28
# What happens on a day is in the tables of so many days after it: in the base of a label of churn,
# and then in its horizon.
ECHO_DAYS = churn.BASE_DAYS + max(churn.HORIZONS_DAYS)
# A day apart from all others is stray where so little happened on it: as a share of all events, and
# of the events of a usual day.
STRAY_SHARE, STRAY_DAY_SHARE = 0.01, 0.1
# How the detail of a set-aside event begins, and its row in quarantine/events as SQL.
STRAY = "stray day"
# Records dated after their reading are told where they are more than this share of what was read.
MOST_FUTURE = 0.01
SET_ASIDE = f"(batch_id is null and reason = '{Reason.OUT_OF_RANGE}' and detail like '{STRAY}%')"

ONE_DAY = timedelta(days=1)
Days = list[date]


def calendar(events_of: Mapping[date, int]) -> tuple[date, date] | None:
    """First and last day of a history, stray days left out.

    Days between which at least `SILENT_DAYS` days are empty belong to different blocks. The largest
    block is the history. Those before it, or after it, are stray up to the last of them with which
    they hold under `STRAY_SHARE` of all events and on no day more than `STRAY_DAY_SHARE` of a usual
    day's, the median of the largest block: a clock that is years off sends a record or a few, while
    a service that pauses comes back with days of its size.

    Args:
        events_of: Events by day (UTC), each above 0.

    Returns:
        None where there is no event.

    >>> days = {date(2026, 1, 1) + timedelta(days=n): 1_000 for n in range(30)}
    >>> calendar(days | {date(2003, 5, 1): 3, date(2026, 11, 29): 40})
    (datetime.date(2026, 1, 1), datetime.date(2026, 1, 30))
    """
    if not events_of:
        return None
    blocks = _blocks(sorted(events_of))
    main = max(range(len(blocks)), key=lambda place: (_sum(events_of, blocks[place]), place))
    usual = median(events_of[day] for day in blocks[main])

    def stray(days: Days) -> bool:
        few = _sum(events_of, days) < STRAY_SHARE * sum(events_of.values())
        return few and max(events_of[day] for day in days) <= STRAY_DAY_SHARE * usual

    def together(some: list[Days]) -> Days:
        return [day for days in some for day in days]

    start = next((n for n in range(main, 0, -1) if stray(together(blocks[:n]))), 0)
    end = next(
        (n for n in range(main + 1, len(blocks)) if stray(together(blocks[n:]))), len(blocks)
    )
    return blocks[start][0], blocks[end - 1][-1]


def existing_days(events_of: Mapping[date, int], first: date, last: date) -> Days:
    """Days from `first` to `last` (both included) on which there is anything to build, ascending.

    They are the days with events and the `ECHO_DAYS` after each. On a later day of a pause every
    table is empty.

    Args:
        events_of: Events by day (UTC).
        first: First day.
        last: Last day.
    """
    existing = {day + n * ONE_DAY for day in events_of for n in range(ECHO_DAYS + 1)}
    return sorted(day for day in existing if first <= day <= last)


def events_by_day(lake: Lake) -> dict[date, int]:
    """Landed events by day (UTC), those of stray days included."""
    return lake.partition_rows(t.BRONZE_EVENTS)


def event_days(lake: Lake) -> tuple[date, date] | None:
    """First and last day (UTC) of the landed events by `calendar`; None where there are none."""
    return calendar(events_by_day(lake))


def days_to_build(lake: Lake, first: date, last: date) -> Days:
    """Days from `first` to `last` (both included) by `existing_days`, stray days not among them."""
    counts = events_by_day(lake)
    span = calendar(counts)
    if span is None:
        return []
    inside = {day: count for day, count in counts.items() if span[0] <= day <= span[1]}
    return existing_days(inside, first, last)


@dataclass(frozen=True, slots=True)
class StrayDays:
    """Events whose clock is off: set aside because their days are stray, or refused as future.

    events, days, first: What was set aside; `first` is None where nothing was.
    future: Records that were refused because they are dated after they were read.
    sources: Who sent any of them, ascending.
    """

    events: int
    days: int
    first: date | None
    future: int
    sources: tuple[str, ...]


def stray_days(lake: Lake, *, read_since: datetime) -> StrayDays | None:
    """Events long before the history or after their own reading, read from an instant on.

    None where there are none. Stray days after the history are no clock's fault for sure: somebody
    may use a service whose history has ended. Records dated after their reading are told from
    `MOST_FUTURE` of all that were read on: some device's clock is always off.
    """
    span = event_days(lake)
    before = "false" if span is None else f"{SET_ASIDE} and event_date < date '{span[0]}'"
    future = f"reason = '{Reason.FUTURE_TIMESTAMP}'"
    with connect() as connection:
        told = connection.execute(
            f"""
            with refused as (
                select * from {lake.scan(t.QUARANTINE_EVENTS)} where quarantined_at >= $since),
            read as (
                select sum(records) as records from {lake.scan(t.OBJECTS)}
                where ingested_at >= $since),
            future as (
                select * from refused where {future}
                and (select count(*) from refused where {future})
                    > {MOST_FUTURE} * (select records from read)),
            strays as (select * from refused where {before})
            select (select count(*) from strays), (select count(distinct event_date) from strays),
                   (select min(event_date) from strays), (select count(*) from future),
                   (select list(distinct source order by source) filter (source is not null)
                    from (from strays union all from future))
            """,
            {"since": read_since},
        ).fetchall()[0]
    stray, days, first, dated_later, sources = told
    if not stray and not dated_later:
        return None
    return StrayDays(stray, days, first, dated_later, tuple(sources or ()))


def set_aside_strays(lake: Lake) -> tuple[date, date] | None:
    """Put events of stray days into quarantine, and take out those that are stray no more.

    A day that is stray no more has landed events that are neither accepted nor refused, so it waits
    to be built (`stale_days`). Killed on its way, it is completed by the next call.

    Returns:
        `event_days`.

    Raises:
        LakeError: The lake cannot be read or written.
    """
    counts = events_by_day(lake)
    span = calendar(counts)
    if span is None:
        return None
    first, last = span
    outside = f"(event_date < '{first}' or event_date > '{last}')"
    strays = {day: count for day, count in counts.items() if not first <= day <= last}
    if strays.keys() & set(lake.partitions(t.EVENTS)):
        lake.delete(t.EVENTS, outside)
    if _set_aside(lake) != strays:
        lake.delete(t.QUARANTINE_EVENTS, f"{SET_ASIDE} and not {outside}")
        lake.replace_where(
            t.QUARANTINE_EVENTS, _refused(lake, outside), f"batch_id is null and {outside}"
        )
    return span


def _set_aside(lake: Lake) -> dict[date, int]:
    """Events in quarantine for their stray day, by day."""
    with connect() as connection:
        rows = connection.execute(
            f"select event_date, count(*) from {lake.scan(t.QUARANTINE_EVENTS)} "
            f"where {SET_ASIDE} group by event_date"
        ).fetchall()
    return dict(rows)


def _refused(lake: Lake, outside: str) -> pa.Table:
    """Rows of quarantine/events for the landed events of the days that `outside` (SQL) names."""
    detail = (
        f"'{STRAY}: ' || event_date || ' lies {SILENT_DAYS} days or more apart from all other "
        "days of events'"
    )
    columns = quarantined(f"'{Reason.OUT_OF_RANGE}'", detail)
    with connect() as connection:
        return connection.sql(
            f"select {columns} from {lake.scan(t.BRONZE_EVENTS)} where {outside} "
            "order by event_date, source, source_seq"
        ).to_arrow_table()


def quarantined(reason: str, detail: str) -> str:
    """Columns (SQL) of quarantine/events of a landed event.

    `raw` is rebuilt from the columns: the record itself was sound, and holds no account key any
    more.

    Args:
        reason: SQL of a code of `Reason`.
        detail: SQL of a text.
    """
    fields = ", ".join(f"'{name}': {name}" for name in t.EVENTS.schema.names)
    return f"""
        object_url, line, {reason} as reason, {detail} as detail,
        json_merge_patch('{{}}', to_json({{{fields}}}))::varchar as raw,
        ingested_at as quarantined_at, event_id, source, source_seq, event_date,
        null::varchar as batch_id"""


def _blocks(days: Days) -> list[Days]:
    """Ascending days in runs, between which at least `SILENT_DAYS` days are empty."""
    blocks = [[days[0]]]
    for day in days[1:]:
        if (day - blocks[-1][-1]).days > SILENT_DAYS:
            blocks.append([])
        blocks[-1].append(day)
    return blocks


def _sum(events_of: Mapping[date, int], days: Days) -> int:
    return sum(events_of[day] for day in days)
