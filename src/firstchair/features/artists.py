"""Statistics of each artist before `as_of`, such as plays and listeners."""

import ibis
import ibis.expr.types as ir

from firstchair.definitions.bounds import MOST_PLAYS, MOST_SHOWN
from firstchair.events.vocabulary import EventType
from firstchair.features.history import Day, History, before, days_before
from firstchair.features.signals import follow_states, without_impossible_days

TRENDING_DAYS = 7
RECENT_DAYS = 28


def artist_statistics(history: History, *, as_of: Day) -> ir.Table:
    """Counts of each artist of the catalogue, over all users, before `as_of`.

    Returns:
        One row per artist of silver/artists, no order: artist_id; plays_7d, plays_28d (plays of the
        last 7 and 28 days); listeners (users who ever played the artist), impressions, clicks
        (ever); follows (users who follow the artist now); trending_rank (1 = most plays in the last
        7 days, equal plays share a rank; null without plays). Of one user at most
        `MOST_PLAYS` plays of an artist count in 7 and in 28 days, and at most `MOST_SHOWN`
        impressions and clicks; plays of a day on which the user listened for more hours than it has
        do not count (`firstchair.definitions.bounds`).
    """
    counts = _counts(history, as_of)
    follows = _follows(history, as_of)
    artists = history.artists.select("artist_id")
    joined = artists.left_join(counts, "artist_id").drop("artist_id_right")
    joined = joined.left_join(follows, "artist_id").drop("artist_id_right")
    names = ("plays_7d", "plays_28d", "listeners", "impressions", "clicks", "follows")
    filled = joined.select(
        "artist_id", **{name: joined[name].fill_null(0).cast("int64") for name in names}
    )
    place = ibis.rank().over(order_by=filled.plays_7d.desc()) + 1
    return filled.mutate(
        trending_rank=(filled.plays_7d > 0).ifelse(place, ibis.null("int64")).cast("int64")
    )


def _counts(history: History, as_of: Day) -> ir.Table:
    events = without_impossible_days(before(history.events, as_of))
    events = events.filter(
        events.event_type.isin([EventType.PLAY, EventType.IMPRESSION, EventType.CLICK]),
        events.artist_id.notnull(),
    )
    play = events.event_type == EventType.PLAY
    of_user = events.group_by("artist_id", "user_key").aggregate(
        plays_7d=(play & (events.event_date >= days_before(as_of, TRENDING_DAYS))).sum(),
        plays_28d=(play & (events.event_date >= days_before(as_of, RECENT_DAYS))).sum(),
        plays=play.sum(),
        impressions=(events.event_type == EventType.IMPRESSION).sum(),
        clicks=(events.event_type == EventType.CLICK).sum(),
    )
    return of_user.group_by("artist_id").aggregate(
        **{name: ibis.least(of_user[name], MOST_PLAYS).sum() for name in ("plays_7d", "plays_28d")},
        listeners=(of_user.plays > 0).sum(),
        **{name: ibis.least(of_user[name], MOST_SHOWN).sum() for name in ("impressions", "clicks")},
    )


def _follows(history: History, as_of: Day) -> ir.Table:
    states = follow_states(history, as_of=as_of)
    current = states.filter(states.follows)
    return current.group_by("artist_id").aggregate(follows=current.count())
