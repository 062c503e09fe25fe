"""The user–item matrix in long form: preference and confidence of users for artists."""

import ibis
import ibis.expr.types as ir

from firstchair.events.vocabulary import EventType
from firstchair.features.confidence import STANDARD, ConfidenceSettings
from firstchair.features.history import Day, History, as_day, before
from firstchair.features.signals import follow_states, positive_signals

# Strengths are summed as integers of this unit, so that sums do not depend on the order of rows.
UNITS = 1_000_000_000
CONFIDENCE_DECIMALS = 6


def interactions(
    history: History, *, as_of: Day, settings: ConfidenceSettings = STANDARD
) -> ir.Table:
    """The user–item matrix of everything before `as_of`, by the formula of `ConfidenceSettings`.

    Returns:
        One row per user × artist with a positive signal, an unfollow last, or enough impressions;
        no order. user_key, artist_id, as_of, confidence (>= 1; in 0..1 exclusive if
        preference is 0), preference (1 or 0), plays, clicks, impressions (all, skips included),
        follows (now), last_signal_on (UTC day of the last positive signal that was not withdrawn;
        null if preference is 0).
    """
    pairs = _pairs(history, as_of, settings)
    liked = pairs.last_signal_on.notnull()
    refused = (pairs.impressions >= settings.min_impressions) | pairs.withdrawn
    rows = pairs.filter(liked | refused)
    confidence = rows.last_signal_on.notnull().ifelse(
        _liking(rows, settings), _refusal(rows, settings)
    )
    return rows.select(
        "user_key",
        "artist_id",
        as_of=as_day(as_of),
        confidence=confidence.round(CONFIDENCE_DECIMALS),
        preference=rows.last_signal_on.notnull().cast("int8"),
        plays=rows.plays,
        clicks=rows.clicks,
        impressions=rows.impressions,
        follows=rows.follows,
        last_signal_on=rows.last_signal_on,
    )


def _pairs(history: History, as_of: Day, settings: ConfidenceSettings) -> ir.Table:
    """One row per user × artist with any event: counts, strength in UNITS, the user's total."""
    parts = ibis.union(
        _counted(history, as_of), _signalled(history, as_of, settings), _followed(history, as_of)
    )
    pairs = parts.group_by("user_key", "artist_id").aggregate(
        plays=parts.plays.sum().cast("int64"),
        clicks=parts.clicks.sum().cast("int64"),
        impressions=parts.impressions.sum().cast("int64"),
        strength=parts.strength.sum().cast("int64"),
        follows=parts.follows.max() > 0,
        withdrawn=parts.follows.min() < 0,
        last_signal_on=parts.last_signal_on.max(),
    )
    return pairs.mutate(
        total=pairs.strength.sum().over(ibis.window(group_by=pairs.user_key)).cast("int64")
    )


def _liking(pairs: ir.Table, settings: ConfidenceSettings) -> ir.FloatingColumn:
    strength, total = pairs.strength.cast("float64") / UNITS, pairs.total.cast("float64") / UNITS
    damped = strength / (1 + total / settings.activity_scale)
    return 1 + (1 + damped / settings.epsilon).ln()


def _refusal(pairs: ir.Table, settings: ConfidenceSettings) -> ir.FloatingColumn:
    shown = (pairs.impressions - settings.min_impressions + 1).cast("float64")
    grown = 1 - ibis.literal(0.5) ** (shown / settings.negative_half_impressions)
    return settings.negative_ceiling * pairs.withdrawn.ifelse(1.0, grown)


def _counted(history: History, as_of: Day) -> ir.Table:
    """Plays, clicks and impressions of each pair."""
    events = before(history.events, as_of)
    events = events.filter(
        events.event_type.isin([EventType.PLAY, EventType.CLICK, EventType.IMPRESSION]),
        events.artist_id.notnull(),
    )
    counts = events.group_by("user_key", "artist_id").aggregate(
        plays=(events.event_type == EventType.PLAY).sum(),
        clicks=(events.event_type == EventType.CLICK).sum(),
        impressions=(events.event_type == EventType.IMPRESSION).sum(),
    )
    return _part(counts, plays=counts.plays, clicks=counts.clicks, impressions=counts.impressions)


def _signalled(history: History, as_of: Day, settings: ConfidenceSettings) -> ir.Table:
    """Decayed strength of each pair's signals not withdrawn, in UNITS, and day of the last one."""
    signals = positive_signals(history, as_of=as_of)
    signals = signals.filter(signals.event_type != EventType.FOLLOW)
    is_play = signals.event_type == EventType.PLAY
    strengths = signals.select(
        "user_key",
        "artist_id",
        "event_date",
        undecayed=is_play.ifelse(
            settings.play_strength * signals.listen_through, settings.click_strength
        ),
    )
    follows = follow_states(history, as_of=as_of)
    follows = follows.filter(follows.follows).select(
        "user_key",
        "artist_id",
        event_date=follows.changed_on,
        undecayed=ibis.literal(settings.follow_strength, type="float64"),
    )
    signals_and_follows = ibis.union(strengths, follows)
    age_days = as_day(as_of).delta(signals_and_follows.event_date, unit="day")
    decayed = signals_and_follows.undecayed * ibis.literal(0.5) ** (
        age_days.cast("float64") / settings.half_life_days
    )
    signals_and_follows = signals_and_follows.mutate(units=(decayed * UNITS).round().cast("int64"))
    summed = signals_and_follows.group_by("user_key", "artist_id").aggregate(
        strength=signals_and_follows.units.sum(),
        last_signal_on=signals_and_follows.event_date.max(),
    )
    return _part(summed, strength=summed.strength, last_signal_on=summed.last_signal_on)


def _followed(history: History, as_of: Day) -> ir.Table:
    """Follows of each pair as a number: 1 for a current one, -1 for a withdrawn one."""
    states = follow_states(history, as_of=as_of)
    return _part(states, follows=states.follows.ifelse(1, -1))


def _part(table: ir.Table, **known: ir.Value) -> ir.Table:
    """The columns that `_pairs` adds up, with 0 (or no day) for those this part lacks."""
    numbers = {
        name: known.get(name, ibis.literal(0))
        for name in ("plays", "clicks", "impressions", "strength", "follows")
    }
    return table.select(
        "user_key",
        "artist_id",
        **{name: value.cast("int64") for name, value in numbers.items()},
        last_signal_on=known.get("last_signal_on", ibis.null("date")),
    )
