"""Spotify's extended streaming history: `Streaming_History_Audio_*.json`, earlier `endsong_*.json`.

The address of the device is never drawn from a record, and the user's name only as a digest that
tells one person's exports from another's.
"""

import re

from firstchair.datasets.composition import Dataset, Request
from firstchair.datasets.listens import (
    IS_NO_OBJECT,
    Layout,
    drawn,
    json_records,
    load_listens,
    whole,
)

# A play under 30 seconds is no stream to Spotify.
SKIP_MS = 30_000
MEANING = f"""
    with {
    drawn(
        ended_at="$.ts",
        user_name="$.username",
        played_ms="$.ms_played",
        artist_name="$.master_metadata_album_artist_name",
        track_name="$.master_metadata_track_name",
        uri="$.spotify_track_uri",
        episode="$.spotify_episode_uri",
        episode_name="$.episode_name",
        book="$.audiobook_uri",
        why_ended="$.reason_end",
        was_marked="$.skipped",
        country="$.conn_country",
    )
},
    timed as (
        select *, {whole("played_ms")} as ms,
               epoch_ms(try_cast(ended_at as timestamptz)) as ended_ms
        from drawn)
    select export, place, line,
        left(sha256(user_name), 32) as owner,
        ended_ms - greatest(ms, 0) as started_ms,
        null as artist_id,
        artist_name as artist,
        false as is_joint,
        regexp_extract(uri, '^spotify:track:(\\w+)$', 1) as found_id,
        nullif(found_id, '') as track_id,
        track_name as title,
        case when why_ended = 'trackdone' then ms end as length_ms,
        ms as ms_played,
        case when why_ended = 'trackdone' then false
             when why_ended = 'fwdbtn' then true
             when why_ended is null and was_marked = 'true' then true
             else ms < {SKIP_MS} end as was_skipped,
        country,
        null as was_recommended,
        case when {IS_NO_OBJECT} then 'no object'
             when coalesce(episode, episode_name) is not null then 'an episode of a podcast'
             when book is not null then 'a chapter of an audiobook'
             when artist_name is null and track_name is null then 'no track, such as a local file'
             when ended_ms is not null and ms is null then 'no time played' end as reason
    from timed
"""
LAYOUT = Layout(
    name="spotify-history",
    files=re.compile(
        r"^(?P<root>(?:.*/)?)(?:Streaming_History_Audio_|endsong_)[^/]*\.json$", re.IGNORECASE
    ),
    example="Streaming_History_Audio_2019-2020_1.json",
    meaning=MEANING,
    real=(
        "the artist of the album and the title by their names, and milliseconds played",
        "the instant a play began: `ts`, which is its end, less `ms_played`",
        "skips: the play ended by the forward button, or otherwise than by itself within 30 "
        "seconds; `skipped` counts where no reason is given",
        "the country: the one that most plays came from",
    ),
    composed=(
        "the length of a track: that of most of its plays which ended by themselves, else its "
        "longest play and at least 3:30",
    ),
    read=json_records,
    own={"skipped": "was_skipped"},
)


def compose(request: Request) -> Dataset:
    """The plays of each person: exports of one user name are one person's."""
    return load_listens(LAYOUT, request)
