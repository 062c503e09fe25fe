"""Users, artists and tracks that the source had once: what happened to them goes on counting.

The tables of the source hold what it has now. A row that leaves one goes to a table of former rows
and back when it returns, so that old events are judged, and people of an experiment counted, alike
whenever a day is built. Whoever makes lists, features or models reads the present tables alone.
"""

from datetime import date

import pyarrow as pa

from firstchair.lake import tables as t
from firstchair.lake.delta import Lake, connect
from firstchair.lake.redirects import merged_artists


def keep_former_users(lake: Lake, present: pa.Table, *, forgotten: pa.Array, left_on: date) -> None:
    """Move users who are no longer present to silver/former_users, and those who returned out.

    Call it before silver/users is replaced, so that nobody is in neither.

    Args:
        lake: silver/users as it was before.
        present: Rows that will be in silver/users.
        forgotten: Pseudonyms of forgotten users, who are kept nowhere.
        left_on: Day (UTC) that is noted of those who are gone now.
    """
    columns = ", ".join(t.USERS.schema.names)
    with connect() as connection:
        connection.register("present", present)
        connection.register("forgotten", pa.table({"user_key": forgotten}))
        found = connection.sql(f"""
            with former as (select * from {lake.scan(t.FORMER_USERS)})
            select {columns}, left_on from former
            anti join present using (user_key) anti join forgotten using (user_key)
            union all
            select {columns}, date '{left_on}' as left_on from {lake.scan(t.USERS)}
            anti join present using (user_key) anti join forgotten using (user_key)
            anti join former using (user_key)
            order by user_key
        """).to_arrow_table()
    lake.overwrite_if_changed(t.FORMER_USERS, found.cast(t.FORMER_USERS.schema))


def keep_former_artists(lake: Lake, present: pa.Array) -> None:
    """Note in silver/former_artists whom the catalogue had, merged artists too, and has no more.

    Call it before silver/artists and silver/artist_redirects are replaced.

    Args:
        lake: Both tables as they were before.
        present: Every `artist_id` of the source.
    """
    before = f"""
        select artist_id from {lake.scan(t.ARTISTS)}
        union select artist_id from {merged_artists(lake)}"""
    _keep_ids(lake, t.FORMER_ARTISTS, before, present)


def keep_former_tracks(lake: Lake, present: pa.Array) -> None:
    """The same for tracks: silver/former_tracks, before silver/tracks is replaced."""
    _keep_ids(lake, t.FORMER_TRACKS, f"select track_id from {lake.scan(t.TRACKS)}", present)


def known_users(lake: Lake) -> str:
    """A DuckDB relation (SQL text) of present and former users.

    It has the columns of silver/users and `left_on`, null of present ones; no user comes twice.
    """
    users, former = lake.scan(t.USERS), lake.scan(t.FORMER_USERS)
    return f"""(
        select *, null::date as left_on from {users}
        union all by name
        select * from {former} anti join (select user_key from {users}) using (user_key))"""


def known_artists(lake: Lake) -> str:
    """A DuckDB relation of every `artist_id` that the catalogue has or had, merged ones too."""
    return f"""(
        select artist_id from {lake.scan(t.ARTISTS)}
        union select artist_id from {merged_artists(lake)}
        union select artist_id from {lake.scan(t.FORMER_ARTISTS)})"""


def known_tracks(lake: Lake) -> str:
    """A DuckDB relation of every `track_id` that the catalogue has or had."""
    return f"""(
        select track_id from {lake.scan(t.TRACKS)}
        union select track_id from {lake.scan(t.FORMER_TRACKS)})"""


def _keep_ids(lake: Lake, former: t.Table, before: str, present: pa.Array) -> None:
    (key,) = former.schema.names
    with connect() as connection:
        connection.register("present", pa.table({key: present}))
        found = connection.sql(f"""
            select {key} from (
                select {key} from {lake.scan(former)} union ({before}))
            anti join present using ({key}) order by {key}
        """).to_arrow_table()
    lake.overwrite_if_changed(former, found.cast(former.schema))
