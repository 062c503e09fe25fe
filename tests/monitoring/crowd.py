"""A crowd of listeners whose days are drawn from known chances, written as silver tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from firstchair.lake import Lake
from firstchair.lake import tables as t

START = date(2026, 1, 5)  # a Monday
ONE_DAY = timedelta(days=1)
COUNTRIES, AGES, GENDERS = ("CL", "AR", "BR"), ("18-24", "25-34", "35-44"), ("female", "male")
ARTISTS, SHOWN = 40, 10


@dataclass
class Crowd:
    """`live` writes days: who comes, what they are shown, clicks and plays."""

    lake: Lake
    users: int
    seed: int = 1
    simulated: bool = False

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.keys = np.array(
            [f"{hash((self.seed, n)) & 0xFFFFFFFF:08x}{n:024x}" for n in range(self.users)]
        )
        made = {
            "user_key": self.keys,
            "age_group": self.rng.choice(AGES, self.users),
            "gender": self.rng.choice(GENDERS, self.users),
            "country": self.rng.choice(COUNTRIES, self.users),
            "created_at": [datetime(2024, 1, 1, tzinfo=UTC)] * self.users,
        }
        self.country = made["country"]
        self._keep(t.USERS, made, self.users)
        artists = {
            "artist_id": [f"a{n}" for n in range(ARTISTS)],
            "followers": list(range(1, ARTISTS + 1)),
        }
        self._keep(t.ARTISTS, artists | {"first_active_on": [date(2000, 1, 1)] * ARTISTS}, ARTISTS)
        tracks = {"track_id": ["t"], "artist_id": ["a0"], "duration_ms": [1_000]}
        self._keep(t.TRACKS, tracks, 1)

    def comes_from(self, user: int, country: str) -> None:
        """Move one user to a country."""
        self.country = np.array(
            [country if n == user else own for n, own in enumerate(self.country)]
        )
        self.lake.overwrite(
            t.USERS,
            self.lake.read(t.USERS).set_column(
                t.USERS.schema.get_field_index("country"),
                t.USERS.schema.field("country"),
                pa.array(self.country),
            ),
        )

    def live(self, *days: int, **as_told: Any) -> None:
        """Days by their number after the start, each as `drawn` says, in one commit."""
        self.live_each((number, as_told) for number in days)

    def live_each(self, days: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """As `live`, for days that differ."""
        drawn = [self.drawn(number, **changed) for number, changed in days]
        self.lake.append(t.EVENTS, pa.concat_tables(drawn))

    def drawn(
        self,
        number: int,
        *,
        ctr: float = 0.1,
        heard: float = 0.5,
        only: str | None = None,
        comes: float = 0.5,
    ) -> pa.Table:
        """Events of day `number` after the start; `only` one country comes, where it is named."""
        day = START + number * ONE_DAY
        there = np.flatnonzero(
            (self.rng.random(self.users) < comes) & ((self.country == only) | (only is None))
        )
        who = np.repeat(there, SHOWN)
        slots = np.tile(np.arange(SHOWN), len(there))
        artists = (who * 7 + slots * 3 + number) % ARTISTS
        clicked = np.flatnonzero(self.rng.random(len(who)) < ctr)
        played = np.repeat(there, 3)
        ms = np.minimum(self.rng.gamma(2.0, 500 * heard, len(played)), 1_000).astype(int)
        heard_artists = (played * 5 + number) % ARTISTS
        placed = {"artists": artists, "slates": who, "position": slots + 1}
        clickers = who[clicked]
        return pa.concat_tables(
            [
                self._events(day, "login", there),
                self._events(day, "impression", who, **placed),
                self._events(day, "click", clickers, artists=artists[clicked], slates=clickers),
                self._events(day, "play", played, artists=heard_artists, ms_played=ms),
            ]
        )

    def _events(
        self,
        day: date,
        kind: str,
        who: np.ndarray,
        artists: np.ndarray | None = None,
        slates: np.ndarray | None = None,
        **numbers: np.ndarray,
    ) -> pa.Table:
        count = len(who)
        columns: dict[str, object] = {
            "event_id": numbered(f"{kind}-{day}-", np.arange(count)),
            "event_type": pa.repeat(kind, count),
            "occurred_at": pa.repeat(datetime(day.year, day.month, day.day, 12, tzinfo=UTC), count),
            "event_date": pa.repeat(day, count),
            "user_key": self.keys[who],
            "source": pa.repeat("test", count),
            "simulated": pa.repeat(self.simulated, count),
            **numbers,
        }
        if artists is not None:
            columns["artist_id"] = numbered("a", artists)
        if slates is not None:
            columns["slate_id"] = numbered(f"{day}-", slates)
            columns["model_version"] = pa.repeat("1", count)
            columns["propensity"] = pa.repeat(0.99, count)
        if kind == "play":
            columns["track_id"] = pa.repeat("t", count)
        return self._table(t.EVENTS, columns, count)

    def _keep(self, table: t.Table, columns: dict[str, object], rows: int) -> None:
        self.lake.overwrite(table, self._table(table, columns, rows))

    @staticmethod
    def _table(table: t.Table, columns: dict[str, object], rows: int) -> pa.Table:
        whole = {
            f.name: pa.array(columns[f.name]).cast(f.type)
            if f.name in columns
            else pa.nulls(rows, f.type)
            for f in table.schema
        }
        return pa.table(whole, schema=table.schema)


def numbered(prefix: str, numbers: np.ndarray) -> pa.Array:
    """The prefix and a number, as text."""
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")
