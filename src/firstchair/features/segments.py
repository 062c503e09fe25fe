"""Segments of users and artists, and the merging of cells too small to be published."""

from enum import StrEnum

from firstchair.lake import Lake
from firstchair.lake import tables as t

NEW_UNDER_DAYS = 30
ALL = "all"
OTHER = "other"
# Upper bounds of an artist's followers over the catalogue's median, ascending.
FOLLOWER_TIERS = ((0.1, "<0.1"), (1, "0.1-1"), (10, "1-10"))
HIGHEST_TIER = ">10"


class Segment(StrEnum):
    """What users are told apart by; `follower_tier` tells apart the artists they were shown."""

    ALL = "all"
    LIFECYCLE = "lifecycle"
    COUNTRY = "country"
    AGE_GROUP = "age_group"
    GENDER = "gender"
    FOLLOWER_TIER = "follower_tier"


def user_segments(lake: Lake, *, day: str) -> str:
    """DuckDB list of every user segment of a row with the columns of silver/users (alias `u`).

    `day` is SQL for the day at which the lifecycle is read: `new` under 30 days since created_at.
    A user whom silver/users no longer holds is `unknown` everywhere.
    """
    lifecycle = f"case when {day} - u.created_at::date < {NEW_UNDER_DAYS} then 'new' else 'long_term' end"
    values = {
        Segment.ALL: f"'{ALL}'",
        Segment.LIFECYCLE: lifecycle,
        **{name: f"u.{name}" for name in (Segment.COUNTRY, Segment.AGE_GROUP, Segment.GENDER)},
    }
    pairs = (f"{{'segment': '{name}', 'value': coalesce({value}, 'unknown')}}" for name, value in values.items())
    return f"[{', '.join(pairs)}]"


def follower_tiers(lake: Lake) -> str:
    """DuckDB relation artist_id, follower_tier: followers over the catalogue's median; `unknown` without either."""
    share = "followers / nullif(median(followers) over (), 0)"
    bounds = " ".join(f"when share < {bound} then '{name}'" for bound, name in FOLLOWER_TIERS[:1])
    bounds += " " + " ".join(f"when share <= {bound} then '{name}'" for bound, name in FOLLOWER_TIERS[1:])
    return f"""(
        select artist_id, case when share is null then 'unknown' {bounds} else '{HIGHEST_TIER}' end as follower_tier
        from (select artist_id, {share} as share from {lake.scan(t.ARTISTS)}))"""


def published_values(cells: str, *, group: str, k_anonymity: int) -> str:
    """DuckDB relation: for each cell, the value it is published under.

    A cell under `k_anonymity` users becomes `other`; where those together are still too few, the smallest
    of the larger cells joins them, so that nobody can be told by subtraction. Cells of `all` stay.

    Args:
        cells: relation with the columns of `group`, segment, segment_value and users.
        group: columns (SQL list) within which cells are compared, such as event_date, model_version.
        k_anonymity: least users of a cell.

    Returns:
        Relation `group`, segment, segment_value, published; published is null where even all cells
        together hold too few.
    """
    return f"""(
        select {group}, segment, segment_value,
               case when segment = '{Segment.ALL}' then segment_value
                    when users >= {k_anonymity} and not (before > 0 and before < {k_anonymity}) then segment_value
                    when whole >= {k_anonymity} then '{OTHER}' end as published
        from (select *, sum(users) over same as whole,
                     coalesce(sum(users) over (partition by {group}, segment order by users, segment_value
                              rows between unbounded preceding and 1 preceding), 0) as before
              from {cells} window same as (partition by {group}, segment)))"""
