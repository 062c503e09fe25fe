"""ListenBrainz: the export of an account, and the full public dump.

An export has its listens in `listens/YYYY/M.jsonl`, the dump in `listens/YYYY/M.listens`; both hold
one listen a line (https://listenbrainz.readthedocs.io/en/latest/users/listenbrainz-dumps.html).
"""

import re

from firstchair.datasets.composition import Dataset, Request
from firstchair.datasets.listens import (
    IS_NO_OBJECT,
    Layout,
    drawn,
    json_records,
    load_listens,
    mbid,
    whole,
)

INFO, MAPPING = "$.track_metadata.additional_info", "$.track_metadata.mbid_mapping"
# The mapping of ListenBrainz comes first: it is the same for every client, and corrected by users.
MEANING = f"""
    with {
    drawn(
        listened_at="$.listened_at",
        dumped_at="$.timestamp",
        user_key="$.user_id",
        user_name="$.user_name",
        artist_name="$.track_metadata.artist_name",
        track_name="$.track_metadata.track_name",
        mapped_artist=f"{MAPPING}.artist_mbids[0]",
        mapped_second=f"{MAPPING}.artist_mbids[1]",
        mapped_name=f"{MAPPING}.artists[0].artist_credit_name",
        mapped_track=f"{MAPPING}.recording_mbid",
        sent_artist=f"{INFO}.artist_mbids[0]",
        sent_second=f"{INFO}.artist_mbids[1]",
        sent_track=f"{INFO}.recording_mbid",
        duration_ms=f"{INFO}.duration_ms",
        duration=f"{INFO}.duration",
        played_ms=f"{INFO}.ms_played",
    )
},
    identified as (
        select *, {mbid("mapped_artist")} as mapped_id, {mbid("sent_artist")} as sent_id from drawn)
    select export, place, line,
        left(sha256(coalesce(user_key, user_name)), 32) as owner,
        {whole("coalesce(listened_at, dumped_at)", times=1000)} as started_ms,
        coalesce(mapped_id, sent_id) as artist_id,
        coalesce(case when mapped_id is not null then mapped_name end, artist_name) as artist,
        case when mapped_id is not null then mapped_name is null and mapped_second is not null
             else sent_second is not null end as is_joint,
        coalesce({mbid("mapped_track")}, {mbid("sent_track")}) as track_id,
        track_name as title,
        coalesce(
            nullif(greatest({whole("duration_ms")}, 0), 0),
            {whole("duration", times=1000)}) as length_ms,
        {whole("played_ms")} as ms_played,
        null as was_skipped,
        null as country,
        null as was_recommended,
        case when {IS_NO_OBJECT} then 'no object' end as reason
    from identified
"""
LAYOUT = Layout(
    name="listenbrainz",
    files=re.compile(r"^(?P<root>(?:.*/)?)listens/\d{4}/\d{1,2}\.(?:jsonl|listens)$"),
    example="listens/2024/3.jsonl",
    meaning=MEANING,
    real=(
        "the instant each listen began, its title, and its artist by MusicBrainz id or by name; "
        "a listen of several artists counts for the first",
    ),
    composed=(
        "milliseconds played where additional_info.ms_played is absent: the whole track, of 3:30 "
        "where no length is given (ms_played_from says which)",
    ),
    read=json_records,
)


def compose(request: Request) -> Dataset:
    """The listens of each export, or of each user of the dump."""
    return load_listens(LAYOUT, request)
