"""Churn at 7 and 14 days, by segment and the model that served; open labels are marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist
from typing import Any

from firstchair.definitions.churn import (
    ACTIVE,
    BASE_DAYS,
    HORIZONS_DAYS,
    in_base,
    in_horizon,
    mature_until,
)
from firstchair.definitions.segments import ALL
from firstchair.definitions.small_cells import published_cells
from firstchair.features.segments import user_segments
from firstchair.lake import Lake, connect, known_users
from firstchair.lake import tables as t
from monitoring.figures import line_plot, simulated_mark

NOT_SERVED = "none"
PLOT_DAYS = 28
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class ChurnReport:
    """The result of a build of gold/churn.

    rows: cells. mature: cells with final labels. simulated: whether any event behind them is.
    rates: newest churn rate of all users by horizon, 0..1. plot: churn of all users by as_of as a
    Markdown picture.
    """

    rows: int
    mature: int
    simulated: bool
    rates: dict[str, float]
    plot: str


def build_churn(
    lake: Lake,
    *,
    first_as_of: date,
    last_as_of: date,
    k_anonymity: int,
    late_tolerance_days: int,
    known_until: date,
    releases: Mapping[date, str] | None = None,
) -> ChurnReport:
    """Replace the partitions of these as_of (both included) of gold/churn.

    A user counts at horizon h on as_of D if active (any event but an impression) in the 28 days
    before D - h. They are churned if not active in the h days before D. Their version is that of
    the latest impression in these 28 days, `none` without one; `all` holds all users. Segments are
    those of users, with the lifecycle of D - h; there is no follower_tier. Cells with fewer than
    `k_anonymity` users are merged or hidden (`firstchair.definitions.small_cells`). `simulated`: an
    event that decided a label or a version is.
    churn_lower, churn_upper: Wilson's 95 % interval (1927).

    A cell is `mature` once all events up to D have been known for `late_tolerance_days`. That many
    as_of before `first_as_of` are built too, because they become mature, so that daily builds give
    the same table as one build of the range.

    Args:
        lake: The tables.
        first_as_of: First as_of.
        last_as_of: Last as_of.
        k_anonymity: Least users of a cell.
        late_tolerance_days: Days an event may be late.
        known_until: First day (UTC) without complete data.
        releases: Names of versions by their first day, marked in the plot of the report.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    first_as_of -= timedelta(days=late_tolerance_days)
    mature = mature_until(known_until, late_tolerance_days=late_tolerance_days)
    with connect() as connection:
        connection.execute(_labels(lake, first_as_of, last_as_of))
        connection.execute(_labelled(lake))
        cells = connection.sql(_cells(k_anonymity, mature))
        table = cells.to_arrow_table()
    lake.replace_range(t.CHURN, table, first_as_of, last_as_of)
    whole = _whole(lake, last_as_of)
    lines = {
        f"{horizon} days": [
            (row["as_of"], row["churn_rate"]) for row in whole if row["horizon_days"] == horizon
        ]
        for horizon in HORIZONS_DAYS
    }
    return ChurnReport(
        rows=table.num_rows,
        mature=sum(table.column("mature").to_pylist()),
        simulated=any(table.column("simulated").to_pylist()),
        rates={name: points[-1][1] for name, points in lines.items() if points},
        plot=line_plot(
            lines, title="Churn" + simulated_mark(whole), ylabel="share of users", releases=releases
        ),
    )


def _whole(lake: Lake, last: date) -> list[dict[str, Any]]:
    """The cells of all users and versions, of the last as_of up to `last`."""
    since = last - timedelta(days=PLOT_DAYS - 1)
    where = (
        f"as_of between date '{since}' and date '{last}' and segment = '{ALL}' "
        f"and model_version = '{ALL}'"
    )
    return list(lake.read(t.CHURN, where).sort_by("as_of").to_pylist())


