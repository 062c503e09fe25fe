"""Segments as SQL (docs/reference/contract.md, section 5)."""

from firstchair.definitions.follower_tiers import follower_tier_sql
from firstchair.definitions.segments import ALL, Segment, user_segment_sql
from firstchair.lake import Lake
from firstchair.lake import tables as t


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
    """DuckDB relation artist_id, follower_tier (a `FollowerTier`), one row per artist."""
    tier = follower_tier_sql("followers")
    return f"(select artist_id, {tier} as follower_tier from {lake.scan(t.ARTISTS)})"
