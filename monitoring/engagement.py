"""Engagement by day, segment and model version: impressions, clicks, listen-through, follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist
from typing import Any

import pyarrow as pa

from firstchair.definitions.bounds import bounds_sql, counted_sql
from firstchair.definitions.segments import ALL, Segment
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.definitions.small_cells import published_cells
from firstchair.features.segments import user_segments
from firstchair.lake import Lake, connect, known_users
from firstchair.lake import tables as t
from monitoring.attribution import MEASURES, facts
from monitoring.figures import by_day

CONFIDENCE = 0.95
PLOT_DAYS = 28
SUMMARY_DAYS = 7
SUMMARY_COLUMNS = (
    "segment",
    "segment_value",
    "users",
    "impressions",
    "clicks",
    "ctr",
    "ctr_lower",
    "ctr_upper",
    "clicks_per_100",
    "listen_through",
)
# Shares are summed as whole trillionths, because sums of floats depend on the order of threads.
SHARE_UNIT = 10**12


@dataclass(frozen=True, slots=True)
class EngagementReport:
    """The result of a build of gold/engagement_daily.

    rows: cells. days: days with a cell. simulated: whether any event of these days is. ctr_by_day,
    listen_through_by_day: the last days of the table, as Markdown pictures, without the
    `SLATE_DAYS` newest, which may still grow. by_segment: `engagement_summary` of the last days
    built.
    """

    rows: int
    days: int
    simulated: bool
    ctr_by_day: str
    listen_through_by_day: str
    by_segment: tuple[dict[str, Any], ...]


def build_engagement(
    lake: Lake,
    *,
    first: date,
    last: date,
    k_anonymity: int,
    releases: Mapping[date, str] | None = None,
) -> EngagementReport:
    """Replace the partitions `first` to `last` (both included) of gold/engagement_daily.

    The `SLATE_DAYS` days before `first` are built too, because their impressions may be clicked on
    `first`, so that daily builds give the same table as one build of the range. The last
    `SLATE_DAYS` days may still grow.

    One row per event_date × segment × segment_value × model_version, and one over all versions
    (`all`), the only one with plays without a slate. Clicks, plays and follows count on the day of
    their impression, for the version that filled the slate
    (`firstchair.definitions.attribution`). Segments are those of the user on the day,
    `follower_tier` that of the artist; cells under `k_anonymity` users are merged or hidden, with
    others where their difference would tell (`firstchair.definitions.small_cells`).

    users: users with an impression. ctr: clicked impressions ÷ impressions. ctr_lower, ctr_upper:
    its 95 % interval by the delta method for a ratio of sums over users (Deng, Knoblich and Lu
    2018, "Applying the Delta Method in Metric Analytics", section 3), cut to 0..1; null if users
    do not vary, as without clicks. clicks_per_100: mean over users of 100 × clicks ÷
    impressions. listen_through: milliseconds heard ÷ milliseconds of the tracks, 0..1, each play
    capped at its track. follow_rate: follows ÷ impressions. Each is null without
    impressions or plays. The weight of a user in a ratio of sums is at most that of 50 mean users
    of the cell (`firstchair.definitions.bounds`).

    `releases`, names by day, are marked in the plots of the report.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    first -= timedelta(days=SLATE_DAYS)
    with connect() as connection:
        connection.execute(facts(lake, first=first, last=last))
        connection.execute(_by_user(lake))
        cells = connection.sql(_cells(k_anonymity)).to_arrow_table()
    lake.replace_range(t.ENGAGEMENT_DAILY, cells, first, last)
    whole = _whole(lake, last - timedelta(days=SLATE_DAYS))
    summary_first = max(first, last - timedelta(days=SUMMARY_DAYS - 1))
    return EngagementReport(
        rows=cells.num_rows,
        days=len(set(cells.column("event_date").to_pylist())),
        simulated=any(cells.column("simulated").to_pylist()),
        ctr_by_day=by_day(
            whole,
            "event_date",
            {"all": "ctr"},
            title="CTR",
            ylabel="clicks ÷ impressions",
            releases=releases,
        ),
        listen_through_by_day=by_day(
            whole,
            "event_date",
            {"all": "listen_through"},
            title="Listen-through",
            ylabel="heard ÷ length",
            releases=releases,
        ),
        by_segment=tuple(
            engagement_summary(lake, first=summary_first, last=last, k_anonymity=k_anonymity)
        ),
    )


def engagement_summary(
    lake: Lake, *, first: date, last: date, k_anonymity: int
) -> list[dict[str, Any]]:
    """The cells of the whole window `first` to `last` (both included), over all versions.

    They are computed from the events, so `users` are distinct users of the window. Segments are
    those of the user on each day. A cell holds the days on which it is published in
    gold/engagement_daily, the others are in `other`, so that window less days tells nothing more.
    Impressions of the last `SLATE_DAYS` days may still be clicked.

    Returns:
        A row for each cell, `all` first, then by segment and value: `SUMMARY_COLUMNS`, as in
        `build_engagement`.
    """
    with connect() as connection:
        connection.execute(facts(lake, first=first, last=last))
        connection.execute(_by_user(lake))
        rows = connection.sql(_cells(k_anonymity, window=last)).to_arrow_table().to_pylist()
    order = list(Segment)
    wanted = [row for row in rows if row["model_version"] == ALL]
    wanted.sort(key=lambda row: (order.index(Segment(row["segment"])), row["segment_value"]))
    return [{name: row[name] for name in SUMMARY_COLUMNS} for row in wanted]


