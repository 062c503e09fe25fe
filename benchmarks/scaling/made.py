"""A service of any size: accounts, catalogue and event objects, made by DuckDB in bulk."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import sqlalchemy as sa

from firstchair.databases import open_databases
from firstchair.lake import connect
from firstchair.settings import Settings
from firstchair.world.accounts import replace_accounts
from firstchair.world.geography import CITIES
from firstchair.world.population import GENRES, SOURCES, TRACKS_PER_ARTIST
from firstchair.world.records import artist_id, track_id, user_id

START = date(2026, 1, 5)
SEED = 1
SLATE = 10
# Of an impression: the chance of a click. A session has a login, a slate, its clicks and two plays,
# and one in ten a follow.
CLICK_SHARE, PLAYS, FOLLOW_SHARE = 0.08, 2, 0.1
EVENTS_A_SESSION = 1 + SLATE * (1 + CLICK_SHARE) + PLAYS + FOLLOW_SHARE
EVENTS_AN_OBJECT = 16_500
# Users of one taste prefer the same part of the catalogue.
TASTES = 50


@dataclass(frozen=True, slots=True)
class Size:
    """A service: users, artists, days of history before the measured day, events a user and day."""

    users: int
    artists: int
    days: int
    events: float


def make_service(home: Path, size: Size) -> dict[str, Any]:
    """Write both sources into a home; how many events, and where each source counts on."""
    make_accounts(open_databases(Settings(home=home)).accounts, size, truth=home / "truth")
    landing = Landing(home / "landing/events", size)
    return {"events": sum(landing.add(day) for day in range(size.days)), "next": landing.next}


def land_another(home: Path, size: Size, counts: dict[str, int]) -> int:
    """Write the objects of the day after the history; how many events they hold."""
    landing = Landing(home / "landing/events", size)
    landing.next = counts
    return landing.add(size.days)


def make_accounts(url: sa.URL, size: Size, *, truth: Path) -> None:
    """Write users, artists and tracks into the account database."""
    replace_accounts(
        url,
        users=_users(size.users),
        artists=_artists(size.artists),
        tracks=_tracks(size.artists),
        truth=truth,
    )


def _users(count: int) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(SEED)
    city, age = rng.integers(len(CITIES), size=count), rng.integers(14, 80, size=count)
    tenure, gender = rng.integers(1, 700, size=count), rng.integers(3, size=count)
    began = datetime(START.year, START.month, START.day, tzinfo=UTC)
    for n in range(count):
        place, created = CITIES[city[n]], began - timedelta(days=int(tenure[n]))
        yield (
            *(user_id(n), f"u{n}@example.org", None, int(age[n])),
            *(("female", "male", "other")[gender[n]], place.latitude, place.longitude),
            *(place.country, created, created),
        )


def _artists(count: int) -> Iterator[tuple[Any, ...]]:
    for n in range(count):
        genres = [GENRES[n % len(GENRES)], GENRES[n * 7 % len(GENRES)]]
        first = START - timedelta(days=30 + n % 2_000)
        yield artist_id(n), f"Artist {n + 1}", first, 2_000_000 // (n + 1) + 10, genres


def _tracks(artists: int) -> Iterator[tuple[Any, ...]]:
    for n in range(artists):
        for number in range(TRACKS_PER_ARTIST):
            key = track_id(n, number)
            yield key, artist_id(n), f"Track {key}", 150_000 + n % 90_000, START - timedelta(30)


class Landing:
    """The event objects of a service, a day at a time; sources count on from day to day."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.folder, self.size = folder, size
        self.next = dict.fromkeys(SOURCES, 0)

    def add(self, number: int) -> int:
        """Write the objects of a day (0-based); how many events they hold."""
        day = START + timedelta(days=number)
        with connect() as connection:
            connection.execute(self._happened(number))
            written = self._write(connection, day)
            counts = connection.execute("select source, count(*) from numbered group by source")
            for source, count in counts.fetchall():
                self.next[source] += count
        return written

    def _happened(self, number: int) -> str:
        """SQL of `happened`, the events of a day without their numbers."""
        size = self.size
        chance = size.events / EVENTS_A_SESSION
        # 0..1 by user, day and purpose; the same for the same three.
        draw = "((hash({}) % 1000003) / 1000003.0)"
        user_draw, slot_draw = draw.format(f"u, {number}, 1"), draw.format(f"u, p, {number}, 2")
        popular = f"floor({size.artists} * power({draw.format(f'u, p, {number}, 3')}, 3))::bigint"
        own = f"(u % {TASTES}) * {max(1, size.artists // TASTES)}"
        keys = {
            "artist": f"case when {slot_draw} < 0.6 then ({popular} + {own}) % {size.artists} "
            f"else {popular} end"
        }
        return f"""
            create or replace temp table happened as
            with sessions as (
                select u, {user_draw} * 80000000 as began from range({size.users}) r(u)
                where {draw.format(f"u, {number}, 4")}
                    < {chance} * 2 * {draw.format("u, 5")}),
            slots as (
                select u, began, p, {keys["artist"]} as artist,
                       {draw.format(f"u, p, {number}, 6")} as luck
                from sessions, range({SLATE}) q(p)),
            kinds as (
                select u, began as ms, 'login' as kind, 0 as artist, 0 as p, 0.0 as luck
                from sessions
                union all select u, began + 1000 + p, 'impression', artist, p, luck from slots
                union all select u, began + 2000 + p, 'click', artist, p, luck from slots
                    where luck < {CLICK_SHARE}
                union all select u, began + 3000 + p, 'play', artist, p, luck from slots
                    where p < {PLAYS}
                union all select u, began + 4000, 'follow', artist, p, luck from slots
                    where p = 0 and luck < {FOLLOW_SHARE})
            select *, ['{"', '".join(SOURCES)}'][1 + u % {len(SOURCES)}] as source from kinds
        """

    def _write(self, connection: duckdb.DuckDBPyConnection, day: date) -> int:
        """Number the events and write them; how many there are."""
        first = " ".join(f"when '{name}' then {count}" for name, count in self.next.items())
        connection.execute(f"""
            create or replace temp table numbered as
            select *, row_number() over (partition by source order by ms, u, kind, p) - 1
                   + case source {first} end as seq,
                   (row_number() over (order by ms, u, kind, p) - 1) // {EVENTS_AN_OBJECT} as part
            from happened
        """)
        parts, count = connection.execute(
            "select coalesce(max(part), -1) + 1, count(*) from numbered"
        ).fetchall()[0]
        folder = self.folder / f"{day:%Y/%m/%d}"
        folder.mkdir(parents=True)
        for part in range(parts):
            connection.execute(
                f"copy (select {_line(day)} from numbered where part = {part} order by ms) "
                f"to '{folder}/{part:05}.jsonl.gz' "
                "(format csv, header false, quote '', escape '', delimiter '\x1f', "
                "compression gzip)"
            )
        return int(count)


