"""Samples for drift: user-days of some days, and clicks of users by kind of item."""

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from firstchair.definitions.attribution import shown_sql
from firstchair.definitions.segments import UNKNOWN, USER_SEGMENTS, user_segment_columns
from firstchair.features.segments import follower_tiers
from firstchair.lake import Lake, connect, known_users, under_current_artists
from firstchair.lake import tables as t

# Columns by kind: features of users, population, catalogue, and responses.
FEATURES = ("clicks_per_100", "listen_through", "plays_per_day", "logins_per_day")
POPULATION = (*map(str, USER_SEGMENTS), "cold")
CATALOGUE = ("played_follower_tier", "played_artist_age")
RESPONSES = ("ctr", "ctr_local_hits", "ctr_known_artists", "ctr_other_artists")
# Days for which an artist is new; days and score of a local hit.
NEW_ARTIST_DAYS = 60
HIT_DAYS, HIT_SCORE = 7, 2.0
INTERACTIONS = ("play", "click", "follow")
# A user without positive interactions in this many days before a day is cold on it.
WARM_DAYS = 28


@dataclass(frozen=True, slots=True)
class Sample:
    """Some days of a service.

    days: one row per user-day with an event: user_key, `FEATURES` (NaN without such a rate),
    `POPULATION` and `CATALOGUE` as text (None if unknown). answers: one row per user: impressions
    and clicks, `shown_<x>` and `clicked_<x>` for each x of `RESPONSES`. Only clicks on the day of
    the impression count, here and in `clicks_per_100`, because the day after the newest is not
    known yet, and all days must be counted alike. simulated: whether any event is.
    """

    days: pd.DataFrame
    answers: pd.DataFrame
    simulated: bool


def draw(lake: Lake, days: list[date], *, max_users: int) -> Sample:
    """Draw user-days and answers of `days` (UTC, ascending) for about `max_users` users at most."""
    with connect() as connection:
        connection.execute(_events(lake, days, _share(lake, max_users)))
        connection.execute(_hits(lake, days))
        connection.execute(_impressions(lake))
        return Sample(
            days=connection.execute(_user_days(lake)).df(),
            answers=connection.execute(_answers()).df(),
            simulated=bool(
                connection.execute(
                    "select coalesce(bool_or(simulated), false) from happened"
                ).fetchall()[0][0]
            ),
        )


def _share(lake: Lake, max_users: int) -> str:
    """SQL condition of the sample: by the first digits of pseudonyms, so that users stay in it."""
    share = min(1.0, max_users / max(1, lake.count(t.USERS)))
    return "true" if share == 1 else f"user_key < '{int(share * 16**8):08x}'"


def _events(lake: Lake, days: list[date], sampled: str) -> str:
    """SQL of `happened`, events of the days, and of the interactions of their users.

    `played_before`: when each user first had one with an artist. `interacted`: days of each user.
    """
    listing = ", ".join(f"date '{day}'" for day in days)
    return f"""
        create temp table happened as
        select * from {under_current_artists(lake, t.EVENTS)}
        where event_date in ({listing}) and {sampled};
        create temp table played_before as
        select user_key, artist_id, min(event_date) as first_on
        from {under_current_artists(lake, t.EVENTS)}
        where event_type in {INTERACTIONS} and event_date <= date '{days[-1]}' and {sampled}
        group by all;
        create temp table interacted as
        select distinct user_key, event_date as day from {lake.scan(t.EVENTS)}
        where event_type in {INTERACTIONS} and event_date < date '{days[-1]}'
            and event_date >= date '{days[0]}' - {WARM_DAYS} and {sampled};
    """


