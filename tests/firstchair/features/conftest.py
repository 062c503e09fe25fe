"""Tiny histories written out by hand: events, accounts and a catalogue on an engine in memory."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from firstchair.events.vocabulary import EventType
from firstchair.features import History
from firstchair.lake import Lake, connect
from firstchair.lake import tables as lake_tables

ANNA, BEN, CARA = "a" * 32, "b" * 32, "c" * 32
SILVER = {
    "events": lake_tables.EVENTS,
    "users": lake_tables.USERS,
    "artists": lake_tables.ARTISTS,
    "tracks": lake_tables.TRACKS,
}
Row = dict[str, Any]


@dataclass
class Scene:
    """A source of rows: defaults for whatever a test does not say."""

    number: Iterator[int] = field(default_factory=itertools.count)
    anna: str = ANNA
    ben: str = BEN
    cara: str = CARA

    def event(self, event_type: str, user_key: str, at: str | datetime, **fields: Any) -> Row:
        """One accepted event; `at` is ISO 8601 in UTC."""
        number = next(self.number)
        occurred_at = (
            at if isinstance(at, datetime) else datetime.fromisoformat(at).replace(tzinfo=UTC)
        )
        row = dict.fromkeys(lake_tables.EVENTS.schema.names) | {
            "event_id": f"e{number:06d}",
            "event_type": event_type,
            "occurred_at": occurred_at,
            "event_date": occurred_at.date(),
            "user_key": user_key,
            "source": "test",
            "source_seq": number,
            "simulated": False,
        }
        return row | fields

    def user(self, user_key: str, **fields: Any) -> Row:
        """One account, made on 2025-06-01."""
        defaults = {
            "user_key": user_key,
            "age_group": "25-34",
            "gender": "female",
            "country": "CL",
            "state": "Valparaíso",
            "city": "Viña del Mar",
            "created_at": datetime(2025, 6, 1, tzinfo=UTC),
        }
        return defaults | fields

    def artist(self, artist_id: str, **fields: Any) -> Row:
        """One artist of the catalogue, first active on 2020-01-01."""
        defaults = {
            "artist_id": artist_id,
            "name": artist_id.title(),
            "first_active_on": date(2020, 1, 1),
            "followers": 1000,
            "genres": ["cueca"],
        }
        return defaults | fields

    def track(self, track_id: str, artist_id: str, duration_ms: int | None = 200_000) -> Row:
        """One track of the catalogue."""
        return {
            "track_id": track_id,
            "artist_id": artist_id,
            "title": track_id,
            "duration_ms": duration_ms,
            "released_on": date(2024, 1, 1),
        }

    def catalogue(self) -> dict[str, list[Row]]:
        """Anna, Ben and Cara; artists x, y and z with two tracks of 200 s each."""
        return {
            "users": [self.user(key) for key in (ANNA, BEN, CARA)],
            "artists": [self.artist(name) for name in "xyz"],
            "tracks": [self.track(f"{name}{n}", name) for name in "xyz" for n in (1, 2)],
        }

    def busy(self, *, until: date) -> list[Row]:
        """Some hundred events of every type in the 45 days before `until`."""
        rng = random.Random(7)
        start = datetime.combine(until - timedelta(days=45), time.min, UTC)
        events = []
        for number in range(400):
            kind, artist = rng.choice(list(EventType)), rng.choice("xyz")
            shown = kind in (EventType.IMPRESSION, EventType.CLICK)
            event = self.event(
                kind,
                rng.choice("ab") * 32,
                start + timedelta(seconds=rng.randrange(45 * 86_400)),
                artist_id=None if kind == EventType.LOGIN else artist,
                track_id=f"{artist}{rng.choice('12')}" if kind == EventType.PLAY else None,
                ms_played=rng.randrange(300_000) if kind == EventType.PLAY else None,
                slate_id=f"s{number}" if shown else None,
                position=1 if shown else None,
                propensity=0.5 if shown else None,
            )
            events.append(event)
        return events

    def history(self, events: Iterable[Row], **tables: list[Row]) -> History:
        """The rows as a history; accounts and catalogue default to `catalogue()`."""
        connection = connect()
        for name, table in self._tables(events, tables).items():
            connection.register(f"rows_of_{name}", table)
            connection.execute(f"create temp table {name} as from rows_of_{name}")
        backend = ibis.duckdb.from_connection(connection)
        return History(**{name: backend.table(name) for name in SILVER})

    def fill(self, lake: Lake, events: Iterable[Row], **tables: list[Row]) -> None:
        """The rows as the silver tables of a lake."""
        for name, table in self._tables(events, tables).items():
            lake.overwrite(SILVER[name], table)

    def _tables(self, events: Iterable[Row], tables: dict[str, list[Row]]) -> dict[str, pa.Table]:
        rows = self.catalogue() | tables | {"events": list(events)}
        return {
            name: pa.Table.from_pylist(rows[name], schema=kind.schema)
            for name, kind in SILVER.items()
        }


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def rows() -> Callable[[ir.Table], list[Row]]:
    """Runs an expression and gives its rows in an order of their own."""
    return sorted_rows


def compiled(table: ir.Table) -> Callable[[list[Row]], pa.Table]:
    """Makes the table of other events than its history holds; its query is compiled once."""
    backend = table.get_backend()
    query = backend.compile(table)

    def made_of(events: list[Row]) -> pa.Table:
        given = pa.Table.from_pylist(events, schema=lake_tables.EVENTS.schema)
        backend.con.register("given", given)
        backend.con.execute("truncate events; insert into events from given")
        return backend.con.sql(query).to_arrow_table()

    return made_of


def sorted_rows(table: ir.Table) -> list[Row]:
    return in_order(table.to_pyarrow())


def in_order(rows: pa.Table) -> list[Row]:
    def place(row: Row) -> list[str]:
        return [str(row.get("user_key")), str(row.get("artist_id")), str(row)]

    return sorted(rows.to_pylist(), key=place)
