"""Refused records tried again, after code, catalogue or accounts were mended.

A record that was refused when it was parsed is read again from its object, at its line; `raw` in
quarantine/events is masked, and stands in for an object that is gone only where nothing that is
judged or kept of an event was masked.
An event that its day's validation refused is in bronze/events: its day is put back among those that
wait to be built, if the event would be judged otherwise now.

A call that is killed is completed by the next one, or by the next ingestion: what is about to be
changed is noted in bronze/objects first (`REPLAYING`), and each step after that is one commit.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from firstchair.events.acceptance import days_judged_otherwise
from firstchair.events.clock import require_clock
from firstchair.events.masking import is_whole
from firstchair.events.settling import (
    DONE,
    REPLAYING,
    named,
    settle_replays,
    undo_dead_batches,
)
from firstchair.events.shares import open_records
from firstchair.events.staging import Chunk, Staged, stage
from firstchair.events.vocabulary import ERASED
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import EventStore, ObjectState, Record, Tombstones, user_key

# Objects whose records are tried together: bounds memory, and the length of a predicate.
OBJECTS_AT_ONCE = 200
PLACE = ["object_url", "line"]
_BY_PLACE = [(name, "ascending") for name in PLACE]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Records that stay in quarantine because their object does not give them any more.

    gone: of objects that the store has no more, or out of which an erasure took them. changed: of
    objects that were written again, or whose records begin on other lines, since they were read.
    first: name of the first such object.
    """

    gone: int = 0
    changed: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried again.

    places: object_url and line, one row a record. unreadable: those of them that could not be read.
    days: days that wait to be built now because of these records, ascending.
    """

    places: pa.Table
    unreadable: Unreadable
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of records: accepted, duplicates, quarantined by reason.

    waiting: accepted by ingestion, of a day that is not built yet, such as today.
    """

    accepted: int
    duplicates: int
    quarantined: dict[str, int] = field(default_factory=dict)
    waiting: int = 0


def replay_quarantine(
    lake: Lake,
    *,
    events_url: str,
    pseudonym_key: bytes,
    now: datetime,
    reason: str | None = None,
    day: date | None = None,
    storage_options: Mapping[str, Any] | None = None,
    tombstones: Tombstones | None = None,
    mapping: EventMapping | None = None,
    extra_fields: Collection[str] = (),
) -> Tried:
    """Try the records in quarantine/events again, those of one reason or of one day if given.

    The day of a record is that of its event, as `firstchair.events.shares` has it. Records set
    aside for a stray day are left: they come back by themselves. A second call changes nothing.

    Args:
        lake: The tables; users and catalogue as they are now.
        events_url: The event store.
        pseudonym_key: Secret of the pseudonyms.
        now: The instant of ingestion.
        reason: A code of `Reason`.
        day: A day (UTC).
        storage_options: What the store's filesystem wants besides its URL.
        tombstones: Users whose records are refused as `unknown_user`.
        mapping: How records of another form are read.
        extra_fields: Names of fields beyond the contract's whose values are kept.

    Raises:
        RunError: The clock is behind the newest event; nothing was read.
        SourceError: The store cannot be reached; what was tried before stays.
        LakeError: The lake cannot be read or written.
    """
    require_clock(lake, now)
    undo_dead_batches(lake)
    chosen = _chosen(lake, reason, day)
    before = lake.partition_rows(t.BRONZE_EVENTS)
    store = EventStore(events_url, storage_options or {})
    unreadable = _Replay(lake, store, pseudonym_key, now, tombstones, mapping, extra_fields).of(
        chosen.filter(pc.field("unparsed"))
    )
    landed = chosen.filter(~pc.field("unparsed")).column("day").unique().to_pylist()
    otherwise = days_judged_otherwise(lake, sorted(landed))
    if otherwise:
        days = ", ".join(f"'{day}'" for day in otherwise)
        lake.delete(t.QUARANTINE_EVENTS, f"batch_id is null and event_date in ({days})")
    after = lake.partition_rows(t.BRONZE_EVENTS)
    grown = {day for day, rows in after.items() if rows != before.get(day)}
    return Tried(chosen.select(PLACE), unreadable, tuple(sorted(grown | {*otherwise})))


