"""Segments as SQL (docs/reference/contract.md, section 5)."""

from enum import StrEnum

from firstchair.definitions.segments import ALL, Segment, user_segment_sql
from firstchair.lake import Lake
from firstchair.lake import tables as t


class FollowerTier(StrEnum):
    """An artist's followers ÷ the catalogue's median; 0.1 and 1 are in `0.1-1`, 10 in `1-10`."""

    UNDER_A_TENTH = "<0.1"
    UP_TO_MEDIAN = "0.1-1"
    UP_TO_TENFOLD = "1-10"
    OVER_TENFOLD = ">10"
    UNKNOWN = "unknown"


# Of small artists.
SMALL = (FollowerTier.UNDER_A_TENTH, FollowerTier.UP_TO_MEDIAN)


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
