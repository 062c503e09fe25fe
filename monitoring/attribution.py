"""Facts of engagement: impressions and their outcomes, by day, user, version and tier."""

from datetime import date

from firstchair.definitions.attribution import shown_sql
from firstchair.definitions.segments import UNKNOWN
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.features.segments import follower_tiers
from firstchair.lake import Lake, under_current_artists
from firstchair.lake import tables as t

MEASURES = ("impressions", "clicks", "plays", "heard_ms", "track_ms", "follows")


def facts(lake: Lake, *, first: date, last: date) -> str:
    """SQL that creates the temporary table `facts` of the days `first` to `last` (both included).

    Outcomes count on the day of their impression (`firstchair.definitions.attribution`). Outcomes
    after `last` count if they are in the lake, so the last `SLATE_DAYS` days may still grow.

    One row per event_date, user_key, model_version (null: plays without an impression, on
    their own day) and follower_tier:
        impressions: items shown. clicks, follows: items that were clicked, or followed.
        plays: events. heard_ms, track_ms: of plays of tracks of known length, each play capped at
            the track's.
        simulated: some event of these is.
    """
    return f"""
        create temp view happened as
        select * from {under_current_artists(lake, t.EVENTS)}
        where event_date between date '{first}' - {SLATE_DAYS} and date '{last}' + {SLATE_DAYS};
        create temp table shown as
        select event_date, user_key, artist_id, model_version, clicked, followed, plays, simulated
        from ({shown_sql("happened")});
        create temp table facts as
        with happenings as ({_shown()} union all by name {_plays(lake)})
        select event_date, user_key, model_version,
               coalesce(follower_tier, '{UNKNOWN}') as follower_tier,
               {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in MEASURES)},
               bool_or(simulated) as simulated
        from happenings left join {follower_tiers(lake)} using (artist_id)
        where event_date between date '{first}' and date '{last}' group by all;
    """


def _shown() -> str:
    return f"""
        select event_date, user_key, artist_id, {_version()}, 1 as impressions,
               clicked::integer as clicks, followed::integer as follows, simulated
        from shown"""


def _plays(lake: Lake) -> str:
    return f"""
        select coalesce(s.event_date, p.event_date) as event_date, p.user_key, p.artist_id,
               s.model_version, 1 as plays, p.simulated,
               case when k.duration_ms > 0
                    then least(coalesce(p.ms_played, 0), k.duration_ms) end as heard_ms,
               k.duration_ms as track_ms
        from happened p
        left join (select event_date, {_version()}, unnest(plays) as event_id from shown) s
             using (event_id)
        left join (select track_id, duration_ms from {lake.scan(t.TRACKS)} where duration_ms > 0) k
             using (track_id)
        where p.event_type = 'play'"""


def _version() -> str:
    return f"coalesce(model_version, '{UNKNOWN}') as model_version"
