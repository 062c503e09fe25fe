"""How much of a day was refused and never delivered again, which decides if it may be used.

A record's day is that of its event. Where it was refused before that was known, it is the day that
most events of its object are of, else the day it was read.

A refused record is lost until it is delivered again: until an event with its `event_id` is accepted
or, where it has none that could be read, for as long as fewer records of its day have come since
than were refused in that way. Over all days objects and bytes are counted too: an object is lost
where it has no event and none of its records came again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import duckdb

from firstchair.definitions.loss import loss
from firstchair.errors import DataError
from firstchair.events.calendar import SET_ASIDE, events_by_day
from firstchair.events.known_ids import KnownIds
from firstchair.events.reconciliation import refused
from firstchair.events.summaries import landed_objects, summary
from firstchair.events.vocabulary import IS_ERASED
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

ONE_DAY = timedelta(days=1)
# What `lost_before` reads.
READ = (t.OBJECTS, t.OBJECT_SIZES, t.BRONZE_EVENTS, t.QUARANTINE_EVENTS)
REFUSED_REMEDY = (
    "Where the fault was in the catalogue, the accounts or here, mend it and run `firstchair "
    "replay-quarantine`. Else correct the records (docs/operating.md says what each reason means), "
    "deliver them in objects with new names, since an object is read once, then run "
    "`firstchair run`."
)


@dataclass(frozen=True, slots=True)
class Lost:
    """Records of some days with their objects and bytes, and how much of each was lost."""

    records: int
    lost: int
    objects: int = 0
    lost_objects: int = 0
    size: int = 0
    lost_size: int = 0

    @property
    def share(self) -> float:
        """The largest share that is lost, 0..1: see `definitions.loss`."""
        return loss(
            records=(self.lost, self.records),
            objects=(self.lost_objects, self.objects),
            size=(self.lost_size, self.size),
        )

    def sentence(self, whose: str) -> str:
        """What was lost of the days called `whose`, in words."""
        more = ""
        if self.lost_objects or self.lost_size:
            bytes_lost = self.lost_size / self.size if self.size else 0.0
            more = (
                f", with {self.lost_objects:,} of {self.objects:,} objects and {bytes_lost:.0%} "
                "of all bytes,"
            )
        return (
            f"{self.lost:,} of {self.records:,} records of {whose}{more} were refused "
            "and not accepted since"
        )


def lost_before(lake: Lake, as_of: date) -> tuple[Lost, Lost]:
    """What was lost of the last day before `as_of` (records alone), and of all days before it.

    Read anew only where a table has a new version.
    """
    return _lost_before(lake, as_of, tuple(map(lake.version, READ)))


@lru_cache(maxsize=8)
def _lost_before(lake: Lake, as_of: date, _versions: tuple[int, ...]) -> tuple[Lost, Lost]:
    landed = events_by_day(lake)
    with connect() as connection:
        open_records(connection, lake)
        rows = connection.execute(
            f"""
            select coalesce(sum(records) filter (day = date '{as_of - ONE_DAY}'), 0)::bigint,
                   coalesce(sum(lost) filter (day = date '{as_of - ONE_DAY}'), 0)::bigint,
                   coalesce(sum(records), 0)::bigint, coalesce(sum(lost), 0)::bigint
            from (select unnest($days) as day, unnest($counts) as records, 0 as lost
                  union all select day, unparsed::int, lost::int from refused)
            where day < date '{as_of}'
            """,
            {"days": [*landed], "counts": [*landed.values()]},
        ).fetchone()
        objects = connection.execute(
            f"""
            with lost as (
                select object_url, count(*) as refused, count(*) filter (lost) as lost,
                       max(day) as day
                from refused where unparsed group by object_url)
            select count(*), count(*) filter (bytes_refused > 0 and lost.lost = objects.records),
                   coalesce(sum(bytes), 0)::bigint,
                   coalesce(sum(bytes_refused * lost.lost // lost.refused), 0)::bigint
            from {lake.scan(t.OBJECTS)} objects
            left join {lake.scan(t.OBJECT_SIZES)} using (batch_id, object_url)
            left join lost using (object_url)
            where status = 'done' and coalesce(lost.day < date '{as_of}', true)
            """
        ).fetchone()
    assert rows is not None
    assert objects is not None
    return Lost(*rows[:2]), Lost(*rows[2:], *objects)


def unusable(lake: Lake, *, as_of: date, limit: float) -> str | None:
    """Why nothing may be built from the days before `as_of`; None where it may.

    Args:
        lake: The tables.
        as_of: First day that is not used.
        limit: Greatest share that may be lost of the last day, and of all days, 0..1.
    """
    of_day, of_all = lost_before(lake, as_of)
    for found, whose in ((of_day, f"{as_of - ONE_DAY}"), (of_all, f"all days before {as_of}")):
        if found.share > limit:
            return f"{found.sentence(whose)}; at most {limit:.0%} may be missing."
    return None


def require_usable(lake: Lake, *, as_of: date, limit: float) -> None:
    """Nothing where the days before `as_of` may be built on, whoever asks and however often.

    Args:
        lake: The tables.
        as_of: First day that is not used.
        limit: As in `unusable`.

    Raises:
        DataError: More than `limit` is lost; nothing is written.
    """
    why = unusable(lake, as_of=as_of, limit=limit)
    if why is None:
        return
    found = refused(lake)
    reasons = "" if found is None else f" Over all history, {found.sentence()}"
    raise DataError(
        f"{why}{reasons}",
        where=t.QUARANTINE_EVENTS.name,
        data=f"Nothing was built as of {as_of}; earlier lists stay.",
        remedy=REFUSED_REMEDY,
    )


def open_records(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Make `landed` (a row an event) and `refused` (a row a refused record), each with its `day`.

    `refused.unparsed`: never landed. `refused.set_aside`: for its stray day, or for its forgotten
    user; nobody can deliver it again. `refused.lost`: not delivered again.
    """
    objects, others = landed_objects(lake)
    connection.register("landed_objects", objects)
    connection.register("landed_runs", summary(lake, t.BRONZE_EVENTS))
    connection.execute(f"""
        create temp view landed as
        select event_date as day, event_id, user_key, source, source_seq, object_url, ingested_at
        from {lake.scan(t.BRONZE_EVENTS)};
        create temp table refused as
        with of_object as (
            select object_url, first(event_date order by records desc, event_date) as day
            from (
                select object_url, event_date, records from landed_objects
                union all select object_url, event_date, count(*)
                from {lake.scan(t.BRONZE_EVENTS, only=others)} group by all)
            group by object_url),
        placed as (
            select q.*, coalesce(q.event_date, o.day, q.quarantined_at::date) as day,
                   q.batch_id is not null as unparsed,
                   unparsed and q.event_id is null and not {IS_ERASED} as nameless
            from {lake.scan(t.QUARANTINE_EVENTS)} q left join of_object o using (object_url)),
        again as (
            select distinct event_id from {lake.scan(t.BRONZE_EVENTS, only=_files_again(lake))}
            where event_id in (select event_id from placed where unparsed)),
        asked as (
            select day, max(quarantined_at) as since from placed where nameless group by day),
        since as (
            select asked.day, sum(records) as records
            from landed_runs join asked on asked.day = event_date
            where read_at > asked.since group by asked.day)
        select p.day, p.reason, p.source, p.source_seq, p.object_url, p.line, p.unparsed,
               {SET_ASIDE} or {IS_ERASED} as set_aside,
               case when set_aside then false
                    when not p.unparsed then true
                    when not p.nameless then a.event_id is null
                    else row_number() over (
                             partition by p.day, p.nameless order by p.object_url, p.line)
                         > coalesce(s.records, 0) end as lost
        from placed p left join again a using (event_id) left join since s on s.day = p.day;
    """)


def _files_again(lake: Lake) -> Sequence[str] | None:
    """Names of the files of bronze that may hold an event whose id was refused before; None: all.

    Few ids of refused records come again, and the ids are most of what bronze weighs.
    """
    if lake.index is None:
        return None
    refused_ids = lake.read(t.QUARANTINE_EVENTS, "batch_id is not null and event_id is not null")
    if not refused_ids.num_rows:
        return []
    return KnownIds(lake, lake.index).files_to_look_into(refused_ids.column("event_id"))
