"""The artists a user follows, with facts about each."""

import ibis
import ibis.expr.types as ir

from firstchair.definitions.bounds import MOST_PLAYS
from firstchair.events.vocabulary import EventType
from firstchair.features.artists import RECENT_DAYS, artist_statistics
from firstchair.features.history import Day, History, as_day, before, days_before
from firstchair.features.signals import follow_states, without_impossible_days

TOP_TRACKS = 3


def followed_artists(history: History, *, as_of: Day) -> ir.Table:
    """The current follows of each user before `as_of` (the latest of follow and unfollow counts).

    Returns:
        One row per user who follows someone: user_key, followed_artists (structs by artist_id).
        top_tracks: up to 3 tracks by plays of all users in the last 28 days, ties by track_id; each
        user's plays are bounded as in `artist_statistics`. days_active: days from first_active_on
        to `as_of`, 0 if it lies later, null if unknown. trending_rank: as in
        `artist_statistics`. followers: as in the catalogue.
    """
    artists = _described(history, as_of)
    states = follow_states(history, as_of=as_of)
    current = states.filter(states.follows)
    joined = current.inner_join(artists, current.artist_id == artists.described_id)
    follows = joined.select("user_key", follow=_follow(joined))
    collected = follows.group_by("user_key").aggregate(followed=follows.follow.collect())
    return collected.select("user_key", followed_artists=collected.followed.sort())


def _follow(joined: ir.Table) -> ir.StructColumn:
    names = ("artist_id", "name", "top_tracks", "days_active", "trending_rank", "followers")
    return ibis.struct({name: joined[name] for name in names})


def _described(history: History, as_of: Day) -> ir.Table:
    """One row per artist: described_id, name, top_tracks, days_active, trending_rank, followers."""
    artists = history.artists.select("artist_id", "name", "first_active_on", "followers")
    artists = artists.left_join(
        artist_statistics(history, as_of=as_of).select("artist_id", "trending_rank"), "artist_id"
    ).drop("artist_id_right")
    artists = artists.left_join(_top_tracks(history, as_of), "artist_id").drop("artist_id_right")
    days = as_day(as_of).delta(artists.first_active_on, unit="day").cast("int64")
    return artists.select(
        "name",
        "trending_rank",
        "followers",
        described_id=artists.artist_id,
        top_tracks=artists.top_tracks.fill_null(ibis.literal([], type="array<string>")),
        days_active=artists.first_active_on.notnull().ifelse(
            ibis.greatest(days, 0), ibis.null("int64")
        ),
    )


def _top_tracks(history: History, as_of: Day) -> ir.Table:
    """The most played tracks of each artist over the last 28 days, most played first."""
    events = without_impossible_days(before(history.events, as_of))
    plays = events.filter(
        events.event_type == EventType.PLAY,
        events.event_date >= days_before(as_of, RECENT_DAYS),
        events.track_id.notnull(),
    )
    of_user = plays.group_by("artist_id", "track_id", "user_key").aggregate(plays=plays.count())
    of_user = of_user.mutate(plays=ibis.least(of_user.plays, MOST_PLAYS))
    counted = of_user.group_by("artist_id", "track_id").aggregate(plays=of_user.plays.sum())
    most = ibis.window(
        group_by=counted.artist_id, order_by=[counted.plays.desc(), counted.track_id]
    )
    ranked = counted.mutate(place=ibis.row_number().over(most))
    ranked = ranked.filter(ranked.place < TOP_TRACKS)
    entries = ranked.select(
        "artist_id", entry=ibis.struct({"place": ranked.place, "track_id": ranked.track_id})
    )
    collected = entries.group_by("artist_id").aggregate(entries=entries.entry.collect())
    return collected.select(
        "artist_id", top_tracks=collected.entries.sort().map(lambda e: e["track_id"])
    )
