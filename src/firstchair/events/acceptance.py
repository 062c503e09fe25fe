"""Bronze to silver: events that pass the suite and refer to known rows; others to quarantine.

A user, artist or track is known if the source has it or had it once, so that a day that is built
again keeps its events, whatever has left the source since.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from firstchair.errors import LakeError
from firstchair.events.calendar import quarantined, set_aside_strays
from firstchair.events.personal import without_shapes
from firstchair.events.reconciliation import sequence_gaps
from firstchair.events.summaries import repeated_numbers
from firstchair.lake import Lake, connect, known_artists, known_tracks, known_users
from firstchair.lake import tables as t
from firstchair.validation import may_fail, validate

if TYPE_CHECKING:
    import pandas as pd

SUITE = "events"
CHECKED = (
    *("event_type", "source_seq", "position", "propensity", "ms_played"),
    *("taken_sequence_number", "unknown_user", "unknown_artist", "unknown_track"),
)
# Whole days are taken together up to so many events. It bounds memory, 0.8 GiB beside 1.4 GiB for
# two million, which take as long; the outcome does not depend on it.
ROWS_AT_ONCE = 500_000
# Delivered after the end of the day that follows, an event is late.
ON_TIME_DAYS = 2


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What stands in silver/events for the days built.

    rows: accepted events; landed: events of those days in bronze; quarantined: refused ones by
    reason.
    late: landed events that were ingested after the end of the day that follows theirs.
    users: distinct users. gaps: missing sequence numbers by source, over all history.
    """

    rows: int
    landed: int
    quarantined: dict[str, int]
    late: int
    users: int
    gaps: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Every landed event is accepted or in quarantine."""
        return self.landed == self.rows + sum(self.quarantined.values())


def build_events(lake: Lake, first: date, last: date) -> EventsReport:
    """Replace the partitions `first` to `last` (both included) by those days' accepted events.

    The same tables result from one call over a range and from one call a day. Stray days
    (`firstchair.events.calendar`) are in quarantine whole and are none of the days built.

    Raises:
        LakeError: Users or catalogue were never read; nothing is written.
    """
    _require(lake)
    if (span := set_aside_strays(lake)) is not None:
        first, last = max(first, span[0]), min(last, span[1])
    reasons: Counter[str] = Counter()
    landed = 0
    for start, end in _stretches(lake, first, last):
        refused, count = _build(lake, start, end)
        reasons.update(refused)
        landed += count
    rows, users, late = _counted(lake, first, last)
    return EventsReport(rows, landed, dict(reasons), late, users, sequence_gaps(lake))


def _stretches(lake: Lake, first: date, last: date) -> Iterator[tuple[date, date]]:
    """First and last day of each batch, together all days from `first` to `last`."""
    if first > last:
        return
    counts = lake.partition_rows(t.BRONZE_EVENTS)
    start, held = first, 0
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        if day > start and held + counts.get(day, 0) > ROWS_AT_ONCE:
            yield start, day - timedelta(days=1)
            start, held = day, 0
        held += counts.get(day, 0)
    yield start, last


def _require(lake: Lake) -> None:
    missing = [
        table.name for table in (t.USERS, t.ARTISTS, t.TRACKS) if lake.snapshot(table) is None
    ]
    if missing:
        raise LakeError(
            f"{', '.join(missing)} was never written, so no event can be checked against it.",
            where=lake.url,
            data="Nothing was written; the events wait in bronze.",
            remedy="Materialise users and catalogue first; `firstchair run` does.",
        )


def days_judged_otherwise(lake: Lake, days: Sequence[date]) -> list[date]:
    """Those of the days, ascending, whose refused events would be others if they were built now.

    Users, catalogue or rules may have changed since they were built. Nothing is written.

    Raises:
        LakeError: Users or catalogue were never read.
    """
    if not days:
        return []
    _require(lake)
    otherwise: set[date] = set()
    for first, last in _stretches(lake, min(days), max(days)):
        if any(first <= day <= last for day in days):
            otherwise |= _differing(lake, _judged(lake, first, last).refused, _stretch(first, last))
    return sorted(otherwise.intersection(days))


def _differing(lake: Lake, refused: pa.Table, stretch: str) -> set[date]:
    """Days on which these events are not those that quarantine/events holds of a stretch."""
    columns = "object_url, line, reason, detail, event_date"
    with connect() as connection:
        connection.register("now", refused)
        rows = connection.execute(f"""
            with known as (select {columns} from {lake.scan(t.QUARANTINE_EVENTS)}
                where batch_id is null and {stretch}),
            judged as (select {columns} from now)
            select event_date from (
                (from known except from judged) union all (from judged except from known))
        """).fetchall()
    return {day for (day,) in rows}


class _Judged(NamedTuple):
    """Landed events of some days: rows of silver/events, of quarantine/events, and their count."""

    accepted: pa.Table
    refused: pa.Table
    landed: int


def _judged(lake: Lake, first: date, last: date) -> _Judged:
    """What becomes of the landed events of a stretch of days; nothing is written."""
    landed = f"(select * from {lake.scan(t.BRONZE_EVENTS)} where {_stretch(first, last)})"
    order = "order by event_date, source, source_seq, event_id"
    with connect() as connection:
        connection.execute(_taken(lake))
        suspects = connection.sql(
            f"select event_id, {', '.join(CHECKED)} from {_checked(lake, landed)} "
            f"where {may_fail(SUITE, CHECKED)} {order}"
        ).df()
        connection.register("refusals", _refusals(suspects))
        columns = quarantined("reason", "detail")
        refused = connection.sql(
            f"select {columns} from {landed} join refusals using (event_id) {order}"
        ).to_arrow_table()
        names = ", ".join(t.EVENTS.schema.names)
        accepted = connection.sql(
            f"select {names} from {landed} anti join refusals using (event_id) {order}"
        ).to_arrow_table()
    return _Judged(accepted, refused, accepted.num_rows + refused.num_rows)


def _build(lake: Lake, first: date, last: date) -> tuple[list[str], int]:
    """Write one stretch of days; the reasons of its refusals, and how many events had landed."""
    found = _judged(lake, first, last)
    of_days = f"batch_id is null and {_stretch(first, last)}"
    lake.replace_where(t.QUARANTINE_EVENTS, found.refused, of_days)
    lake.replace_range(t.EVENTS, found.accepted, first, last)
    return found.refused.column("reason").to_pylist(), found.landed


def _stretch(first: date, last: date) -> str:
    """Predicate (SQL of the engine and of Delta) of the days from `first` to `last`."""
    return f"event_date >= '{first}' and event_date <= '{last}'"


def _taken(lake: Lake) -> str:
    """SQL of `taken`: sequence numbers of several events, and the event that had each first."""
    bronze = lake.scan(t.BRONZE_EVENTS, only=repeated_numbers(lake))
    return f"""
        create temp table taken as
        select source, source_seq, arg_min(event_id, (ingested_at, object_url, line)) as event_id
        from {bronze} semi join (
            select source, source_seq from {bronze} group by all having count(*) > 1)
        using (source, source_seq) group by all
    """


def _checked(lake: Lake, landed: str) -> str:
    """SQL of landed events with what the suite looks at."""
    return f"""(
        select b.*,
               case when k.event_id <> b.event_id then b.source || ' ' || b.source_seq end
                   as taken_sequence_number,
               case when u.user_key is null then b.user_key end as unknown_user,
               case when a.artist_id is null then b.artist_id end as unknown_artist,
               case when s.track_id is null then b.track_id end as unknown_track
        from {landed} b
        left join taken k on k.source = b.source and k.source_seq = b.source_seq
        left join (select user_key from {known_users(lake)}) u on u.user_key = b.user_key
        left join {known_artists(lake)} a on a.artist_id = b.artist_id
        left join {known_tracks(lake)} s on s.track_id = b.track_id)
    """


def _refusals(suspects: "pd.DataFrame") -> pa.Table:
    """The first failure of each event that has one: event_id, reason, detail."""
    events, first = suspects["event_id"].tolist(), dict[int, Any]()
    if events:
        for failure in validate(suspects, SUITE).failures:
            first.setdefault(failure.row, failure)
    return pa.table(
        {
            "event_id": pa.array([events[row] for row in first], pa.string()),
            "reason": pa.array([failure.reason for failure in first.values()], pa.string()),
            "detail": pa.array(
                [without_shapes(failure.detail) for failure in first.values()], pa.string()
            ),
        }
    )


def _counted(lake: Lake, first: date, last: date) -> tuple[int, int, int]:
    days = f"event_date between date '{first}' and date '{last}'"
    late = f"ingested_at >= event_date + interval {ON_TIME_DAYS} day"
    with connect() as connection:
        rows, users = connection.execute(
            f"select count(*), count(distinct user_key) from {lake.scan(t.EVENTS)} where {days}"
        ).fetchall()[0]
    return rows, users, lake.count(t.BRONZE_EVENTS, f"{days} and {late}")
