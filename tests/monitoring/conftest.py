"""Small stories as silver tables: who was shown what, and what came of it."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from firstchair.lake import Lake
from firstchair.lake import tables as t

Row = dict[str, Any]


@dataclass
class Story:
    """Events in the order told; users, artists and tracks come about where an event names them."""

    lake: Lake
    simulated: bool = False
    events: list[Row] = field(default_factory=list)
    users: dict[str, Row] = field(default_factory=dict)
    artists: dict[str, Row] = field(default_factory=dict)
    tracks: dict[str, Row] = field(default_factory=dict)
    number: Iterator[int] = field(default_factory=itertools.count)

    def user(self, user_key: str, **fields: Any) -> None:
        """An account of 2025-01-01, unless `fields` say otherwise."""
        made = {
            "age_group": "25-34",
            "gender": "female",
            "country": "CL",
            "created_at": datetime(2025, 1, 1, tzinfo=UTC),
        }
        self.users[user_key] = {"user_key": user_key, "state": None, "city": None} | made | fields

    def artist(self, artist_id: str, followers: int | None = 100) -> None:
        self.artists[artist_id] = {
            "artist_id": artist_id,
            "name": artist_id,
            "followers": followers,
        }

    def track(self, track_id: str, duration_ms: int | None) -> None:
        self.tracks[track_id] = {
            "track_id": track_id,
            "artist_id": "x",
            "title": "t",
            "duration_ms": duration_ms,
        }

    def login(self, user_key: str, at: str) -> None:
        self._happens("login", user_key, at)

    def shown(
        self, user_key: str, at: str, slate: str, artists: Iterable[str], version: str = "1"
    ) -> None:
        """One slate: an impression an artist."""
        for place, artist in enumerate(artists, start=1):
            fields = {
                "slate_id": slate,
                "position": place,
                "artist_id": artist,
                "model_version": version,
            }
            self._happens("impression", user_key, at, propensity=0.9, surface="home", **fields)

    def clicked(self, user_key: str, at: str, slate: str, artist: str) -> None:
        self._happens("click", user_key, at, slate_id=slate, position=1, artist_id=artist)

    def played(
        self,
        user_key: str,
        at: str,
        artist: str,
        ms_played: int,
        *,
        slate: str | None = None,
        track: str = "t",
    ) -> None:
        self._happens(
            "play",
            user_key,
            at,
            slate_id=slate,
            artist_id=artist,
            track_id=track,
            ms_played=ms_played,
        )

    def followed(self, user_key: str, at: str, artist: str) -> None:
        self._happens("follow", user_key, at, artist_id=artist)

    def told(self) -> Lake:
        """The lake with the story in its silver tables."""
        tables = [(t.EVENTS, self.events), (t.USERS, [*self.users.values()])]
        tables += [(t.ARTISTS, [*self.artists.values()]), (t.TRACKS, [*self.tracks.values()])]
        for table, rows in tables:
            whole = [dict.fromkeys(table.schema.names) | row for row in rows]
            self.lake.overwrite(table, pa.Table.from_pylist(whole, schema=table.schema))
        return self.lake

    def _happens(self, event_type: str, user_key: str, at: str, **fields: Any) -> None:
        occurred_at = datetime.fromisoformat(at).replace(tzinfo=UTC)
        number = next(self.number)
        row = {
            "event_id": f"e{number}",
            "event_type": event_type,
            "occurred_at": occurred_at,
            "user_key": user_key,
        }
        row |= {
            "event_date": occurred_at.date(),
            "source": "test",
            "source_seq": number,
            "simulated": self.simulated,
        }
        self.events.append(row | fields)
        if user_key not in self.users:
            self.user(user_key)
        if "artist_id" in fields and fields["artist_id"] not in self.artists:
            self.artist(fields["artist_id"])


@pytest.fixture
def story(lake: Lake) -> Story:
    return Story(lake)
