"""Segments as SQL; cells too small to be published (docs/reference/contract.md, section 5)."""

from enum import StrEnum

from firstchair.definitions.segments import ALL, OTHER, Segment, user_segment_sql
from firstchair.lake import Lake
from firstchair.lake import tables as t


class FollowerTier(StrEnum):
    """An artist's followers ÷ the catalogue's median; 0.1 and 1 are in `0.1-1`, 10 in `1-10`."""

    UNDER_A_TENTH = "<0.1"
    UP_TO_MEDIAN = "0.1-1"
    UP_TO_TENFOLD = "1-10"
    OVER_TENFOLD = ">10"
    UNKNOWN = "unknown"


def user_segments(*, day: str) -> str:
    """DuckDB list of every user segment of a row with the columns of silver/users (alias `u`).

    Args:
        day: SQL of the day at whose 00:00 UTC the segments are read. They are `unknown` where the
            account does not say, or silver/users no longer holds it.

    Returns:
        SQL of a list of structs (segment, value): `all` with the value `all`, and each segment of
        users (`definitions.segments`).
    """
    values = {Segment.ALL: f"'{ALL}'", **user_segment_sql(day)}
    pairs = (f"{{'segment': '{name}', 'value': {value}}}" for name, value in values.items())
    return f"[{', '.join(pairs)}]"


def follower_tiers(lake: Lake) -> str:
    """DuckDB relation artist_id, follower_tier (a `FollowerTier`), one row per artist.

    The median is over the artists whose followers are known; only the others are `unknown`.
    """
    return f"""(
        select artist_id,
               case when followers is null then '{FollowerTier.UNKNOWN}'
                    when 10 * followers < median(followers) over () then
                        '{FollowerTier.UNDER_A_TENTH}'
                    when followers <= median(followers) over () then '{FollowerTier.UP_TO_MEDIAN}'
                    when followers <= 10 * median(followers) over () then
                        '{FollowerTier.UP_TO_TENFOLD}'
                    else '{FollowerTier.OVER_TENFOLD}' end as follower_tier
        from {lake.scan(t.ARTISTS)})"""


def published_values(cells: str, *, group: str, k_anonymity: int) -> str:
    """DuckDB relation: for each cell, the value it is published under.

    Cells with fewer than `k_anonymity` users become `other`. If these together are still too few,
    the smallest of the larger cells joins them, so that no user can be identified by subtraction
    from `all`. Cells of `all` stay. The value `other` of an account (gender) and the merged cells
    are one cell.

    Args:
        cells: relation with the columns of `group`, segment, segment_value and users (>= 0).
        group: columns (SQL list) within which cells are compared, such as event_date,
            model_version.
        k_anonymity: least users of a cell.

    Returns:
        Relation `group`, segment, segment_value, published; published is null if even all cells
        together have too few users.
    """
    ascending = "order by users, segment_value"
    smaller = f"same {ascending} rows between unbounded preceding and 1 preceding"
    return f"""(
        select {group}, segment, segment_value,
               case when segment = '{Segment.ALL}' then segment_value
                    when users >= {k_anonymity}
                        and (place = 1 or before >= {k_anonymity}) then segment_value
                    when whole >= {k_anonymity} then '{OTHER}' end as published
        from (select *, row_number() over (same {ascending}) as place,
                     {_users_together("same")} as whole,
                     {_users_together(smaller)} as before
              from {cells} window same as (partition by {group}, segment)))"""


def _users_together(window: str) -> str:
    """Users of the cells of a window, at least: tiers share users, so theirs do not add up."""
    return (
        f"if(segment = '{Segment.FOLLOWER_TIER}', "
        f"max(users) over ({window}), sum(users) over ({window}))"
    )
