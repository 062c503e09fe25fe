"""New objects into bronze: each batch is noted at start and end; a dead one is undone first."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from firstchair.events.calendar import set_aside_strays
from firstchair.events.clock import require_clock
from firstchair.events.known_ids import KnownIds
from firstchair.events.plain import is_plain, never_plain
from firstchair.events.reconciliation import changed_objects
from firstchair.events.settling import DONE, STARTED, undo_dead_batches
from firstchair.events.staging import Staged, stage
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import (
    EventStore,
    ObjectState,
    SkippedObjects,
    Tombstones,
    in_batches,
    user_key,
)
from firstchair.sources.lines import Piece, joined

# A batch is what is undone and read again as one; its records are held a chunk at a time.
BATCH_OBJECTS = 2_000
BATCH_BYTES = 32 << 20
CHUNK_RECORDS = 200_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of the records of the objects read now.

    accepted: well-formed and first of their event_id; validation of their day follows.
    duplicates: same event_id as an event before; conflicting_duplicates: those with another body.
    quarantined: records refused, by reason. event_dates: UTC days that events were added to.
    changed: objects that were written again after they were read; what they hold now is not read.
    lost_objects: objects that are not empty and of which no record is an event, new or repeated.
    size: bytes of the objects; refused_size: the part of them that is of refused records.
    skipped: objects under the URL that are not read because of how their names end.
    balanced: read = accepted + duplicates + quarantined.
    """

    objects: int = 0
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicting_duplicates: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    event_dates: tuple[date, ...] = ()
    changed: tuple[str, ...] = ()
    lost_objects: int = 0
    size: int = 0
    refused_size: int = 0
    skipped: int = 0

    @property
    def balanced(self) -> bool:
        """Every record read has exactly one fate."""
        return self.read == self.accepted + self.duplicates + sum(self.quarantined.values())


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What all records of one ingestion share."""

    pseudonym_key: bytes
    now: datetime
    tombstones: Tombstones | None
    mapping: EventMapping | None
    extra_fields: Collection[str]
    known_ids: KnownIds | None
    pseudonyms: dict[str, str] = field(default_factory=dict)

    def user_key(self, user_id: str) -> str:
        """The pseudonym of an account, made once an ingestion."""
        if (known := self.pseudonyms.get(user_id)) is None:
            known = self.pseudonyms[user_id] = user_key(user_id, self.pseudonym_key)
        return known


def ingest(
    lake: Lake,
    *,
    events_url: str,
    pseudonym_key: bytes,
    now: datetime,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    tombstones: Tombstones | None = None,
    mapping: EventMapping | None = None,
    extra_fields: Collection[str] = (),
) -> IngestReport:
    """Read every object that no batch has read, once, into bronze/events and quarantine/events.

    Args:
        lake: Where the events go. Without an `index`, all of bronze is looked into for ids that
            come again (`firstchair.events.known_ids`).
        events_url: Any fsspec URL or plain path; objects in any depth below it.
        pseudonym_key: Secret of the pseudonyms.
        now: The instant of ingestion.
        storage_options: What the store's filesystem wants besides its URL.
        progress: Told of (objects read, objects to read) after each batch.
        tombstones: Users whose records are refused as `unknown_user`.
        mapping: How records of another form are read.
        extra_fields: Names of fields beyond the contract's whose values are kept.

    Raises:
        RunError: The clock is behind the newest event; nothing was read.
        SourceError: The store cannot be reached; batches that were done stay done.
        LakeError: The lake cannot be read or written.
    """
    require_clock(lake, now)
    undo_dead_batches(lake)
    store = EventStore(events_url, storage_options or {})
    listing = store.listing()
    states = listing.states
    _note_skipped(lake, listing.skipped)
    changed = _note_changed(lake, states)
    sizes = _unread(lake, states)
    known_ids = None if lake.index is None else KnownIds(lake, lake.index)
    stamp = _Stamp(pseudonym_key, now, tombstones, mapping, extra_fields, known_ids)
    report = IngestReport()
    for names in in_batches(sizes, most=BATCH_OBJECTS, most_bytes=BATCH_BYTES):
        _note_versions(lake, names, states)
        report = _added(report, _read(lake, store, names, states, stamp))
        if progress is not None:
            progress(report.objects, len(sizes))
    set_aside_strays(lake)
    return replace(report, changed=changed, skipped=sum(one.objects for one in listing.skipped))


def waiting(
    lake: Lake, *, events_url: str, storage_options: Mapping[str, Any] | None = None
) -> list[str]:
    """Names of the objects that no batch has read, ascending.

    Raises:
        SourceError: The store cannot be reached.
    """
    return list(_unread(lake, EventStore(events_url, storage_options or {}).states()))


def _done(lake: Lake) -> set[str]:
    return set(lake.read(t.OBJECTS, f"status = '{DONE}'").column("object_url").to_pylist())


def _unread(lake: Lake, states: Mapping[str, ObjectState]) -> dict[str, int]:
    done = _done(lake)
    return {name: state.size for name, state in states.items() if name not in done}


def _note_changed(lake: Lake, states: Mapping[str, ObjectState]) -> tuple[str, ...]:
    """Note read objects whose version is a new one; names of all that have changed, ascending.

    One that was read before versions were noted is taken to be as it was then.
    """
    known: dict[str, set[str]] = {}
    for row in lake.read(t.OBJECT_VERSIONS).to_pylist():
        known.setdefault(row["object_url"], set()).add(row["store_version"])
    rows = [
        {
            "batch_id": "",
            "object_url": name,
            "store_version": states[name].version,
            "was_read": name not in known,
        }
        for name in sorted(_done(lake) & set(states))
        if states[name].version not in known.get(name, set())
    ]
    if rows:
        lake.append(t.OBJECT_VERSIONS, pa.Table.from_pylist(rows, schema=t.OBJECT_VERSIONS.schema))
    return tuple(changed_objects(lake))


def _note_versions(lake: Lake, names: list[str], states: Mapping[str, ObjectState]) -> None:
    """Note the versions of a batch that is about to be read; undone with it where it dies."""
    batch_id = _batch_id(names)
    rows = [
        {
            "batch_id": batch_id,
            "object_url": name,
            "store_version": states[name].version,
            "was_read": True,
        }
        for name in names
    ]
    table = pa.Table.from_pylist(rows, schema=t.OBJECT_VERSIONS.schema)
    lake.replace_where(t.OBJECT_VERSIONS, table, f"batch_id = '{batch_id}'")


def _note_skipped(lake: Lake, skipped: tuple[SkippedObjects, ...]) -> None:
    rows = [
        {"ending": one.ending, "objects": one.objects, "bytes": one.size, "first": one.first}
        for one in skipped
    ]
    known = lake.read(t.SKIPPED_OBJECTS)
    noted = pa.Table.from_pylist(rows, schema=t.SKIPPED_OBJECTS.schema)
    if not noted.equals(known.sort_by("ending")):
        lake.overwrite(t.SKIPPED_OBJECTS, noted)


def _batch_id(names: list[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _read(
    lake: Lake,
    store: EventStore,
    names: list[str],
    states: Mapping[str, ObjectState],
    stamp: "_Stamp",
) -> IngestReport:
    """One batch; its chunks are appended one by one, and count only once the manifest says done."""
    batch_id, now = _batch_id(names), stamp.now
    counts = {name: Counter[str]() for name in names}
    lake.append(t.OBJECTS, _manifest(counts, batch_id, STARTED, now))
    report = IngestReport(objects=len(names))
    packed = {name: states[name].size for name in names}
    pieces = store.pieces(packed, is_plain if stamp.mapping is None else never_plain)
    for piece in _chunks(pieces):
        staged = stage(
            lake,
            piece.records,
            lines=piece.lines,
            pseudonymise=stamp.user_key,
            now=now,
            tombstones=stamp.tombstones,
            mapping=stamp.mapping,
            extra_fields=stamp.extra_fields,
            known_ids=stamp.known_ids,
        )
        _append(lake, staged, batch_id, now)
        _count(counts, piece, staged)
        report = _added(report, _report(piece, staged))
    sizes = _sizes(counts, batch_id, states)
    lake.replace_where(t.OBJECT_SIZES, sizes, f"batch_id = '{batch_id}'")
    lake.replace_where(
        t.OBJECTS, _manifest(counts, batch_id, DONE, now), f"batch_id = '{batch_id}'"
    )
    return replace(
        report,
        lost_objects=sum(map(_is_lost, counts.values())),
        size=pc.sum(sizes["bytes"]).as_py(),
        refused_size=pc.sum(sizes["bytes_refused"]).as_py(),
    )


def _sizes(
    counts: dict[str, Counter[str]], batch_id: str, states: Mapping[str, ObjectState]
) -> pa.Table:
    """Stored bytes of each object, split as the bytes of its records are."""
    rows = []
    for name, count in counts.items():
        size, share = states[name].size, count["size_refused"] / max(1, count["size"])
        row = {"bytes": size, "bytes_refused": round(size * share)}
        rows.append({"batch_id": batch_id, "object_url": name} | row)
    return pa.Table.from_pylist(rows, schema=t.OBJECT_SIZES.schema)


def _is_lost(count: Counter[str]) -> bool:
    """Whether an object holds something, and none of it is an event."""
    return bool(count["size"]) and count["quarantined"] == count["records"]


def _chunks(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces, joined to chunks of about `CHUNK_RECORDS` records."""
    held: list[Piece] = []
    read = 0
    for piece in pieces:
        held.append(piece)
        read += piece.read
        if read >= CHUNK_RECORDS:
            yield joined(held)
            held, read = [], 0
    if read:
        yield joined(held)