def fates(lake: Lake, places: pa.Table) -> Fates:
    """What became of the records at these places (object_url, line), each of which was read."""
    with connect() as connection:
        connection.register("places", places)
        rows = connection.execute(f"""
            with landed as (
                select object_url, line, event_id, event_date
                from {lake.scan(t.BRONZE_EVENTS)} semi join places using (object_url, line)),
            built as (
                select event_id from {lake.scan(t.EVENTS)}
                where event_date in (select event_date from landed)
                    and event_id in (select event_id from landed))
            select case when q.reason is not null then q.reason
                        when l.event_id is null then '{_DUPLICATE}'
                        when b.event_id is null then '{_WAITING}' else '{_ACCEPTED}' end as fate,
                   count(*)
            from places left join landed l using (object_url, line)
            left join {lake.scan(t.QUARANTINE_EVENTS)} q using (object_url, line)
            left join built b on b.event_id = l.event_id
            group by fate order by fate
        """).fetchall()
    found = dict(rows)
    accepted, duplicates, waiting = (
        found.pop(fate, 0) for fate in (_ACCEPTED, _DUPLICATE, _WAITING)
    )
    return Fates(accepted, duplicates, found, waiting)


# No codes of `Reason`.
_ACCEPTED, _DUPLICATE, _WAITING = "", " duplicate", " waiting"


def _chosen(lake: Lake, reason: str | None, day: date | None) -> pa.Table:
    """Refused records: object_url, line, unparsed, day; those of stray days are none of them."""
    wanted = ["not set_aside"]
    wanted += [f"reason = '{reason}'"] if reason is not None else []
    wanted += [f"day = date '{day}'"] if day is not None else []
    with connect() as connection:
        open_records(connection, lake)
        return connection.sql(
            "select object_url, line, unparsed, day from refused "
            f"where {' and '.join(wanted)} order by object_url, line"
        ).to_arrow_table()


