"""Events as the JSON lines that each source sends."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import numpy as np

from firstchair.world.behaviour import KINDS, Happenings
from firstchair.world.geography import CITIES
from firstchair.world.population import SOURCES, TRACKS_PER_ARTIST, Users


def user_id(number: int) -> str:
    """Key in the account table of a user of the world."""
    return f"user-{number + 1:06d}"


def artist_id(number: int) -> str:
    """Key in the catalogue of an artist of the world."""
    return f"artist-{number + 1:05d}"


def artist_number(key: str) -> int:
    """The number of an artist by its key; the inverse of `artist_id`."""
    return int(key.removeprefix("artist-")) - 1


def track_id(artist: int, track: int) -> str:
    """Key in the catalogue of an artist's track."""
    return f"track-{artist * TRACKS_PER_ARTIST + track + 1:06d}"


def lines_of(
    happened: Happenings,
    day: date,
    people: Users,
    versions: Sequence[str],
    sequence: dict[str, int],
) -> dict[str, list[str]]:
    """Lines by source, in order of time; advances each source's next number in `sequence`."""
    offsets = np.array([city.utc_offset_hours for city in CITIES])[people.city[happened.user]]
    midnight = np.datetime64(day, "ms")
    local = midnight + happened.ms.astype("timedelta64[ms]") + offsets.astype("timedelta64[h]")
    instants = np.datetime_as_string(local, unit="ms")
    zones = [f"{'-' if hours < 0 else '+'}{abs(hours):02d}:00" for hours in range(-12, 15)]
    sources = people.source[happened.user]
    lines: dict[str, list[str]] = defaultdict(list)
    for row in range(len(happened)):
        source = SOURCES[sources[row]]
        number = sequence[source]
        sequence[source] = number + 1
        lines[source].append(
            f'{{"event_id":"{source}-{number}","event_type":"{KINDS[happened.kind[row]]}",'
            f'"occurred_at":"{instants[row]}{zones[offsets[row] + 12]}",'
            f'"user_id":"{user_id(happened.user[row])}",'
            f'"source":"{source}","source_seq":{number},"simulated":true'
            f"{_own_fields(happened, row, versions)}}}"
        )
    return dict(lines)


def _own_fields(h: Happenings, row: int, versions: Sequence[str]) -> str:
    """Fields of the row's event type, ready to follow a comma."""
    kind = KINDS[h.kind[row]]
    if kind == "login":
        return ""
    artist = f',"artist_id":"{artist_id(h.artist[row])}"'
    slate = f'"slate-{h.slate[row]:08d}"' if h.slate[row] >= 0 else "null"
    if kind == "impression":
        return (
            f'{artist},"slate_id":{slate},"position":{h.position[row]},'
            f'"model_version":"{versions[h.version[row]]}",'
            f'"propensity":{float(h.propensity[row])!r},"surface":"home"'
        )
    if kind == "click":
        return f'{artist},"slate_id":{slate},"position":{h.position[row]}'
    if kind == "play":
        track = track_id(h.artist[row], h.track[row])
        return f'{artist},"track_id":"{track}","ms_played":{h.ms_played[row]},"slate_id":{slate}'
    return artist
