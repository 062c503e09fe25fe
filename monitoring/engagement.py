"""Engagement by day, segment and model version: impressions, clicks, listen-through, follows."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from firstchair.features.segments import ALL, Segment, follower_tiers, published_values, user_segments
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from monitoring.figures import line_plot

# A slate shown before midnight is clicked after it; longer than a day nobody leaves it open.
SLATE_DAYS = 1
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class EngagementReport:
    """What stands in gold/engagement_daily for the days built.

    rows: cells. days: days with a cell. simulated: some event of these days is. plot: CTR and listen-through
    by day as a Markdown picture.
    """

    rows: int
    days: int
    simulated: bool
    plot: str


def build_engagement(lake: Lake, *, first: date, last: date, k_anonymity: int) -> EngagementReport:
    """Put the cells of the days `first` to `last` (both included) in place of those partitions.

    One row per event_date × segment × segment_value × model_version, and one over all versions (`all`),
    which alone holds plays that came from no slate. A click, play or follow counts for the version that
    filled its slate, on its own day. ctr = clicked impressions ÷ impressions, with its 95 % interval by the
    delta method over users (Deng, Knoblich and Lu 2018, "Applying the delta method in metric analytics",
    section 3); clicks_per_100 = mean over users of 100 × clicks ÷ impressions; listen_through = milliseconds
    heard ÷ milliseconds of the tracks, each play capped at its track; follow_rate = follows ÷ users.
    """
    with connect() as connection:
        connection.execute(_facts(lake, first, last, by_day=True))
        cells = connection.execute(_cells(k_anonymity)).to_arrow_table()
    lake.replace_range(t.ENGAGEMENT_DAILY, cells, first, last)
    whole = [row for row in cells.to_pylist() if row["segment"] == ALL and row["model_version"] == ALL]
    whole.sort(key=lambda row: row["event_date"])
    simulated = any(row["simulated"] for row in whole)
    names = ("ctr", "listen_through")
    lines = {name: [(row["event_date"], row[name]) for row in whole if row[name] is not None] for name in names}
    title = "CTR and listen-through" + (" (simulated)" if simulated else "")
    return EngagementReport(cells.num_rows, len(whole), simulated, line_plot(lines, title=title, ylabel="share"))


def engagement_summary(lake: Lake, *, first: date, last: date, k_anonymity: int) -> list[dict[str, Any]]:
    """The same cells over the whole window at once, all versions together; `all` first."""
    with connect() as connection:
        connection.execute(_facts(lake, first, last, by_day=False))
        rows = connection.execute(_cells(k_anonymity)).to_arrow_table().to_pylist()
    kept = ["segment", "segment_value", "users", "impressions", "clicks", "ctr", "ctr_lower", "ctr_upper"]
    kept += ["clicks_per_100", "listen_through"]
    wanted = [row for row in rows if row["model_version"] == ALL]
    order = list(Segment)
    wanted.sort(key=lambda row: (order.index(Segment(row["segment"])), row["segment_value"]))
    return [{name: row[name] for name in kept} for row in wanted]


def _facts(lake: Lake, first: date, last: date, *, by_day: bool) -> str:
    """SQL of `facts`: sums by day, user, model version (null: from no slate) and follower tier."""
    day = "e.event_date" if by_day else f"date '{last}'"
    return f"""
        create temp table shown as
        select slate_id, artist_id, user_key, any_value(model_version) as model_version, min(event_date) as shown_on
        from {lake.scan(t.EVENTS)} where event_type = 'impression'
          and event_date between date '{first}' - {SLATE_DAYS} and date '{last}' group by all;
        create temp table facts as
        select {day} as event_date, e.user_key,
               case when e.event_type = 'impression' then e.model_version else s.model_version end as model_version,
               coalesce(f.follower_tier, 'unknown') as follower_tier,
               count(*) filter (e.event_type = 'impression') as impressions,
               count(distinct case when e.event_type = 'click' then (e.slate_id, e.artist_id) end) as clicks,
               count(*) filter (e.event_type = 'play') as plays,
               sum(least(e.ms_played, k.duration_ms)) filter (e.event_type = 'play' and k.duration_ms > 0) as heard_ms,
               sum(k.duration_ms) filter (e.event_type = 'play' and k.duration_ms > 0) as track_ms,
               count(*) filter (e.event_type = 'follow') as follows,
               bool_or(e.simulated) as simulated
        from {lake.scan(t.EVENTS)} e
        left join shown s on s.slate_id = e.slate_id and s.artist_id = e.artist_id and s.user_key = e.user_key
                         and e.event_date - s.shown_on between 0 and {SLATE_DAYS}
        left join {follower_tiers(lake)} f on f.artist_id = e.artist_id
        left join (select track_id, duration_ms from {lake.scan(t.TRACKS)}) k on k.track_id = e.track_id
        where e.event_date between date '{first}' and date '{last}'
          and e.event_type in ('impression', 'click', 'play', 'follow')
        group by all;
        create temp table by_user as
        with versions as (
            select * from facts where model_version is not null
            union all select * replace ('{ALL}' as model_version) from facts),
        told as (
            select v.*, unnest({user_segments(lake, day="v.event_date")}) as s
            from versions v left join {lake.scan(t.USERS)} u on u.user_key = v.user_key
            union all
            select v.*, {{'segment': '{Segment.FOLLOWER_TIER}', 'value': follower_tier}} from versions v)
        select event_date, model_version, s.segment as segment, s.value as segment_value, user_key,
               sum(impressions) as impressions, sum(clicks) as clicks, sum(plays) as plays,
               sum(heard_ms) as heard_ms, sum(track_ms) as track_ms, sum(follows) as follows,
               bool_or(simulated) as simulated
        from told group by all;
    """


def _cells(k_anonymity: int) -> str:
    """SQL of the published cells out of `by_user`."""
    counted = "(select event_date, model_version, segment, segment_value, count(*) as users from by_user group by all)"
    published = published_values(counted, group="event_date, model_version", k_anonymity=k_anonymity)
    return f"""
        with published as (
            select b.* replace (p.published as segment_value)
            from by_user b join {published} p using (event_date, model_version, segment, segment_value)
            where p.published is not null),
        users as (
            select event_date, model_version, segment, segment_value, user_key,
                   sum(impressions) as impressions, sum(clicks) as clicks, sum(plays) as plays,
                   sum(heard_ms) as heard_ms, sum(track_ms) as track_ms, sum(follows) as follows,
                   bool_or(simulated) as simulated
            from published group by all),
        rated as (
            select *, sum(clicks) over cell / nullif(sum(impressions) over cell, 0) as ctr from users
            window cell as (partition by event_date, model_version, segment, segment_value)),
        cells as (
            select event_date, segment, segment_value, model_version, count(*) as users,
                   sum(impressions) as impressions, sum(clicks) as clicks, any_value(ctr) as ctr,
                   sqrt(sum((clicks - ctr * impressions) ** 2) * count(*) / nullif(count(*) - 1, 0))
                       / nullif(sum(impressions), 0) as ctr_se,
                   avg(100 * clicks / nullif(impressions, 0)) as clicks_per_100,
                   sum(plays) as plays, sum(heard_ms) / nullif(sum(track_ms), 0) as listen_through,
                   sum(follows) as follows, bool_or(simulated) as simulated
            from rated group by all)
        select event_date, segment, segment_value, model_version, users, impressions::bigint as impressions,
               clicks::bigint as clicks, ctr, greatest(ctr - {Z_95} * ctr_se, 0) as ctr_lower,
               least(ctr + {Z_95} * ctr_se, 1) as ctr_upper, clicks_per_100, plays::bigint as plays, listen_through,
               follows::bigint as follows, follows / users as follow_rate, simulated
        from cells order by event_date, segment, segment_value, model_version
    """
