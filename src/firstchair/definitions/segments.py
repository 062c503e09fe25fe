"""Segments: how users and artists are told apart (docs/reference/contract.md, section 5).

Engagement, churn, survival, drift, the gate's evidence and the console derive theirs from it.
docs/extending.md shows how to add one.
"""

from collections.abc import Callable
from enum import StrEnum

ALL = "all"
OTHER = "other"
UNKNOWN = "unknown"


class Segment(StrEnum):
    """Segments in the order of pages; `follower_tier` is of the artists that users were shown."""

    ALL = "all"
    LIFECYCLE = "lifecycle"
    COUNTRY = "country"
    AGE_GROUP = "age_group"
    GENDER = "gender"
    FOLLOWER_TIER = "follower_tier"


def _lifecycle(day: str) -> str:
    # Imported on call: it loads Ibis, and tables are listed without an engine.
    from firstchair.definitions.lifecycle import lifecycle_sql

    return lifecycle_sql("u.created_at", day)


# DuckDB SQL of a user's value, given SQL of the day at whose 00:00 UTC it is read: an expression
# over a row of silver/users (alias `u`), null where the account does not say.
USER_SEGMENTS: dict[Segment, Callable[[str], str]] = {
    Segment.LIFECYCLE: _lifecycle,
    Segment.COUNTRY: lambda _: "u.country",
    Segment.AGE_GROUP: lambda _: "u.age_group",
    Segment.GENDER: lambda _: "u.gender",
}


def user_segment_sql(day: str) -> dict[Segment, str]:
    """SQL of a user's value in each segment of users, `unknown` in place of null.

    All are `unknown` where a left join found no row of silver/users (`u.user_key` is null).

    Args:
        day: SQL of the day at whose 00:00 UTC the segments are read.
    """
    return {
        segment: f"coalesce(case when u.user_key is not null then {value(day)} end, '{UNKNOWN}')"
        for segment, value in USER_SEGMENTS.items()
    }


def user_segment_columns(day: str) -> str:
    """The same as a list of columns for a select, each named as its segment."""
    return ", ".join(f"{value} as {name}" for name, value in user_segment_sql(day).items())
