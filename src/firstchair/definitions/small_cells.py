"""Which cells of a table are published, so that no sum or difference of them is about a few users.

docs/reference/contract.md, section 5. Cells are by segment value and by model version, each with
totals (`all`); what is published of them can be added and subtracted.

1. A version with too few users is hidden, and so is the next smallest one where the hidden ones
   together are too few: they are all versions less the published ones. All versions together are
   hidden if they are too few.
2. Over all versions, values of a segment with too few users are merged into `other`, with the next
   smallest value where these together are too few.
3. By version, a value has cells of its own if it has in 2, and each version that has it at all, and
   the hidden versions together, have it with enough users. All other values are `other` in every
   version. If these are too few in a version, or in the hidden ones, the smallest value that has
   enough users there joins them, in every version.

So a value's users less those of published versions, a version's users less those of published
values, and what remains of both, are nobody or enough users. The cells in between, of values that
have a name over all versions and none by version, cannot be told apart by their sums in two
directions. A user may be in several versions and follower tiers: the largest of them counts.
"""

from firstchair.definitions.segments import ALL, OTHER, Segment


def published_cells(cells: str, *, group: str, k_anonymity: int) -> str:
    """DuckDB relation: for each cell, the value that it is published under.

    The value `other` of an account (gender) and the merged cells are one cell.

    Args:
        cells: Relation with the columns of `group`, segment, segment_value, model_version (`all`
            for all versions) and users (>= 0).
        group: Columns (SQL list) within which cells are compared, such as event_date.
        k_anonymity: Least users of a cell.

    Returns:
        Relation `group`, segment, segment_value, model_version, published: `segment_value`,
        `other`, or null where the cell is hidden.
    """
    return f"""(
        with cells as (from {cells}),
        versions as (
            select {group}, model_version, {_enough_alone("max", k_anonymity)} as is_shown
            from cells where segment = '{Segment.ALL}' and model_version <> '{ALL}'
            window same as (partition by {group}), {_ASCENDING.format(group=group)}),
        over_all as (
            select {group}, segment, segment_value, users,
                   case when segment = '{Segment.ALL}'
                             then if(users >= {k_anonymity}, segment_value, null)
                        when if({_TIERED}, {_enough_alone("max", k_anonymity)},
                                {_enough_alone("sum", k_anonymity)}) then segment_value
                        when {_together("users", "over same")} >= {k_anonymity}
                             then '{OTHER}' end as published
            from cells where model_version = '{ALL}'
            window same as (partition by {group}, segment),
                   {_ASCENDING.format(group=f"{group}, segment")}),
        by_version as (
            select {group}, segment, segment_value, if(is_shown, model_version, null) as version,
                   max(users) as users
            from cells join versions using ({group}, model_version)
            where segment <> '{Segment.ALL}' group by all),
        values_of as (
            select {group}, segment, segment_value,
                   bool_and(v.users >= {k_anonymity}) and segment_value <> '{OTHER}'
                       and coalesce(any_value(o.published) = segment_value, false) as fits,
                   any_value(o.users) as all_users
            from by_version v join over_all o using ({group}, segment, segment_value)
            group by {group}, segment, segment_value),
        placed as (
            select *, row_number() over (
                          partition by {group}, segment, fits order by all_users, segment_value
                      ) as place
            from values_of),
        merged as (
            select {group}, segment, version,
                   {_together("v.users", "filter (not fits)")} as users,
                   min(place) filter (fits) as next_place
            from by_version v join placed using ({group}, segment, segment_value)
            group by {group}, segment, version),
        joining as (
            select {group}, segment,
                   coalesce(max(next_place) filter (users < {k_anonymity}), 0) as places
            from merged group by {group}, segment),
        named as (
            select {group}, segment, segment_value, fits and place > places as is_named
            from placed join joining using ({group}, segment))
        select {group}, segment, segment_value, model_version,
               case when model_version = '{ALL}' then o.published
                    when not coalesce(is_shown, false) then null
                    when segment = '{Segment.ALL}' or is_named then segment_value
                    else '{OTHER}' end as published
        from cells left join over_all o using ({group}, segment, segment_value)
        left join versions using ({group}, model_version)
        left join named using ({group}, segment, segment_value))"""


_TIERED = f"segment = '{Segment.FOLLOWER_TIER}'"
_ASCENDING = """
            before as (partition by {group} order by users, segment_value, model_version
                       rows between unbounded preceding and 1 preceding)"""


def _enough_alone(together: str, k_anonymity: int) -> str:
    """SQL: a cell has enough users, and so have the smaller ones together, if there are any."""
    smaller = f"{together}(users) over before"
    return f"(users >= {k_anonymity} and coalesce({smaller} >= {k_anonymity}, true))"


def _together(users: str, rows: str) -> str:
    """SQL of the users of several values, at least: a user is in one value, or in several tiers."""
    return f"if({_TIERED}, max({users}) {rows}, sum({users}) {rows})"