def _hits(lake: Lake, days: list[date]) -> str:
    """SQL of `hits`: local hits of each day and cell (a country or an age group).

    The score is (listeners - expected) ÷ √(expected + 1), over users with a first interaction in
    the days before; expected is the artist's share over all cells. First interactions and not plays
    count, because favourites are played for years, and one user can play a track all day.
    """
    listing = ", ".join(f"date '{day}'" for day in days)
    return f"""
        create temp table cells as
        select user_key, unnest(['country ' || coalesce(country, '{UNKNOWN}'),
                                 'age ' || coalesce(age_group, '{UNKNOWN}')]) as cell
        from {known_users(lake)};
        create temp table hits as
        with summed as (
            select d as day, cell, artist_id, count(*) as listeners
            from (select unnest([{listing}]) as d)
            join played_before on first_on >= d - {HIT_DAYS} and first_on < d
            join cells using (user_key)
            group by all),
        expected as (
            select *, sum(listeners) over (partition by day, cell)
                       * sum(listeners) over (partition by day, artist_id)
                      / sum(listeners) over (partition by day) as usual
            from summed)
        select day, cell, artist_id from expected
        where (listeners - usual) / sqrt(usual + 1) >= {HIT_SCORE};
    """


def _impressions(lake: Lake) -> str:
    """SQL of `shown`: items shown, their kind for the user, whether clicked on the same day."""
    return f"""
        create temp table shown as
        with slates as (
            select user_key, artist_id, event_date as day,
                   coalesce(clicked_on = event_date, false) as clicked
            from ({shown_sql("happened")})),
        local as (
            select distinct s.user_key, s.day, s.artist_id
            from slates s join cells using (user_key) join hits using (day, cell, artist_id))
        select s.user_key, s.artist_id, s.day, h.artist_id is not null as local_hits,
               coalesce(p.first_on < s.day, false) as known_artists, s.clicked
        from slates s
        left join local h on h.user_key = s.user_key and h.day = s.day and h.artist_id = s.artist_id
        left join played_before p on p.user_key = s.user_key and p.artist_id = s.artist_id;
    """


def _user_days(lake: Lake) -> str:
    whole_from = min(lake.partitions(t.EVENTS)) + timedelta(days=WARM_DAYS)
    return f"""
        with counted as (
            select user_key, event_date as day,
                   count(*) filter (event_type = 'play') as plays_per_day,
                   count(*) filter (event_type = 'login') as logins_per_day,
                   arg_min(artist_id, hash(event_id)) filter (event_type = 'play') as played
            from happened group by all),
        heard as (
            select user_key, event_date as day,
                   sum(least(coalesce(ms_played, 0), duration_ms)) / sum(duration_ms)
                       as listen_through
            from happened join {lake.scan(t.TRACKS)} using (track_id)
            where event_type = 'play' and duration_ms > 0 group by all),
        answered as (
            select user_key, day, 100 * count(*) filter (clicked) / count(*) as clicks_per_100
            from shown group by all),
        warm as (
            select distinct c.user_key, c.day from counted c join interacted i using (user_key)
            where i.day < c.day and i.day >= c.day - {WARM_DAYS})
        select c.user_key, r.clicks_per_100, h.listen_through,
               c.plays_per_day::double as plays_per_day,
               c.logins_per_day::double as logins_per_day,
               {user_segment_columns("c.day")},
               case when c.day >= date '{whole_from}'
                    then if(w.user_key is null, 'cold', 'warm') end as cold,
               f.follower_tier as played_follower_tier,
               case when c.day - a.first_active_on < {NEW_ARTIST_DAYS} then 'new'
                    when a.first_active_on is not null then 'established' end as played_artist_age
        from counted c left join heard h using (user_key, day)
        left join answered r using (user_key, day)
        left join warm w using (user_key, day) left join {known_users(lake)} u using (user_key)
        left join {follower_tiers(lake)} f on f.artist_id = c.played
        left join {lake.scan(t.ARTISTS)} a on a.artist_id = c.played
        order by c.user_key, c.day
    """


def _answers() -> str:
    kinds = {name.removeprefix("ctr_"): name for name in RESPONSES[1:-1]}
    of_kind = {name: kind for kind, name in kinds.items()} | {
        "ctr": "true",
        "ctr_other_artists": f"not ({' or '.join(kinds)})",
    }
    sums = ", ".join(
        f"count(*) filter ({of_kind[name]})::double as shown_{name}, "
        f"count(*) filter ({of_kind[name]} and clicked)::double as clicked_{name}"
        for name in RESPONSES
    )
    return f"select user_key, {sums} from shown group by user_key order by user_key"
