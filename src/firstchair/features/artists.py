"""What listeners did with each artist before `as_of`: the popularity that trending and rankers read."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from firstchair.events.vocabulary import EventType
from firstchair.features.history import History, before
from firstchair.features.signals import follow_states

TRENDING_DAYS = 7
RECENT_DAYS = 28


def artist_statistics(history: History, *, as_of: date) -> ir.Table:
    """Counts of each artist of the catalogue, over all users, before `as_of`.

    Returns:
        One row per artist of silver/artists, no order: artist_id; plays_7d, plays_28d (plays of the last
        7 and 28 days); listeners (users who ever played the artist), impressions, clicks (ever);
        follows (users who follow the artist now); trending_rank (1 = most plays in the last 7 days,
        equal plays share a rank; null where there was none).
    """
    counts = _counts(history, as_of)
    follows = _follows(history, as_of)
    artists = history.artists.select("artist_id")
    joined = artists.left_join(counts, "artist_id").drop("artist_id_right")
    joined = joined.left_join(follows, "artist_id").drop("artist_id_right")
    names = ("plays_7d", "plays_28d", "listeners", "impressions", "clicks", "follows")
    filled = joined.select("artist_id", **{name: joined[name].fill_null(0).cast("int64") for name in names})
    place = ibis.rank().over(order_by=filled.plays_7d.desc()) + 1
    return filled.mutate(trending_rank=(filled.plays_7d > 0).ifelse(place, ibis.null("int64")).cast("int64"))


def _counts(history: History, as_of: date) -> ir.Table:
    events = before(history.events, as_of)
    events = events.filter(
        events.event_type.isin([EventType.PLAY, EventType.IMPRESSION, EventType.CLICK]), events.artist_id.notnull()
    )
    play = events.event_type == EventType.PLAY
    return events.group_by("artist_id").aggregate(
        plays_7d=(play & (events.event_date >= as_of - timedelta(days=TRENDING_DAYS))).sum(),
        plays_28d=(play & (events.event_date >= as_of - timedelta(days=RECENT_DAYS))).sum(),
        listeners=events.user_key.nunique(where=play),
        impressions=(events.event_type == EventType.IMPRESSION).sum(),
        clicks=(events.event_type == EventType.CLICK).sum(),
    )


def _follows(history: History, as_of: date) -> ir.Table:
    states = follow_states(history, as_of=as_of)
    standing = states.filter(states.follows)
    return standing.group_by("artist_id").aggregate(follows=standing.count())
