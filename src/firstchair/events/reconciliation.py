"""What the tables say of themselves: each record's fate, gaps, days reached by late events."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from firstchair.events.calendar import event_days
from firstchair.events.summaries import summary
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.sources import SkippedObjects


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Counts over all history, each from the table that holds the records.

    read: records of all objects read. accepted: rows of silver/events. duplicates: repeated
    event_ids.
    quarantined: rows of quarantine/events by reason. gaps: missing sequence numbers by source.
    waiting: landed events whose day has not been built with them, such as those of today.
    """

    read: int
    accepted: int
    duplicates: int
    conflicting_duplicates: int
    quarantined: dict[str, int]
    gaps: dict[str, int]
    waiting: int = 0

    @property
    def accounted(self) -> int:
        """Records with a known fate, those that wait for their day to be built included."""
        return self.accepted + self.duplicates + sum(self.quarantined.values()) + self.waiting

    @property
    def balanced(self) -> bool:
        """Every record read has exactly one fate, or waits for its day to be built."""
        return self.read == self.accounted


def reconcile(lake: Lake) -> Reconciliation:
    """Count every record read by its fate."""
    with _counted(lake) as connection:
        read, duplicates, conflicts = connection.execute(
            "select coalesce(sum(records), 0)::bigint, coalesce(sum(duplicates), 0)::bigint, "
            f"coalesce(sum(conflicting_duplicates), 0)::bigint from {lake.scan(t.OBJECTS)} "
            "where status = 'done'"
        ).fetchall()[0]
        reasons = connection.execute(
            "select reason, sum(records)::bigint from refused "
            f"where {_whole(lake)} group by reason order by reason"
        ).fetchall()
        waiting = sum(day.events for day in _waiting(connection, lake))
        gaps = _gaps(connection)
    accepted = sum(lake.partition_rows(t.EVENTS).values())
    return Reconciliation(read, accepted, duplicates, conflicts, dict(reasons), gaps, waiting)


def changed_objects(lake: Lake) -> list[str]:
    """Names of the objects that were written again after they were read, ascending."""
    rows = lake.read(t.OBJECT_VERSIONS, "not was_read")
    return sorted(set(rows.column("object_url").to_pylist()))


@dataclass(frozen=True, slots=True)
class WaitingDay:
    """A day with landed events newer than its build, and when the last of them was read."""

    day: date
    events: int
    read_at: datetime


def waiting_days(lake: Lake) -> list[WaitingDay]:
    """Days that want building for events that have landed, ascending."""
    with _counted(lake) as connection:
        return _waiting(connection, lake)


