"""Exports of people with one of two tastes, in the documented form of each data set.

The names of artists are real, so that a person can judge a list; people and plays are made up.
"""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
import pyarrow.parquet as pq

TASTES: Mapping[str, tuple[str, ...]] = {
    "jazz": (
        *("Miles Davis", "John Coltrane", "Bill Evans", "Thelonious Monk", "Charles Mingus"),
        *("Herbie Hancock", "Wayne Shorter", "Art Blakey", "Sonny Rollins", "Chet Baker"),
        *("Dexter Gordon", "Lee Morgan"),
    ),
    "metal": (
        *("Metallica", "Iron Maiden", "Slayer", "Megadeth", "Black Sabbath", "Judas Priest"),
        *("Motörhead", "Anthrax", "Pantera", "Sepultura", "Testament", "Kreator"),
    ),
}
FIRST, DAYS, PEOPLE, OWN_ARTISTS, LENGTH_MS = datetime(2025, 11, 1, tzinfo=UTC), 8, 12, 7, 240_000
# Yambda's artists are numbers alone.
NUMBERS = {name: place for place, name in enumerate((*TASTES["jazz"], *TASTES["metal"]), start=1)}


@dataclass(frozen=True, slots=True)
class Listen:
    """A play of a whole track. at: its beginning, in seconds since 1970."""

    at: int
    artist: str
    title: str


def taste_of(person: int) -> str:
    """The taste of a person, who count from 1."""
    return list(TASTES)[person % 2]


def listens(person: int) -> list[Listen]:
    """What a person heard: some artists of their taste, each on some days, in the order of time."""
    draw = random.Random(person)
    own = draw.sample(TASTES[taste_of(person)], OWN_ARTISTS)
    plays = [
        Listen(_second(day, draw), artist, f"{artist}'s song {draw.randrange(3) + 1}")
        for day in range(DAYS)
        for artist in draw.sample(own, 3)
    ]
    return sorted(plays, key=lambda play: play.at)


def _second(day: int, draw: random.Random) -> int:
    return int((FIRST + timedelta(days=day)).timestamp()) + draw.randrange(6 * 3600, 22 * 3600)


def people() -> Iterator[tuple[int, list[Listen]]]:
    """Everybody, and what they heard."""
    return ((person, listens(person)) for person in range(1, PEOPLE + 1))


def _listenbrainz(folder: Path) -> None:
    for person, heard in people():
        _lines(folder / f"{person:02}/listens/2025/11.jsonl", map(_listenbrainz_listen, heard))


def _listenbrainz_listen(play: Listen) -> dict[str, Any]:
    artist_id = str(uuid5(NAMESPACE_URL, play.artist))
    mapping = {
        "artist_mbids": [artist_id],
        "artists": [{"artist_credit_name": play.artist, "artist_mbid": artist_id}],
        "recording_mbid": str(uuid5(NAMESPACE_URL, play.title)),
    }
    metadata = {
        "artist_name": play.artist,
        "track_name": play.title,
        "additional_info": {"duration_ms": LENGTH_MS},
        "mbid_mapping": mapping,
    }
    return {"listened_at": play.at, "recording_msid": "m", "track_metadata": metadata}


def _spotify(folder: Path) -> None:
    for person, heard in people():
        streams = [_spotify_stream(play, person) for play in heard]
        _text(folder / f"{person:02}/Streaming_History_Audio_2025_0.json", json.dumps(streams))


def _spotify_stream(play: Listen, person: int) -> dict[str, Any]:
    ends = datetime.fromtimestamp(play.at + LENGTH_MS // 1000, UTC)
    return {
        "ts": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "username": f"made up {person}",
        "ms_played": LENGTH_MS,
        "conn_country": "ZZ",
        "ip_addr_decrypted": "203.0.113.9",
        "master_metadata_track_name": play.title,
        "master_metadata_album_artist_name": play.artist,
        "spotify_track_uri": f"spotify:track:{play.title}",
        "episode_name": None,
        "spotify_episode_uri": None,
        "reason_start": "trackdone",
        "reason_end": "trackdone",
        "skipped": None,
        "offline_timestamp": None,
    }


def _lastfm(folder: Path) -> None:
    for person, heard in people():
        tracks = [
            {
                "artist": {"mbid": "", "#text": play.artist},
                "name": play.title,
                "date": {"uts": str(play.at)},
            }
            for play in heard
        ]
        attributes = {"user": f"made up {person}", "page": "1"}
        page = {"recenttracks": {"track": tracks, "@attr": attributes}}
        _text(folder / f"{person:02}.json", json.dumps(page))


def _scrobbler_log(folder: Path) -> None:
    for person, heard in people():
        rows = [
            *("#AUDIOSCROBBLER/1.1", "#TZ/UTC", "#CLIENT/made up"),
            *(f"{p.artist}\t\t{p.title}\t\t{LENGTH_MS // 1000}\tL\t{p.at}\t" for p in heard),
        ]
        _text(folder / f"{person:02}/.scrobbler.log", "\r\n".join([*rows, ""]))


def _yambda(folder: Path) -> None:
    origin = int(FIRST.timestamp())
    rows = [
        (person, play.at - origin, 10 * NUMBERS[play.artist] + int(play.title[-1]), 1, 100, 240)
        for person, heard in people()
        for play in heard
    ]
    columns = {
        "uid": pa.uint32(),
        "timestamp": pa.uint32(),
        "item_id": pa.uint32(),
        "is_organic": pa.uint8(),
        "played_ratio_pct": pa.uint16(),
        "track_length_seconds": pa.uint32(),
    }
    values = zip(zip(*rows, strict=True), columns.values(), strict=True)
    table = pa.table([pa.array(column, kind) for column, kind in values], names=list(columns))
    (folder / "flat/50m").mkdir(parents=True)
    pq.write_table(table, folder / "flat/50m/listens.parquet")
    items = sorted({row[2] for row in rows})
    mapping = {"artist_id": [item // 10 for item in items], "item_id": items}
    pq.write_table(pa.table(mapping), folder / "artist_item_mapping.parquet")


def _lines(path: Path, values: Iterator[dict[str, Any]]) -> None:
    _text(path, "".join(f"{json.dumps(value)}\n" for value in values))


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


# By the name that `firstchair load` knows a data set by: writes the exports of all people.
EXPORTS: Mapping[str, Callable[[Path], None]] = {
    "listenbrainz": _listenbrainz,
    "spotify-history": _spotify,
    "lastfm-json": _lastfm,
    "scrobbler-log": _scrobbler_log,
    "yambda": _yambda,
}


def names_shown(dataset: str, artists: Iterable[str]) -> set[str]:
    """Names of artists as lists of a data set show them."""
    return {f"Artist {NUMBERS[name]}" if dataset == "yambda" else name for name in artists}


def unheard(dataset: str, person: int) -> set[str]:
    """Artists of a person's taste whom they have not heard: what a list should begin with."""
    heard = {play.artist for play in listens(person)}
    return names_shown(dataset, set(TASTES[taste_of(person)]) - heard)
