"""New objects into bronze: each batch noted as started, written, noted as done; a dead batch is undone first."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from firstchair.events.masking import masked
from firstchair.events.parsing import parse
from firstchair.lake import Engine, Lake
from firstchair.lake import tables as t
from firstchair.sources import EventStore, Record, user_key

# Records held in memory at once; an object is never split between two batches.
BATCH_RECORDS = 200_000
STARTED, DONE = "started", "done"
FIELDS = [name for name in t.EVENTS.schema.names if name != "user_key"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of the records of the objects read now.

    accepted: well-formed and first of their event_id; validation of their day follows.
    duplicates: same event_id as an event before; conflicting_duplicates: those with another body.
    quarantined: records refused, by reason. event_dates: UTC days that events were added to.
    balanced: read = accepted + duplicates + quarantined.
    """

    objects: int = 0
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicting_duplicates: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    event_dates: tuple[date, ...] = ()

    @property
    def balanced(self) -> bool:
        """Every record read has exactly one fate."""
        return self.read == self.accepted + self.duplicates + sum(self.quarantined.values())


def ingest(
    lake: Lake,
    *,
    events_url: str,
    pseudonym_key: bytes,
    now: datetime,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Read every object that no batch has read, once, into bronze/events and quarantine/events.

    Raises:
        SourceError: The store cannot be reached; batches that were done stay done.
        LakeError: The lake cannot be read or written.
    """
    _undo_dead_batches(lake)
    store = EventStore(events_url, storage_options or {})
    names = _unread(lake, store)
    report = IngestReport()
    for batch in _batches(store, names):
        report = _added(report, _write(lake, batch, pseudonym_key, now))
        if progress is not None:
            progress(report.objects, len(names))
    return report


def waiting(lake: Lake, *, events_url: str, storage_options: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the objects that no batch has read, ascending."""
    return _unread(lake, EventStore(events_url, storage_options or {}))


def _unread(lake: Lake, store: EventStore) -> list[str]:
    done = set(lake.read(t.OBJECTS, f"status = '{DONE}'").column("object_url").to_pylist())
    return [name for name in store.objects() if name not in done]


def _undo_dead_batches(lake: Lake) -> None:
    """Take back what a killed batch wrote; its objects are read anew."""
    for batch_id in sorted(set(lake.read(t.OBJECTS, f"status = '{STARTED}'").column("batch_id").to_pylist())):
        for table in (t.BRONZE_EVENTS, t.QUARANTINE_EVENTS, t.OBJECTS):
            lake.delete(table, f"batch_id = '{batch_id}'")


def _batches(store: EventStore, names: list[str]) -> Iterator[dict[str, list[Record]]]:
    batch: dict[str, list[Record]] = {}
    size = 0
    for name in names:
        batch[name] = store.records(name)
        size += len(batch[name])
        if size >= BATCH_RECORDS:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def _write(lake: Lake, batch: dict[str, list[Record]], key: bytes, now: datetime) -> IngestReport:
    batch_id = hashlib.sha256("\n".join(sorted(batch)).encode()).hexdigest()[:16]
    lake.append(t.OBJECTS, _manifest(batch, batch_id, STARTED, now, {}))
    with Engine(lake) as engine:
        sql = engine.connection.execute
        _stage(engine, batch, key, now)
        accepted = sql("select * from accepted order by event_date, source, source_seq, event_id").to_arrow_table()
        refused = _refusals(engine, batch, key)
        fates = {row[0]: row[1:] for row in sql(_FATES).fetchall()}
        days = tuple(row[0] for row in sql("select distinct event_date from accepted order by all").fetchall())
    stamp = {"batch_id": batch_id, "ingested_at": now}
    lake.append(t.BRONZE_EVENTS, _with(accepted, **stamp))
    lake.append(t.QUARANTINE_EVENTS, _with(refused, batch_id=batch_id, quarantined_at=now, event_date=None))
    lake.replace_where(t.OBJECTS, _manifest(batch, batch_id, DONE, now, fates), f"batch_id = '{batch_id}'")
    return IngestReport(
        objects=len(batch),
        read=sum(map(len, batch.values())),
        accepted=accepted.num_rows,
        duplicates=sum(fate[1] for fate in fates.values()),
        conflicting_duplicates=sum(fate[2] for fate in fates.values()),
        quarantined=dict(Counter(refused.column("reason").to_pylist())),
        event_dates=days,
    )


_FATES = """
select object_url, count(*) filter (fate = 'accepted'), count(*) filter (fate = 'duplicate'), count(*) filter (conflict)
from sorted group by object_url
"""


def _stage(engine: Engine, batch: dict[str, list[Record]], key: bytes, now: datetime) -> None:
    """Temporary tables: `parsed` (every readable record), `sorted` (events with their fate), `accepted`."""
    connection = engine.connection
    connection.register("records", _readable(batch))
    parsed = parse(engine.backend.table("records"), now=now)
    columns = ["object_url", "line", "raw", "user_id", "reason", "detail", *FIELDS]
    engine.backend.create_table("parsed", parsed.select(columns), temp=True)
    connection.register("pseudonyms", _pseudonyms(connection, key))
    body = ", ".join(f'"{name}"' for name in FIELDS if name != "event_id")
    known = engine.lake.scan(t.BRONZE_EVENTS)
    connection.execute(f"""
        create temp table events as
        select e.* replace (replace(regexp_replace(e.extra, '[\\w.+%-]+@[\\w.-]+', '***', 'g'), e.user_id, p.user_key)
                            as extra), p.user_key, md5(row({body}, p.user_key)::varchar) as body
        from parsed e join pseudonyms p using (user_id) where e.reason is null;
        create temp table earlier as
        select event_id, md5(row({body}, user_key)::varchar) as body
        from {known} where event_id in (select event_id from events);
        create temp table sorted as
        select e.*,
               first_value(coalesce(k.body, e.body)) over same is distinct from e.body as conflict,
               case when k.event_id is null and row_number() over same = 1 then 'accepted' else 'duplicate' end as fate
        from events e left join earlier k using (event_id)
        window same as (partition by e.event_id order by e.object_url, e.line);
        create temp table accepted as select * from sorted where fate = 'accepted';
    """)


def _readable(batch: dict[str, list[Record]]) -> pa.Table:
    rows = [(name, record.line, record.text) for name, found in batch.items() for record in found if not record.refused]
    names, lines, texts = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "object_url": pa.array(names, pa.string()),
            "line": pa.array(lines, pa.int64()),
            "raw": pa.array(texts, pa.large_string()),
        }
    )


