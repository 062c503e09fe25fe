"""A delivery of event objects into a lake whose users and catalogue are known."""

import gzip
import json
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from firstchair import events
from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from firstchair.settings import EXTRA_FIELDS
from firstchair.sources import user_key

KEY = b"a test's key"
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
USERS = ("user-ann", "user-bob", "user-eve")
ARTISTS = ("artist-1", "artist-2")
TRACKS = ("track-1", "track-2")
OWN = {
    "login": {},
    "impression": {
        "artist_id": "artist-1",
        "slate_id": "slate-1",
        "position": 1,
        "model_version": "7",
        "propensity": 0.25,
    },
    "click": {"artist_id": "artist-1", "slate_id": "slate-1", "position": 1},
    "play": {"artist_id": "artist-1", "track_id": "track-1", "ms_played": 1000},
    "follow": {"artist_id": "artist-1"},
    "unfollow": {"artist_id": "artist-1"},
}
# What no build may keep: the instant of a reading, and the batch that a reading belonged to.
OF_THE_READING = {"ingested_at", "quarantined_at", "batch_id", "store_version"}


def make_event(number: int, kind: str = "click", /, **changes: Any) -> dict[str, Any]:
    """A sound event with its own id and sequence number; `...` takes a field away."""
    event = {
        "event_id": f"event-{number}",
        "event_type": kind,
        "occurred_at": "2026-01-05T10:00:00Z",
        "user_id": "user-ann",
        "source": "app",
        "source_seq": number,
        **OWN.get(kind, {}),
        **changes,
    }
    return {name: value for name, value in event.items() if value is not ...}


@dataclass(frozen=True)
class Delivery:
    """Objects put into a folder, and what the pipeline makes of them."""

    lake: Lake
    folder: Path

    def put(self, name: str, *records: Any) -> None:
        """One object, a record a line; bytes as they are, anything else as JSON."""
        lines = [
            record if isinstance(record, bytes) else json.dumps(record).encode()
            for record in records
        ]
        self.put_bytes(name, b"\n".join(lines))

    def put_bytes(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    def ingest(
        self,
        *,
        lake: Lake | None = None,
        now: datetime = NOW,
        extra_fields: Collection[str] = EXTRA_FIELDS,
    ) -> events.IngestReport:
        return events.ingest(
            lake or self.lake,
            events_url=str(self.folder),
            pseudonym_key=KEY,
            now=now,
            extra_fields=extra_fields,
        )

    def build(self, *, lake: Lake | None = None) -> events.EventsReport | None:
        """All days that have events, in one pass."""
        lake = lake or self.lake
        days = events.event_days(lake)
        return events.build_events(lake, *days) if days else None

    def know(self, lake: Lake | None = None) -> None:
        """Write the users and the catalogue that events may refer to."""
        lake = lake or self.lake
        people = [
            {"user_key": user_key(user, KEY), "created_at": NOW}
            | dict.fromkeys(("age_group", "gender", "country", "state", "city"), "unknown")
            for user in USERS
        ]
        lake.overwrite(t.USERS, pa.Table.from_pylist(people, schema=t.USERS.schema))
        for table, column, names in (
            (t.ARTISTS, "artist_id", ARTISTS),
            (t.TRACKS, "track_id", TRACKS),
        ):
            lake.overwrite(
                table, pa.Table.from_pylist([{column: name} for name in names], schema=table.schema)
            )

    def rows(self, table: Table, where: str = "true") -> list[dict[str, Any]]:
        return self.lake.read(table, where).to_pylist()

    def ids(self, day: date | None = None) -> list[str]:
        """Ids of the accepted events, of one day or of all, ascending."""
        where = "true" if day is None else f"event_date = date '{day}'"
        return sorted(row["event_id"] for row in self.rows(t.EVENTS, where))

    def reasons(self) -> dict[str, int]:
        return events.reconcile(self.lake).quarantined


def content_of(lake: Lake) -> dict[str, list[str]]:
    """The rows of every table as sorted texts, without what only tells of the reading."""
    found = {}
    for table in t.ALL_TABLES:
        data = lake.read(table)
        kept = [name for name in data.column_names if name not in OF_THE_READING]
        found[table.name] = sorted(
            json.dumps(row, default=str, sort_keys=True) for row in data.select(kept).to_pylist()
        )
    return found


@pytest.fixture(scope="session")
def event() -> Callable[..., dict[str, Any]]:
    return make_event


@pytest.fixture(scope="session")
def content() -> Callable[[Lake], dict[str, list[str]]]:
    return content_of


@pytest.fixture(scope="session")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake that knows `USERS`, `ARTISTS`, `TRACKS` and nothing else; tests take copies."""
    folder = tmp_path_factory.mktemp("knowing")
    made = Delivery(Lake(str(folder / "lake")), folder / "landing")
    made.know()
    return made.lake.url


@pytest.fixture
def delivery(lake: Lake, tmp_path: Path, knowing: str) -> Delivery:
    """An empty folder of objects beside a copy of the lake `knowing`."""
    shutil.copytree(knowing, lake.url)
    return Delivery(lake, tmp_path / "landing")


@pytest.fixture(scope="session")
def new_delivery(tmp_path_factory: pytest.TempPathFactory, knowing: str) -> Callable[[], Delivery]:
    """Deliveries into lakes of their own."""

    def make() -> Delivery:
        base = tmp_path_factory.mktemp("delivery")
        shutil.copytree(knowing, base / "lake")
        lake = Lake(str(base / "lake"), index=base / "event-index")
        return Delivery(lake, base / "landing")

    return make