class _Replay:
    """One call: the present store, and what is known of objects from when they were read."""

    def __init__(
        self,
        lake: Lake,
        store: EventStore,
        key: bytes,
        now: datetime,
        tombstones: Tombstones | None,
        mapping: EventMapping | None,
        extra_fields: Collection[str],
    ) -> None:
        self.lake, self.store, self.key, self.now = lake, store, key, now
        self.tombstones, self.mapping, self.extra_fields = tombstones, mapping, extra_fields

    def of(self, places: pa.Table) -> Unreadable:
        """Try the records at these places again; those that cannot be read any more."""
        lines: dict[str, set[int]] = {}
        for place in places.to_pylist():
            lines.setdefault(place["object_url"], set()).add(place["line"])
        states = self.store.states() if lines else {}
        found = Unreadable()
        names = iter(sorted(lines))
        while some := list(islice(names, OBJECTS_AT_ONCE)):
            found = _added(found, self._try({name: lines[name] for name in some}, states))
        return found

    def _try(self, lines: Mapping[str, set[int]], states: Mapping[str, ObjectState]) -> Unreadable:
        """Try some objects' records: from the objects, or from quarantine where they are gone."""
        known = _known(self.lake, list(lines))
        read = {name: self._read(name, lines[name], known[name], states) for name in lines}
        sound = {name: found for name, found in read.items() if isinstance(found, _Reading)}
        chunk = [(name, record) for name, found in sound.items() for record in found.records]
        staged = stage(
            self.lake,
            chunk,
            pseudonymise=self._user_key,
            now=self.now,
            tombstones=self.tombstones,
            mapping=self.mapping,
            extra_fields=self.extra_fields,
        )
        self._write(known, chunk, staged, staged.refused, sound)
        faulty = {name: found for name, found in read.items() if isinstance(found, str)}
        lost = {name: found.missing for name, found in sound.items() if found.missing}
        erased = Unreadable(gone=sum(lost.values()), first=min(lost, default=""))
        return _added(self._from_quarantine(known, lines, faulty), erased)

    def _user_key(self, user_id: str) -> str:
        return user_key(user_id, self.key)

    def _read(
        self, name: str, wanted: set[int], known: "_Known", states: Mapping[str, ObjectState]
    ) -> "_Reading | str":
        """The wanted records of an object, or why it does not give them any more."""
        if name not in states:
            return "gone"
        if known.versions and states[name].version not in known.versions:
            return "changed"
        records, sizes, number, size = [], {}, 0, 0
        for record in self.store.records(name):
            number, size = number + 1, size + record.size
            if record.line in known.refused:
                sizes[record.line] = record.size
            if record.line in wanted:
                records.append(record)
        missing = len(wanted) - len(records)
        if states[name].version not in known.rewritten and (number != known.records or missing):
            return "changed"
        return _Reading(records, sizes, size, states[name].size, missing)

    def _from_quarantine(
        self, known: Mapping[str, "_Known"], lines: Mapping[str, set[int]], faulty: dict[str, str]
    ) -> Unreadable:
        """Try what quarantine holds whole of the objects that cannot be read; what is left then."""
        if not faulty:
            return Unreadable()
        rows = self.lake.read(t.QUARANTINE_EVENTS, f"batch_id is not null and {named([*faulty])}")
        chunk = [
            (row["object_url"], Record(row["line"], row["raw"]))
            for row in rows.to_pylist()
            # Only under the contract's names are the account keys in `raw` sure to be pseudonyms.
            if self.mapping is None
            and row["line"] in lines[row["object_url"]]
            and is_whole(row["raw"], self.extra_fields)
        ]
        staged = stage(self.lake, chunk, pseudonymise=lambda user: user, now=self.now)
        refused = set(zip(*staged.refused.select(PLACE).to_pydict().values(), strict=True))
        mended = [(name, r) for name, r in chunk if (name, r.line) not in refused]
        self._write(known, mended, staged, staged.refused.slice(0, 0), {})
        tried = Counter(name for name, _ in chunk)
        left = Counter(
            {
                cause: sum(len(lines[n]) - tried[n] for n in faulty if faulty[n] == cause)
                for cause in ("gone", "changed")
            }
        )
        first = next((name for name in sorted(faulty) if len(lines[name]) > tried[name]), "")
        return Unreadable(left["gone"], left["changed"], first)

    def _write(
        self,
        known: Mapping[str, "_Known"],
        chunk: Chunk,
        staged: Staged,
        refused: pa.Table,
        readings: Mapping[str, "_Reading"],
    ) -> None:
        """Write what became of the records of a chunk; nothing where nothing changed.

        Args:
            known: Of the objects.
            chunk: The records that were tried.
            staged: What became of them.
            refused: Those that are refused again, columns `REFUSED`.
            readings: Of the objects that were read whole.
        """
        names = sorted({name for name, _ in chunk})
        if not names:
            return
        of_names = f"batch_id is not null and {named(names)}"
        before = self.lake.read(t.QUARANTINE_EVENTS, of_names).sort_by(_BY_PLACE)
        after = self._quarantine(before, chunk, refused)
        if after.equals(before):
            return
        self.lake.append(t.OBJECTS, self._notes(known, names, staged))
        if readings:
            sizes = _sizes(known, readings, after)
            self.lake.replace_where(t.OBJECT_SIZES, sizes, named([*readings]))
        if staged.accepted.num_rows:
            self.lake.append(t.BRONZE_EVENTS, self._landed(known, staged.accepted))
        self.lake.replace_where(t.QUARANTINE_EVENTS, after, of_names)
        settle_replays(self.lake)

    def _quarantine(self, before: pa.Table, chunk: Chunk, refused: pa.Table) -> pa.Table:
        """Rows of quarantine/events in the place of `before`, by object and line.

        A record that is refused for the same reason keeps the instant of its first refusal.
        """
        tried = pa.table(
            {
                "object_url": pa.array([name for name, _ in chunk], pa.string()),
                "line": pa.array([record.line for _, record in chunk], pa.int64()),
            }
        )
        with connect() as connection:
            for name, table in (("b", before), ("tried", tried), ("again", refused)):
                connection.register(name, table)
            rows = connection.sql(f"""
                select {", ".join(t.QUARANTINE_EVENTS.schema.names)} from b
                anti join tried using (object_url, line)
                union all
                select a.object_url, a.line, a.reason, a.detail, a.raw,
                       case when a.reason = b.reason then b.quarantined_at
                            else timestamptz '{self.now.isoformat()}' end,
                       a.event_id, a.source, a.source_seq, b.event_date, b.batch_id
                from again a join b using (object_url, line)
                order by object_url, line
                """).to_arrow_table()
        return rows.cast(t.QUARANTINE_EVENTS.schema)

    def _notes(
        self, known: Mapping[str, "_Known"], names: Sequence[str], staged: Staged
    ) -> pa.Table:
        """Rows of bronze/objects that say what is about to change."""
        counts = {name: staged.fates.get(name, (0, 0, 0)) for name in names}
        rows = [
            {
                "batch_id": known[name].batch_id,
                "object_url": name,
                "status": REPLAYING,
                "records": 0,
                "accepted": accepted,
                "duplicates": duplicates,
                "conflicting_duplicates": conflicts,
                "quarantined": 0,
                "ingested_at": self.now,
            }
            for name, (accepted, duplicates, conflicts) in counts.items()
        ]
        return pa.Table.from_pylist(rows, schema=t.OBJECTS.schema)

    def _landed(self, known: Mapping[str, "_Known"], accepted: pa.Table) -> pa.Table:
        batches = [known[name].batch_id for name in accepted.column("object_url").to_pylist()]
        return accepted.append_column("batch_id", pa.array(batches, pa.string())).append_column(
            "ingested_at", pa.array([self.now] * len(batches), t.UTC_INSTANT)
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the tables say of an object that was read.

    records: how many it had. refused: lines of those that are in quarantine. versions: what the
    store said of it when it was read; empty where that was not noted. rewritten: those of them that
    an erasure wrote, without a user's records and with all others on their lines.
    """

    batch_id: str
    records: int
    refused: frozenset[int]
    versions: frozenset[str]
    rewritten: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Reading:
    """The wanted records of an object, bytes of its refused ones by line, and bytes of all.

    stored: bytes of the object in the store. missing: wanted records that an erasure took out.
    """

    records: list[Record]
    sizes: dict[int, int]
    size: int
    stored: int
    missing: int


def _known(lake: Lake, names: Sequence[str]) -> dict[str, _Known]:
    with connect() as connection:
        rows = connection.execute(f"""
            with q as (select object_url, list(line) as lines from {lake.scan(t.QUARANTINE_EVENTS)}
                where batch_id is not null and {named(names)} group by object_url),
            v as (select object_url, list(store_version) as versions,
                    list(store_version) filter (batch_id = '{ERASED}') as rewritten
                from {lake.scan(t.OBJECT_VERSIONS)} where was_read and {named(names)}
                group by object_url)
            select object_url, batch_id, records, lines, versions, rewritten
            from {lake.scan(t.OBJECTS)} left join q using (object_url)
            left join v using (object_url) where status = '{DONE}' and {named(names)}
        """).fetchall()
    return {
        name: _Known(batch_id, records, *(frozenset(some or ()) for some in of_object))
        for name, batch_id, records, *of_object in rows
    }


def _sizes(
    known: Mapping[str, _Known], readings: Mapping[str, _Reading], after: pa.Table
) -> pa.Table:
    """Rows of bronze/object_sizes, with the bytes of the records that are refused now."""
    refused = Counter[str]()
    for row in after.select(PLACE).to_pylist():
        name = row["object_url"]
        if name in readings:
            refused[name] += readings[name].sizes.get(row["line"], 0)
    rows = [
        {
            "batch_id": known[name].batch_id,
            "object_url": name,
            "bytes": found.stored,
            "bytes_refused": round(found.stored * refused[name] / max(1, found.size)),
        }
        for name, found in readings.items()
    ]
    return pa.Table.from_pylist(rows, schema=t.OBJECT_SIZES.schema)


def _added(a: Unreadable, b: Unreadable) -> Unreadable:
    return Unreadable(a.gone + b.gone, a.changed + b.changed, a.first or b.first)