def _pseudonyms(connection: Any, key: bytes) -> pa.Table:
    users = [
        row[0] for row in connection.execute("select distinct user_id from parsed where reason is null").fetchall()
    ]
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "user_key": pa.array([user_key(user, key) for user in users], pa.string()),
        }
    )


def _refusals(engine: Engine, batch: dict[str, list[Record]], key: bytes) -> pa.Table:
    """Refused records in the columns of quarantine/events but those of the batch, masked."""

    def pseudonymise(user_id: str) -> str:
        return user_key(user_id, key)

    unread = [
        (name, r.line, r.refused, r.detail, r.text, None, None, None)
        for name, found in batch.items()
        for r in found
        if r.refused
    ]
    unparsed = engine.connection.execute(
        "select object_url, line, reason, detail, raw, event_id, source, source_seq "
        "from parsed where reason is not null"
    ).fetchall()
    names = ("object_url", "line", "reason", "detail", "raw", "event_id", "source", "source_seq")
    rows = [dict(zip(names, row, strict=True)) for row in sorted([*unread, *unparsed], key=lambda row: row[:2])]
    for row in rows:
        row["raw"] = masked(row["raw"], pseudonymise)
        row["detail"] = masked(row["detail"], pseudonymise) if "@" in row["detail"] else row["detail"]
    kept = [name for name in t.QUARANTINE_EVENTS.schema.names if name in names]
    return pa.Table.from_pylist(rows, schema=pa.schema([t.QUARANTINE_EVENTS.schema.field(name) for name in kept]))


def _manifest(
    batch: dict[str, list[Record]], batch_id: str, status: str, now: datetime, fates: dict[str, tuple[int, int, int]]
) -> pa.Table:
    rows = []
    for name, records in batch.items():
        accepted, duplicates, conflicts = fates.get(name, (0, 0, 0))
        rows.append(
            {
                "batch_id": batch_id,
                "object_url": name,
                "status": status,
                "records": len(records),
                "accepted": accepted,
                "duplicates": duplicates,
                "conflicting_duplicates": conflicts,
                "quarantined": len(records) - accepted - duplicates,
                "ingested_at": now,
            }
        )
    return pa.Table.from_pylist(rows, schema=t.OBJECTS.schema)


def _with(table: pa.Table, **constants: object) -> pa.Table:
    for name, value in constants.items():
        kind = (t.BRONZE_EVENTS if name == "ingested_at" else t.QUARANTINE_EVENTS).schema.field(name).type
        table = table.append_column(name, pa.array([value] * table.num_rows, kind))
    return table


def _added(a: IngestReport, b: IngestReport) -> IngestReport:
    return IngestReport(
        objects=a.objects + b.objects,
        read=a.read + b.read,
        accepted=a.accepted + b.accepted,
        duplicates=a.duplicates + b.duplicates,
        conflicting_duplicates=a.conflicting_duplicates + b.conflicting_duplicates,
        quarantined=dict(Counter(a.quarantined) + Counter(b.quarantined)),
        event_dates=tuple(sorted({*a.event_dates, *b.event_dates})),
    )
