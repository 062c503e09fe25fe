"""What was shown, and what came of it: each click, play and follow credited to the model that filled its slate."""

from datetime import date

from firstchair.features.segments import UNKNOWN, follower_tiers
from firstchair.lake import Lake
from firstchair.lake import tables as t

# A slate shown before midnight is clicked after it; longer than a day nobody leaves it open.
SLATE_DAYS = 1
MEASURES = ("impressions", "clicks", "plays", "heard_ms", "track_ms", "follows")


def facts(lake: Lake, *, first: date, last: date) -> str:
    """SQL that makes the temporary table `facts` of the days `first` to `last` (both included).

    One row per event_date, user_key, model_version (null: no slate is known that it came from) and follower_tier:
        impressions: events.
        clicks: impressions clicked; each counts once, on the first day that it was. A click on what was not shown
            to the user on that day or the day before is no click on an impression and is left out.
        plays: events. heard_ms, track_ms: of plays of tracks of known length, each play capped at the track's.
        follows: artists followed who were shown to the user before, on that day or the day before; for the
            version of the latest such impression.
        simulated: some event of these is.
    A day's rows depend on events of that day and the day before alone, so a range of days is the same in one
    pass as day by day.
    """
    return f"""
        create temp view happened as
        select * from {lake.scan(t.EVENTS)}
        where event_date between date '{first}' - {SLATE_DAYS} and date '{last}';
        create temp table shown as
        select user_key, slate_id, artist_id, event_date as shown_on, max(model_version) as model_version,
               min(occurred_at) as shown_at
        from happened where event_type = 'impression' group by all;
        create temp table facts as
        with happenings as ({_impressions()} union all by name {_clicks()} union all by name {_plays(lake)}
                            union all by name {_follows()})
        select event_date, user_key, model_version, coalesce(follower_tier, '{UNKNOWN}') as follower_tier,
               {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in MEASURES)}, bool_or(simulated) as simulated
        from happenings left join {follower_tiers(lake)} using (artist_id)
        where event_date >= date '{first}' group by all;
    """


def _impressions() -> str:
    return f"""
        select event_date, user_key, artist_id, coalesce(model_version, '{UNKNOWN}') as model_version,
               1 as impressions, simulated
        from happened where event_type = 'impression'"""


def _clicks() -> str:
    return f"""
        select c.event_date, user_key, artist_id, {_version("s.shown_on")}, 1 as clicks,
               any_value(c.simulated) as simulated
        from (select *, lag(event_date) over (partition by user_key, slate_id, artist_id order by event_date) as earlier
              from (select user_key, slate_id, artist_id, event_date, bool_or(simulated) as simulated
                    from happened where event_type = 'click' group by all)) c
        join shown s using (user_key, slate_id, artist_id)
        where {_lately("c")} and (c.earlier is null or c.event_date - c.earlier > {SLATE_DAYS})
        group by c.event_date, user_key, artist_id, slate_id"""


def _plays(lake: Lake) -> str:
    return f"""
        select p.event_date, p.user_key, p.artist_id, v.model_version, 1 as plays, p.simulated,
               case when k.duration_ms > 0 then least(coalesce(p.ms_played, 0), k.duration_ms) end as heard_ms,
               k.duration_ms as track_ms
        from happened p
        left join (select p.event_id, {_version("s.shown_on")}
                   from happened p join shown s using (user_key, slate_id, artist_id)
                   where p.event_type = 'play' and {_lately("p")} group by all) v using (event_id)
        left join (select track_id, duration_ms from {lake.scan(t.TRACKS)} where duration_ms > 0) k using (track_id)
        where p.event_type = 'play'"""


def _follows() -> str:
    return f"""
        select f.event_date, user_key, artist_id, {_version("(s.shown_at, s.slate_id)")}, 1 as follows,
               any_value(f.simulated) as simulated
        from (select user_key, artist_id, event_date, min(occurred_at) as followed_at, bool_or(simulated) as simulated
              from happened where event_type = 'follow' group by all) f
        join shown s using (user_key, artist_id)
        where {_lately("f")} and s.shown_at <= f.followed_at
        group by f.event_date, user_key, artist_id"""


def _lately(happening: str) -> str:
    return f"{happening}.event_date - s.shown_on between 0 and {SLATE_DAYS}"


def _version(newest_by: str) -> str:
    return f"coalesce(arg_max(s.model_version, {newest_by}), '{UNKNOWN}') as model_version"