def _line(day: date) -> str:
    """SQL of an event's line, in the shape of `firstchair.world.records`."""
    slate = f"""'"slate_id":"slate-{day:%y%m%d}-' || u || '"'"""
    artist = """',"artist_id":"artist-' || lpad((artist + 1)::varchar, 5, '0') || '"'"""
    track = f"""'"track_id":"track-'
        || lpad((artist * {TRACKS_PER_ARTIST} + u % {TRACKS_PER_ARTIST} + 1)::varchar, 6, '0')
        || '"'"""
    return f"""
        '{{"event_id":"' || source || '-' || seq || '","event_type":"' || kind
        || '","occurred_at":"' || strftime(timestamp '{day}' + ms::bigint * interval 1 millisecond,
            '%Y-%m-%dT%H:%M:%S.%g+00:00')
        || '","user_id":"user-' || lpad((u + 1)::varchar, 6, '0')
        || '","source":"' || source || '","source_seq":' || seq || ',"simulated":true'
        || case kind when 'login' then '' else {artist} end
        || case when kind in ('impression', 'click')
            then ',' || {slate} || ',"position":' || (p + 1) else '' end
        || case kind when 'impression'
            then ',"model_version":"before","propensity":0.99,"surface":"home"'
            when 'play' then ',' || {track} || ',"ms_played":' || (20000 + (luck * 180000)::bigint)
                || ',' || {slate} else '' end
        || '}}'
    """