def _waiting(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[WaitingDay]:
    rows = connection.execute(f"""
        select event_date, sum(records)::bigint, max(read_at) from (
            select event_date, records, read_at from landed where {_whole(lake)}
            union all select event_date, -records, null from built
        ) group by event_date having sum(records) > 0 order by event_date
    """).fetchall()
    return [WaitingDay(*row) for row in rows]


@contextmanager
def _counted(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with summaries, `landed` and `refused`, and `built`: what became of a day."""
    silver = lake.partition_rows(t.EVENTS)
    with connect() as connection:
        connection.register("landed", summary(lake, t.BRONZE_EVENTS))
        connection.register("refused", summary(lake, t.QUARANTINE_EVENTS))
        connection.execute(
            """
            create temp table built as
            select unnest($days)::date as event_date, unnest($counts)::bigint as records
            union all select event_date, records from refused where batch_id is null
            """,
            {"days": [*silver], "counts": [*silver.values()]},
        )
        yield connection


def _whole(lake: Lake) -> str:
    """SQL that leaves out the rows of a batch that is being read, or whose reading was killed."""
    started = f"select batch_id from {lake.scan(t.OBJECTS)} where status = 'started'"
    return f"(batch_id is null or batch_id not in ({started}))"


@dataclass(frozen=True, slots=True)
class RefusedReason:
    """How many records were refused for a reason, and the first: its object, line, detail."""

    reason: str
    records: int
    object_url: str
    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Records in quarantine over all history, of how many objects, and the most frequent reasons.

    read: records of all objects read. reasons: most frequent first.
    lost_objects: objects that are not empty and hold no event; of `objects_read`.
    refused_size: bytes of refused records; of `size`, the bytes of the objects.
    """

    read: int
    records: int
    objects: int
    reasons: tuple[RefusedReason, ...]
    objects_read: int = 0
    lost_objects: int = 0
    size: int = 0
    refused_size: int = 0

    def sentence(self) -> str:
        """All of it in words."""
        named = "; ".join(
            f"{r.records:,} {r.reason} (first: {r.object_url} line {r.line}: "
            f"{r.detail.rstrip('.')})"
            for r in self.reasons
        )
        objects = f"{self.objects:,} object{'' if self.objects == 1 else 's'}"
        counted = f"{self.records:,} of {self.read:,} records were refused, in {objects}: {named}."
        return counted + self._lost()

    def _lost(self) -> str:
        if not self.lost_objects:
            return ""
        share = self.refused_size / self.size if self.size else 0.0
        objects = f"{self.lost_objects:,} of {self.objects_read:,} objects"
        return f" Without a single event: {objects}; refused: {share:.0%} of all bytes."


def refused(lake: Lake, *, most: int = 3) -> Refused | None:
    """What was refused, with the `most` most frequent reasons; None where nothing was."""
    scan = lake.scan(t.QUARANTINE_EVENTS)
    with connect() as connection:
        read, objects_read, lost, size, refused_size = connection.execute(
            f"""
            select coalesce(sum(records), 0)::bigint, count(*),
                   count(*) filter (bytes_refused > 0 and quarantined = records),
                   coalesce(sum(bytes), 0)::bigint, coalesce(sum(bytes_refused), 0)::bigint
            from {lake.scan(t.OBJECTS)}
            left join {lake.scan(t.OBJECT_SIZES)} using (batch_id, object_url)
            where status = 'done'
            """
        ).fetchall()[0]
        records, objects = connection.execute(
            f"select count(*), count(distinct object_url) from {scan}"
        ).fetchall()[0]
        rows = connection.execute(
            f"""
            select reason, count(*), first(object_url order by object_url, line),
                   first(line order by object_url, line),
                   coalesce(first(detail order by object_url, line), '')
            from {scan} group by reason order by count(*) desc, reason limit {most}
            """
        ).fetchall()
    if not records:
        return None
    reasons = tuple(RefusedReason(*row) for row in rows)
    return Refused(read, records, objects, reasons, objects_read, lost, size, refused_size)


def refused_of(lake: Lake, sources: Sequence[str], *, read_since: datetime) -> dict[str, int]:
    """Records of some sources that are in quarantine, by reason, most frequent first.

    Args:
        lake: The tables.
        sources: Who sent the records.
        read_since: Only records read from this instant on.
    """
    with connect() as connection:
        rows = connection.execute(
            f"select reason, count(*) as records from {lake.scan(t.QUARANTINE_EVENTS)} "
            "where list_contains(?, source) and quarantined_at >= ? "
            "group by reason order by records desc, reason",
            [list(sources), read_since],
        ).fetchall()
    return dict(rows)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Objects that are not read because of how their names end; most of an ending first."""

    objects: int
    endings: tuple[SkippedObjects, ...]

    def sentence(self) -> str:
        """All of it in words, with the three most frequent endings."""
        named = "; ".join(
            f"{of.objects:,} ending in {of.ending or 'nothing'} (first: {of.first})"
            for of in self.endings[:3]
        )
        one = self.objects == 1
        return (
            f"{self.objects:,} object{'' if one else 's'} under the events URL "
            f"{'is' if one else 'are'} not read because of the name: {named}. Event objects end "
            "in .json, .jsonl or .ndjson, with .gz or .zst behind it where they are compressed."
        )


def skipped_of(endings: Iterable[SkippedObjects]) -> Skipped | None:
    """The endings as one report; None where there are none."""
    found = tuple(sorted(endings, key=lambda of: (-of.objects, of.ending)))
    return Skipped(sum(of.objects for of in found), found) if found else None


def skipped(lake: Lake) -> Skipped | None:
    """What the last reading skipped; None where nothing."""
    rows = lake.read(t.SKIPPED_OBJECTS).to_pylist()
    return skipped_of(
        SkippedObjects(row["ending"], row["objects"], row["bytes"], row["first"]) for row in rows
    )


def sequence_gaps(lake: Lake, *, before: date | None = None) -> dict[str, int]:
    """Numbers missing between each source's least and greatest; refused records count as seen.

    A source may number its records anywhere from 0 to 2^63 - 1.

    Args:
        lake: The tables.
        before: Only numbers up to the last one of an event before this day (UTC): what is missing
            among newer ones may still be under way.
    """
    with _counted(lake) as connection:
        return _gaps(connection, before)


def _gaps(connection: duckdb.DuckDBPyConnection, before: date | None = None) -> dict[str, int]:
    until = "true" if before is None else f"event_date < date '{before}'"
    rows = connection.execute(f"""
        with runs as (
            select source, first::hugeint as first, last::hugeint as last, event_date
            from (from landed union all from refused)),
        settled as (select source, max(last) as newest from runs where {until} group by source),
        cut as (
            select source, first, least(last, newest) as last
            from runs join settled using (source)
            where source is not null and first between 0 and newest),
        -- Of each run, what no run before it holds.
        added as (
            select source, first, last,
                   greatest(0, last - greatest(first, coalesce(max(last) over (
                       partition by source order by first, last
                       rows between unbounded preceding and 1 preceding) + 1, first)) + 1)
                       as numbers
            from cut)
        select source, max(last) - min(first) + 1 - sum(numbers)::hugeint
        from added group by source order by source
    """).fetchall()
    return dict(rows)


def stale_days(lake: Lake) -> list[date]:
    """Days with landed events neither accepted nor in quarantine, ascending: due to be built.

    Stray days are none of them, since building them changes nothing.
    """
    span = event_days(lake)
    with _counted(lake) as connection:
        rows = connection.execute("""
            select event_date from (
                select event_date, records from landed
                union all select event_date, -records from built
            ) group by event_date having sum(records) <> 0 order by event_date
        """).fetchall()
    return [] if span is None else [day for (day,) in rows if span[0] <= day <= span[1]]


def blocked_days(lake: Lake, first: date, last: date) -> list[date]:
    """Days from `first` to `last` (both included) whose records no decision may rest on, ascending.

    They are those that gold/data_quality says so of; rebuilt after the records were mended, a day
    is free again.
    """
    rows = lake.read(
        t.DATA_QUALITY, f"blocks and event_date between date '{first}' and date '{last}'"
    )
    return sorted(set(rows.column("event_date").to_pylist()))
