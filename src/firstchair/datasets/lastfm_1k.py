"""lastfm-1k: real profiles and real plays, of the published set or of its sample."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from firstchair.datasets import scratch
from firstchair.datasets.composition import EARLIEST_MS, Dataset, Event, Request, in_days
from firstchair.datasets.profiles import Profile, read_profiles
from firstchair.datasets.scratch import opened, streamed
from firstchair.datasets.tables import unreadable

NAME = "userid-timestamp-artid-artname-traid-traname"
# As published, and a sample of it.
PLAYS = (f"{NAME}.tsv", f"{NAME}.sample.tsv")
COLUMNS = ("user_id", "played_at", "artist_id", "artist", "track_id", "track")
TRACK_MS = 210_000
NAMES = ("line", "user_id", "ms", *COLUMNS[2:])


def compose(request: Request) -> Dataset:
    """Profiles and plays with their own times; seed, days and start decide nothing here.

    A line of another width, a play without a time, user, artist or title, one before 2000 or in the
    future, and one of a user without a profile are left out and counted. So are repetitions of
    user, time and title.

    Raises:
        SourceError: A file is missing, or none of its lines is a play.
    """
    profiles = read_profiles(request.path)
    file = _plays_file(request.path)
    connection = opened(request.scratch)
    known = {profile.user_id for profile in profiles}
    left_out = _read(connection, file, known, int(request.now.timestamp() * 1000))
    connection.execute(_PLAYS)
    found = connection.execute("select count(*), min(ms), max(ms) from plays").fetchall()
    rows, first, last = found[0]
    if not rows:
        raise unreadable(
            file, f"none of its lines is a play ({'; '.join(left_out) or 'it is empty'})"
        )
    if (repeated := _count(connection, "raw") - rows) > 0:
        left_out.append(f"{repeated:,} plays that repeat user, time and title of another")
    return Dataset(
        source="lastfm-1k",
        users=_users(profiles, _instant(first)),
        artists=streamed(connection, _ARTISTS),
        tracks=streamed(connection, _TRACKS),
        days=in_days("lastfm-1k", _events(connection)),
        first=_instant(first).date(),
        last=_instant(last).date(),
        real=("profiles, artists, tracks, and the time of every play",),
        composed=(
            "length of every track and milliseconds played (a whole track of 3:30)",
            "signup where it is blank",
        ),
        left_out=tuple(left_out),
    )


# An artist or track without an id goes by a digest of its name, so that one name is one thing.
_PLAYS = """
    create table plays as
    select line, user_id, ms, artist, track,
           coalesce(nullif(artist_id, ''), left(sha256(artist), 24)) as artist_id,
           coalesce(nullif(track_id, ''), left(sha256(artist || chr(10) || track), 24)) as track_id
    from raw
    where line in (select min(line) from raw group by user_id, ms, track)
"""
_ARTISTS = """
    select artist_id, arg_min(artist, line), null, null, []::varchar[]
    from plays group by artist_id order by min(line)
"""
_TRACKS = f"""
    select track_id, arg_min(artist_id, line), arg_min(track, line), {TRACK_MS}, null
    from plays group by track_id order by min(line)
"""
_IN_ORDER = "select ms, user_id, artist_id, track_id from plays order by ms, user_id, line"


def _plays_file(folder: Path) -> Path:
    for name in PLAYS:
        if (folder / name).exists():
            return folder / name
    raise unreadable(folder / PLAYS[0], f"neither it nor {PLAYS[1]} is there")


def _read(
    connection: duckdb.DuckDBPyConnection, file: Path, known: set[str], latest: int
) -> list[str]:
    """Table `raw` of the plays that are whole; what was left out, in words."""
    bad: Counter[str] = Counter()
    first: dict[str, int] = {}

    def plays() -> Iterator[tuple[Any, ...]]:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                play = _play(line, known, latest)
                if isinstance(play, str):
                    bad[play] += 1
                    first.setdefault(play, number)
                else:
                    yield (number, *play)

    found = plays()
    connection.execute(
        "create table raw (line bigint, user_id varchar, ms bigint, artist_id varchar, "
        "artist varchar, track_id varchar, track varchar)"
    )
    while rows := list(islice(found, scratch.ROWS_AT_ONCE)):
        columns = zip(*rows, strict=True)
        connection.register("batch", pa.table(list(map(pa.array, columns)), names=NAMES))
        connection.execute("insert into raw select * from batch")
    return [
        f"{count:,} lines with {why} (first: line {first[why]:,})"
        for why, count in bad.most_common()
    ]


def _play(line: bytes, known: set[str], latest: int) -> "tuple[str | int, ...] | str":
    """A play in the columns of `NAMES` without its line, or what is wrong with it."""
    try:
        fields = line.rstrip(b"\r\n").decode().split("\t")
    except UnicodeDecodeError:
        return "bytes that are not UTF-8"
    if len(fields) != len(COLUMNS):
        return f"another number of columns than {len(COLUMNS)}"
    user_id, played_at, artist_id, artist, track_id, track = fields
    ms = _milliseconds(played_at, latest)
    if isinstance(ms, str):
        return ms
    if not (artist or artist_id) or not track:
        return "no artist or no title"
    if user_id not in known:
        return "a user who has no profile"
    return user_id, ms, artist_id, artist, track_id, track


def _milliseconds(played_at: str, latest: int) -> int | str:
    """The instant, or what is wrong with it."""
    try:
        instant = datetime.fromisoformat(played_at)
    except ValueError:
        return "no instant"
    if instant.tzinfo is None:
        return "no instant"
    ms = int(instant.timestamp() * 1000)
    if ms < EARLIEST_MS:
        return "an instant before 2000"
    return ms if ms <= latest else "an instant in the future"


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def _users(profiles: list[Profile], first: datetime) -> list[tuple[Any, ...]]:
    """Accounts; where signup is blank, a year before the first play of all."""
    before = first - timedelta(days=365)
    return [
        (
            p.user_id,
            None,
            None,
            p.age,
            p.gender,
            None,
            None,
            p.country,
            p.registered or before,
            None,
        )
        for p in profiles
    ]


def _events(connection: duckdb.DuckDBPyConnection) -> Iterator[Event]:
    for ms, user_id, artist_id, track_id in streamed(connection, _IN_ORDER):
        own = {"artist_id": artist_id, "track_id": track_id, "ms_played": TRACK_MS}
        yield ms, "play", user_id, own | {"slate_id": None}


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