def _labels(lake: Lake, first: date, last: date) -> str:
    """SQL of `labels`: one row per as_of, horizon and user of the base.

    `cut` is D - h. An active day puts a user into the base for the 28 days that follow, or until
    the next active day. That next day, if any, decides whether they are churned.
    """
    horizons = ", ".join(map(str, HORIZONS_DAYS))
    earliest = first - timedelta(days=max(HORIZONS_DAYS) + BASE_DAYS)
    came_back = f"coalesce({in_horizon('b.next_on', 'g.cut', 'g.horizon_days')}, false)"
    was_served = f"coalesce({in_base('s.served_on', 'g.cut')}, false)"
    return f"""
        create temp table labels as
        with active as (
            select user_key, event_date as active_on, bool_or(simulated) as simulated
            from {lake.scan(t.EVENTS)}
            where {ACTIVE} and event_date >= date '{earliest}' and event_date < date '{last}'
            group by all),
        spans as (
            select *, lead(active_on) over later as next_on,
                   lead(simulated) over later as next_simulated
            from active window later as (partition by user_key order by active_on)),
        bases as (
            select *, least(active_on + {BASE_DAYS}, next_on, date '{last}') as last_cut,
                   unnest(generate_series(active_on + 1, last_cut, interval 1 day))::date as cut
            from spans),
        targets as (
            select d::date as as_of, h::integer as horizon_days, d::date - h as cut
            from generate_series(date '{first}', date '{last}', interval 1 day) days(d),
                 (select unnest([{horizons}]) as h) horizons),
        served as (
            select user_key, event_date as served_on, bool_or(simulated) as simulated,
                   arg_max(model_version, (occurred_at, event_id)) as model_version
            from {lake.scan(t.EVENTS)}
            where event_type = 'impression'
                and event_date >= date '{earliest}' and event_date < date '{last}'
            group by all)
        select g.as_of, g.horizon_days, g.cut, b.user_key, not {came_back} as churned,
               case when {was_served} then s.model_version else '{NOT_SERVED}' end
                   as model_version,
               b.simulated or ({came_back} and b.next_simulated)
                   or ({was_served} and s.simulated) as simulated
        from bases b join targets g using (cut)
        asof left join served s on s.user_key = b.user_key and s.served_on < g.cut;
    """


def _labelled(lake: Lake) -> str:
    """SQL of `labelled`: labels by version and over all versions, for each segment of the user."""
    return f"""
        create temp table labelled as
        with versions as (
            select * from labels
            union all select * replace ('{ALL}' as model_version) from labels),
        cells as (
            select v.*, unnest({user_segments(day="v.cut")}) as s
            from versions v left join {known_users(lake)} u using (user_key))
        select * exclude (s), s.segment as segment, s.value as segment_value from cells;
    """


def _cells(k_anonymity: int, mature_until: date) -> str:
    """SQL of the published cells out of `labelled`."""
    group = "as_of, horizon_days"
    cell = f"{group}, segment, segment_value, model_version"
    counted = f"(select {cell}, count(*) as users from labelled group by all)"
    published = published_cells(counted, group=group, k_anonymity=k_anonymity)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    centre = f"(churned + {z**2 / 2}) / (users + {z**2})"
    half = f"{z} * sqrt(churned * (users - churned) / users + {z**2 / 4}) / (users + {z**2})"
    return f"""
        select * exclude (simulated), churned / users as churn_rate,
               greatest({centre} - {half}, 0) as churn_lower,
               least({centre} + {half}, 1) as churn_upper, as_of <= date '{mature_until}' as mature,
               simulated
        from (
            select l.as_of, l.horizon_days, l.segment, p.published as segment_value,
                   l.model_version,
                   count(*) as users, count(*) filter (l.churned) as churned,
                   bool_or(l.simulated) as simulated
            from labelled l join {published} p using ({cell})
            where p.published is not null
            group by all) order by all
    """
