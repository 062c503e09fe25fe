"""`.scrobbler.log` of portable players (Rockbox and others), the log of Audioscrobbler 1.1.

Lines of tab-separated fields, without quoting: artist, album, title, number, length in seconds,
rating (L listened, S skipped), seconds since 1970, and perhaps the MusicBrainz id of the track.
"""

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from firstchair.datasets.composition import Dataset, Request
from firstchair.datasets.exports import ExportFile
from firstchair.datasets.listens import Layout, load_listens, mbid, whole
from firstchair.errors import SettingsError
from firstchair.sources import Record

UNTAGGED = "<Untagged>"
LAST_SECOND = 2**32
MEANING = f"""
    with cut as (select *, string_split(replace(raw, chr(0), ''), chr(9)) as f from records),
    fields as (
        select *, nullif(trim(f[1]), '') as artist_name, nullif(trim(f[3]), '') as track_name,
               {whole("f[5]", times=1000)} as length, trim(f[6]) as rating,
               {whole("f[7]")} as seconds
        from cut)
    select export, place, line,
        null as owner,
        case when seconds between 0 and {LAST_SECOND}
             then epoch_ms(timezone(context, make_timestamp(seconds * 1000000))) end as started_ms,
        null as artist_id,
        artist_name as artist,
        false as is_joint,
        {mbid("trim(f[8])")} as track_id,
        track_name as title,
        length as length_ms,
        null as ms_played,
        rating = 'S' as was_skipped,
        null as country,
        null as was_recommended,
        case when len(f) not in (7, 8) then 'another number of fields than 7 or 8'
             when '{UNTAGGED}' in (artist_name, track_name) then 'an untagged artist or title'
             when rating not in ('L', 'S') then 'another rating than L or S' end as reason
    from fields
"""


def read(file: ExportFile, request: Request) -> Iterator[tuple[Record, str]]:
    """The lines below the head of a log, with the time zone of their instants.

    Raises:
        SettingsError: The log does not say its time zone, and nobody else does.
    """
    with file.opened() as stream:
        head: list[bytes] = []
        zone = ""
        for number, line in enumerate(stream, start=1):
            text = line.rstrip(b"\r\n")
            # An artist's name may begin as a comment does; the head is above all plays.
            if not zone and text.lstrip(b"\xef\xbb\xbf").startswith(b"#") and b"\t" not in text:
                head.append(text)
                continue
            zone = zone or _zone(file, head, request)
            if text:
                yield _line(number, text), zone


def _line(number: int, text: bytes) -> Record:
    try:
        return Record(number, text.decode(), size=len(text))
    except UnicodeDecodeError:
        return Record(number, "", "bytes that are not UTF-8", size=len(text))


def _zone(file: ExportFile, head: list[bytes], request: Request) -> str:
    if any(line.strip().upper() == b"#TZ/UTC" for line in head):
        return "UTC"
    if request.time_zone is None:
        raise SettingsError(
            f"{file.path.name} does not say whether its times are UTC or local (#TZ/UNKNOWN).",
            where=str(file.path),
            data="Nothing was written; the sources stay as they were.",
            remedy="Add --time-zone UTC, or that of the player's clock, such as "
            "--time-zone Europe/Berlin.",
        )
    return request.time_zone


def known_zone(name: str) -> str:
    """The name of a time zone, as it is.

    Raises:
        SettingsError: There is no such zone.
    """
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"There is no time zone {name}.",
            where="--time-zone",
            data="Nothing was written; the sources stay as they were.",
            remedy="Name one of the IANA data base, such as UTC or Europe/Berlin.",
        ) from error


LAYOUT = Layout(
    name="scrobbler-log",
    files=re.compile(r"scrobbler[^/]*\.log$", re.IGNORECASE),
    example=".scrobbler.log",
    meaning=MEANING,
    real=("the instant each play began, its artist and title, the length of the track, and skips",),
    composed=("milliseconds played: the whole track, none of it where it was skipped",),
    read=read,
    own={"skipped": "was_skipped"},
)


def compose(request: Request) -> Dataset:
    """The plays of each log: one user for each log, or for each folder of logs."""
    return load_listens(LAYOUT, request)