def _whole(lake: Lake, last: date) -> list[dict[str, Any]]:
    """The cells of all users and versions, of the last days up to `last`."""
    since = last - timedelta(days=PLOT_DAYS - 1)
    where = (
        f"event_date between date '{since}' and date '{last}' and segment = '{ALL}' "
        f"and model_version = '{ALL}'"
    )
    whole: pa.Table = lake.read(t.ENGAGEMENT_DAILY, where)
    return list(whole.sort_by("event_date").to_pylist())


def _by_user(lake: Lake) -> str:
    """SQL of `by_user` from `facts`: sums by day, model version, user and each of their cells."""
    return f"""
        create temp table by_user as
        with versions as (
            select * from facts where model_version is not null
            union all select * replace ('{ALL}' as model_version) from facts),
        users as (select event_date, model_version, user_key, {_sums()} from versions group by all),
        cells as (
            select v.*, unnest({user_segments(day="v.event_date")}) as s
            from users v left join {known_users(lake)} u using (user_key))
        select event_date, model_version, user_key, s.segment as segment, s.value as segment_value,
               {", ".join(MEASURES)}, simulated from cells
        union all
        select event_date, model_version, user_key, '{Segment.FOLLOWER_TIER}', follower_tier,
               {_sums()}
        from versions group by all;
    """


def _sums() -> str:
    return (
        ", ".join(f"sum({name}) as {name}" for name in MEASURES)
        + ", bool_or(simulated) as simulated"
    )


def _cells(k_anonymity: int, *, window: date | None = None) -> str:
    """SQL of the published cells out of `by_user`: of each day, or of all days as of `window`.

    With c clicks and n impressions of a user, R = Σc ÷ Σn, the variance of R is N ÷ (N - 1) × Σ(c -
    R n)² ÷ (Σn)², as sums of integers, which are exact in any order. The n and c of
    a user whose weight is bounded are scaled down by the same factor.
    """
    cell = "event_date, segment, segment_value, model_version"
    # On a day on which nobody was shown anything, those who played are the users of the whole.
    whole = f"segment = '{ALL}' and model_version = '{ALL}'"
    counted = f"""(
        select * replace (if({whole} and users = 0, players, users) as users)
        from (select {cell}, count(*) filter (impressions > 0) as users, count(*) as players
              from by_user group by all))"""
    published = published_cells(counted, group="event_date", k_anonymity=k_anonymity)
    day = "b.event_date" if window is None else f"date '{window}'"
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return f"""
        with published as (
            select b.* replace (p.published as segment_value, {day} as event_date)
            from by_user b join {published} p using ({cell}) where p.published is not null),
        users as materialized (select {cell}, user_key, {_sums()} from published group by all),
        weighed as (
            select u.*, {_counted("impressions", "impressions")},
                   {_counted("clicks", "impressions")},
                   {_counted("follows", "impressions")}, {_counted("track_ms", "track_ms")},
                   {_counted("heard_ms", "track_ms")}
            from users u
            left join {bounds_sql("users", cell=cell, weight="impressions")} of_impressions
                using ({cell})
            left join {bounds_sql("users", cell=cell, weight="track_ms")} of_track_ms
                using ({cell})),
        sums as (
            select {cell}, {_sums()}, count(*) filter (impressions > 0) as users,
                   sum(counted_clicks) as c, sum(counted_impressions) as n,
                   sum(counted_follows) as f,
                   sum(counted_heard_ms) as heard, sum(counted_track_ms) as lengths,
                   sum(counted_clicks * counted_clicks) as cc,
                   sum(counted_clicks * counted_impressions) as ci,
                   sum(counted_impressions * counted_impressions) as ii,
                   sum(round({SHARE_UNIT} * (100 * clicks / nullif(impressions, 0)))::hugeint)
                       as shares
            from weighed group by all),
        rated as (
            select *, c / nullif(n, 0) as ctr, cc * n * n - 2 * c * n * ci + c * c * ii as residual
            from sums),
        bounded as (
            select *,
                   {z} * sqrt(nullif(residual, 0)::double * users / nullif(users - 1, 0)) / n ** 2
                       as half
            from rated)
        select {cell}, users, impressions::bigint as impressions, clicks::bigint as clicks, ctr,
               if(half is null, null, greatest(ctr - half, 0)) as ctr_lower,
               if(half is null, null, least(ctr + half, 1)) as ctr_upper,
               shares / nullif(users, 0) / {SHARE_UNIT} as clicks_per_100, plays::bigint as plays,
               heard / nullif(lengths, 0) as listen_through, follows::bigint as follows,
               f / nullif(n, 0) as follow_rate, simulated
        from bounded order by {cell}
    """


def _counted(name: str, weight: str) -> str:
    return f"{counted_sql(name, weight=weight, bound=f'of_{weight}.bound')} as counted_{name}"