def _append(lake: Lake, staged: Staged, batch_id: str, now: datetime) -> None:
    if staged.accepted.num_rows:
        lake.append(
            t.BRONZE_EVENTS,
            _with(t.BRONZE_EVENTS, staged.accepted, batch_id=batch_id, ingested_at=now),
        )
    if staged.refused.num_rows:
        stamp = {"batch_id": batch_id, "quarantined_at": now, "event_date": None}
        lake.append(t.QUARANTINE_EVENTS, _with(t.QUARANTINE_EVENTS, staged.refused, **stamp))


def _with(table: t.Table, data: pa.Table, **constants: object) -> pa.Table:
    for name, value in constants.items():
        constant = pa.scalar(value, table.schema.field(name).type)
        data = data.append_column(name, pa.repeat(constant, data.num_rows))
    return data


def _count(counts: dict[str, Counter[str]], piece: Piece, staged: Staged) -> None:
    places = piece.lines.select(["object_url", "line", "size"])
    others = [
        {"object_url": name, "line": record.line, "size": record.size}
        for name, record in piece.records
    ]
    with connect() as connection:
        connection.register("lines", places)
        connection.register("others", pa.Table.from_pylist(others, schema=places.schema))
        connection.register("refused", staged.refused.select(["object_url", "line"]))
        rows = connection.sql("""
            select object_url, count(*), sum(size)::bigint,
                   coalesce(sum(size) filter (r.line is not null), 0)::bigint
            from (from lines union all from others) left join refused r using (object_url, line)
            group by object_url
        """).fetchall()
    for name, records, size, size_refused in rows:
        accepted, duplicates, conflicts = staged.fates.get(name, (0, 0, 0))
        counts[name].update(
            records=records,
            accepted=accepted,
            duplicates=duplicates,
            conflicting_duplicates=conflicts,
            quarantined=records - accepted - duplicates,
            size=size,
            size_refused=size_refused,
        )


