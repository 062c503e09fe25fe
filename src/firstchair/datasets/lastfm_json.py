"""Scrobbles of Last.fm as JSON: pages of `user.getRecentTracks`, and lists of the usual exporters.

Read are pages (`{"recenttracks": {"track": [...]}}`, or the inner object), lists of pages, lists of
tracks, tracks one after another, and one object with a list `scrobbles`.
"""

import re
from collections.abc import Iterator

from firstchair.datasets.composition import Dataset, Request
from firstchair.datasets.exports import ExportFile
from firstchair.datasets.listens import (
    IS_NO_OBJECT,
    Layout,
    drawn,
    json_records,
    load_listens,
    mbid,
    whole,
)
from firstchair.sources import Record, records_of

HEAD_BYTES = 4_096
# An object around all scrobbles is longer than a record may be: it is entered at its list.
LIST_HEAD = re.compile(rb'^\s*\{(?P<head>[^\[\]{}]*)"scrobbles"\s*:\s*(?=\[)')
USER_NAME = re.compile(rb'"username"\s*:\s*"([^"\\]+)"')


def _listed(path: str, *, otherwise: str) -> str:
    """SQL of the tracks under a path, where one alone may stand for a list."""
    return f"""
            case json_type(raw, '{path}')
                when 'ARRAY' then json_extract(raw, '{path}[*]')
                when 'OBJECT' then [json_extract(raw, '{path}')]
                else {otherwise} end"""


# A list or an object `track` is of a page; a text of that name is a title.
TRACKS = f"""
    paged as (
        select *, json_extract_string(raw, [
            '$.recenttracks."@attr".user', '$."@attr".user']) as users,
            coalesce({_listed("$.recenttracks.track", otherwise="null")},
                     {_listed("$.track", otherwise="null")},
                     {_listed("$", otherwise="[raw::json]")}) as listed
        from records),
    tracks as (
        select export, place, line, coalesce(nullif(context, ''), users[1], users[2]) as context,
               unnest(listed)::varchar as raw
        from paged)
"""
MEANING = f"""
    with {TRACKS},
    {
    drawn(
        "tracks",
        uts="$.date.uts",
        flat_uts="$.uts",
        flat_date="$.date",
        playing='$."@attr".nowplaying',
        artist_text='$.artist."#text"',
        artist_name="$.artist.name",
        flat_artist="$.artist",
        artist_mbid="$.artist.mbid",
        flat_artist_mbid="$.artist_mbid",
        name="$.name",
        flat_track="$.track",
        track_mbid="$.mbid",
        flat_track_mbid="$.track_mbid",
    )
},
    dated as (
        select *, coalesce({whole("coalesce(uts, flat_uts)", times=1000)},
                           {whole("flat_date")}) as stated
        from drawn)
    select export, place, line,
        left(sha256(context), 32) as owner,
        -- One exporter writes milliseconds, all others seconds.
        case when uts is null and flat_uts is null and abs(stated) < 100000000000
             then stated * 1000 else stated end as started_ms,
        coalesce({mbid("artist_mbid")}, {mbid("flat_artist_mbid")}) as artist_id,
        coalesce(artist_text, artist_name,
                 case when json_type(raw, '$.artist') = 'VARCHAR' then flat_artist end) as artist,
        false as is_joint,
        coalesce({mbid("track_mbid")}, {mbid("flat_track_mbid")}) as track_id,
        coalesce(name,
                 case when json_type(raw, '$.track') = 'VARCHAR' then flat_track end) as title,
        null as length_ms,
        null as ms_played,
        null as was_skipped,
        null as country,
        null as was_recommended,
        case when {IS_NO_OBJECT} then 'no object'
             when started_ms is null and playing = 'true' then 'a track that was playing' end
            as reason
    from dated
"""


def read(file: ExportFile, request: Request) -> Iterator[tuple[Record, str]]:
    """The records of a file, with the user's name where the object around them says it."""
    with file.opened() as stream:
        head = LIST_HEAD.match(stream.read(HEAD_BYTES))
    if head is None:
        yield from json_records(file, request)
        return
    name = USER_NAME.search(head["head"])
    context = name[1].decode(errors="replace") if name else ""
    with file.opened() as stream:
        stream.read(head.end())
        for record in records_of(stream):
            # After the list only the object around it ends.
            if record.text.strip() != "}":
                yield record, context


LAYOUT = Layout(
    name="lastfm-json",
    files=re.compile(r"\.(?:json|jsonl|ndjson)$", re.IGNORECASE),
    example="scrobbles.json",
    meaning=MEANING,
    real=("the instant each listen began, its artist and title by MusicBrainz id or by name",),
    composed=("milliseconds played and the length of every track: 3:30 (Last.fm keeps none)",),
    read=read,
)


def compose(request: Request) -> Dataset:
    """The scrobbles of each user: by the name in the files, else one user per file or folder."""
    return load_listens(LAYOUT, request)
