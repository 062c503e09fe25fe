"""The catalogue as it is now, in the lake: what events refer to and models know of artists."""

from collections import Counter
from dataclasses import asdict, dataclass

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from firstchair.events.personal import MASK
from firstchair.events.redirects import Fault, Redirect, resolve_redirects
from firstchair.lake import Lake, connect, keep_former_artists, keep_former_tracks
from firstchair.lake import tables as t
from firstchair.mappings import AccountMapping
from firstchair.sources import REPEATS, accounts, missing_tables, whole_table


@dataclass(frozen=True, slots=True)
class CatalogueReport:
    """Rows of silver/artists and silver/tracks, and what became of the other rows of the source.

    nameless: had an empty key and were left out. repeated: had the key of another row, which counts
    (`firstchair.sources.read_table`), and were left out. merged: artists that are another one now.
    circles, unknown_targets: redirects that are not followed, so that their artists stay on their
    own. derived: the source has no catalogue, and this one is of the events.
    """

    artists: int
    tracks: int
    nameless: int
    repeated: int = 0
    merged: int = 0
    circles: int = 0
    unknown_targets: int = 0
    derived: bool = False


def build_catalogue(
    lake: Lake, url: sa.URL, *, mapping: AccountMapping | None = None
) -> CatalogueReport:
    """Put the source's artists and tracks in place of silver/artists and silver/tracks.

    An artist whose column `redirect_to` names another was merged into it: it is in
    silver/artist_redirects instead of silver/artists, and its tracks are the other's. What the
    source had before and has no more is in silver/former_artists and silver/former_tracks.

    Where the source has neither table and no mapping names one, both are derived from the events
    that have landed.

    Raises:
        SourceError: The source cannot be read; the last snapshot stands.
    """
    mapping = mapping or AccountMapping()
    if _has_none(lake, url, mapping):
        return _derived(lake)
    artists, left_out = _rows(url, accounts.ARTISTS, mapping, accounts.REDIRECT_TO)
    tracks, left_out_tracks = _rows(url, accounts.TRACKS, mapping)
    left_out.update(left_out_tracks)
    # Fewer than none is what some catalogues say where they do not know.
    artists["followers"] = artists["followers"].where(artists["followers"] >= 0)
    redirects = _redirects(artists)
    targets = {one.artist_id: one.redirect_to for one in redirects if one.redirect_to is not None}
    current = artists[~artists["artist_id"].isin(list(targets))]
    owners = tracks["artist_id"].map(lambda artist: targets.get(artist, artist))
    keep_former_artists(lake, pa.array(artists["artist_id"], pa.string()))
    keep_former_tracks(lake, pa.array(tracks["track_id"], pa.string()))
    # Known as merged before it is gone as an artist: what refers to it is known at any instant.
    _put_redirects(lake, redirects)
    _put(lake, t.ARTISTS, current)
    _put(lake, t.TRACKS, tracks.assign(artist_id=owners))
    faults = [one.fault for one in redirects]
    return CatalogueReport(
        artists=len(current),
        tracks=len(tracks),
        nameless=left_out["nameless"],
        repeated=left_out["repeated"],
        merged=len(targets),
        circles=faults.count(Fault.CIRCLE),
        unknown_targets=faults.count(Fault.UNKNOWN_ARTIST),
    )


def _has_none(lake: Lake, url: sa.URL, mapping: AccountMapping) -> bool:
    """Whether there is no catalogue, but something to derive one from."""
    if mapping.artists is not None or mapping.tracks is not None:
        return False
    missing = missing_tables(url, accounts.ARTISTS, accounts.TRACKS)
    return len(missing) == 2 and lake.count(t.BRONZE_EVENTS) > 0


# The newest name counts, of those that were kept whole. Where `extra_fields` lacks the field, its
# value is the mask. Where an account key was masked, the name holds a pseudonym: the user 182 who
# listens to Blink 182 says such a name. A user follows who followed an artist last, and did not
# unfollow it after.
_ARTISTS = """
    with seen as (
        select artist_id, user_key, event_type, occurred_at, event_id, event_date,
               nullif(trim(json_extract_string(extra, '$.artist_name')), '') as told,
               case when told <> '{mask}' and not contains(told, user_key) then told end as name
        from {events} where artist_id is not null),
    follows as (
        select artist_id, arg_max(event_type, (occurred_at, event_id)) = 'follow' as is_following
        from seen where event_type in ('follow', 'unfollow') group by artist_id, user_key),
    followers as (
        select artist_id, count(*) filter (is_following) as followers
        from follows group by artist_id)
    select artist_id,
           coalesce(
               arg_max(name, (occurred_at, event_id)) filter (name is not null), artist_id) as name,
           min(event_date) as first_active_on, coalesce(any_value(followers), 0) as followers,
           []::varchar[] as genres
    from seen left join followers using (artist_id) group by artist_id order by artist_id
"""
_TRACKS = """
    with seen as (
        select track_id, artist_id, occurred_at, event_id,
               nullif(trim(json_extract_string(extra, '$.track_title')), '') as told,
               case when told <> '{mask}' and not contains(told, user_key) then told end as title,
               try_cast(json_extract_string(extra, '$.duration_ms') as int) as duration_ms
        from {events} where track_id is not null)
    select track_id, arg_max(artist_id, (occurred_at, event_id)) as artist_id,
           coalesce(
               arg_max(title, (occurred_at, event_id)) filter (title is not null), track_id)
               as title,
           max(duration_ms) as duration_ms, null::date as released_on
    from seen group by track_id order by track_id
"""


def _derived(lake: Lake) -> CatalogueReport:
    """Artists and tracks of the events that have landed."""
    counts = []
    for table, query in ((t.ARTISTS, _ARTISTS), (t.TRACKS, _TRACKS)):
        with connect() as connection:
            rows = connection.sql(query.format(events=lake.scan(t.BRONZE_EVENTS), mask=MASK))
            found = rows.to_arrow_table().select(table.schema.names).cast(table.schema)
        lake.overwrite(table, found)
        counts.append(found.num_rows)
    _put_redirects(lake, [])
    artists, tracks = counts
    return CatalogueReport(artists, tracks, nameless=0, derived=True)


def _rows(
    url: sa.URL, source: sa.Table, mapping: AccountMapping, *optional: sa.Column[str]
) -> tuple[pd.DataFrame, Counter[str]]:
    """The rows with a key of their own, and how many have none or that of another row."""
    key = source.primary_key.columns[0].name
    frame = whole_table(url, source, optional=optional, mapping=mapping.of(source.name))
    nameless = frame[key].fillna("") == ""
    repeats = frame[REPEATS] & ~nameless
    counts = Counter(nameless=int(nameless.sum()), repeated=int(repeats.sum()))
    return frame[~(nameless | repeats)], counts


def _redirects(artists: pd.DataFrame) -> list[Redirect]:
    pairs = artists[artists["redirect_to"].notna()]
    stated = dict(zip(pairs["artist_id"], pairs["redirect_to"], strict=True))
    return resolve_redirects(stated, set(artists["artist_id"]))


def _put(lake: Lake, table: t.Table, rows: pd.DataFrame) -> None:
    lake.overwrite(table, pa.Table.from_pandas(rows, schema=table.schema, preserve_index=False))


def _put_redirects(lake: Lake, redirects: list[Redirect]) -> None:
    """A version of the table for each change: what was published is known by it."""
    found = [asdict(one) for one in redirects]
    rows = pa.Table.from_pylist(found, schema=t.ARTIST_REDIRECTS.schema)
    lake.overwrite_if_changed(t.ARTIST_REDIRECTS, rows)