def _manifest(
    counts: dict[str, Counter[str]], batch_id: str, status: str, now: datetime
) -> pa.Table:
    columns = ("records", "accepted", "duplicates", "conflicting_duplicates", "quarantined")
    rows = [
        {"batch_id": batch_id, "object_url": name, "status": status, "ingested_at": now}
        | {column: count[column] for column in columns}
        for name, count in counts.items()
    ]
    return pa.Table.from_pylist(rows, schema=t.OBJECTS.schema)


def _report(piece: Piece, staged: Staged) -> IngestReport:
    return IngestReport(
        read=piece.read,
        accepted=staged.accepted.num_rows,
        duplicates=sum(fate[1] for fate in staged.fates.values()),
        conflicting_duplicates=sum(fate[2] for fate in staged.fates.values()),
        quarantined=dict(Counter(staged.refused.column("reason").to_pylist())),
        event_dates=tuple(staged.accepted.column("event_date").unique().to_pylist()),
    )


def _added(a: IngestReport, b: IngestReport) -> IngestReport:
    return IngestReport(
        objects=a.objects + b.objects,
        read=a.read + b.read,
        accepted=a.accepted + b.accepted,
        duplicates=a.duplicates + b.duplicates,
        conflicting_duplicates=a.conflicting_duplicates + b.conflicting_duplicates,
        quarantined=dict(Counter(a.quarantined) + Counter(b.quarantined)),
        event_dates=tuple(sorted({*a.event_dates, *b.event_dates})),
        lost_objects=a.lost_objects + b.lost_objects,
        size=a.size + b.size,
        refused_size=a.refused_size + b.refused_size,
    )
