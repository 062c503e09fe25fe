"""The newest signals of each user in a worker's memory, those that the lists do not know yet."""

import threading
from datetime import UTC, date, datetime
from sys import intern
from typing import Any, NamedTuple

from firstchair.events.vocabulary import EventType

DAY_SECONDS = 86_400
SIGNALS = frozenset({EventType.CLICK, EventType.PLAY, EventType.FOLLOW, EventType.UNFOLLOW})
# Bounds of memory; signals beyond them still count in tomorrow's lists.
MOST_SIGNALS = 200_000
MOST_OF_ONE_LISTENER = 200


class Signal(NamedTuple):
    """A click, play, follow or unfollow: one event about a user's preference for an artist.

    event_type: one of `SIGNALS`. track_id: empty but for a play. ms_played: >= 0, 0 but for a play.
    at: seconds since 1970.
    """

    event_id: str
    event_type: str
    artist_id: str
    track_id: str
    ms_played: int
    at: float


def signal_of(event: Any) -> tuple[str, Signal] | None:
    """User and signal of an event (docs/reference/contract.md, 1.1); None for any other value."""
    if not isinstance(event, dict):
        return None
    texts = [
        event.get(name)
        for name in ("user_id", "event_id", "event_type", "artist_id", "occurred_at")
    ]
    track, played = event.get("track_id") or "", event.get("ms_played") or 0
    if not all(isinstance(text, str) and text for text in [*texts, track or "none"]):
        return None
    user_id, event_id, event_type, artist_id, occurred_at = map(str, texts)
    at = _seconds(occurred_at)
    if event_type not in SIGNALS or at is None or not isinstance(played, int) or played < 0:
        return None
    return user_id, Signal(event_id, intern(event_type), intern(artist_id), track, played, at)


def _seconds(occurred_at: str) -> float | None:
    try:
        # Only a leap second is written `:60`, and Python knows none.
        instant = datetime.fromisoformat(occurred_at.upper().replace(":60", ":59"))
    except ValueError:
        return None
    return None if instant.tzinfo is None else instant.timestamp()


def unknown_to(as_of: date, now: float) -> float:
    """Instant from which lists of `as_of` miss signals: `as_of`, or yesterday 00:00 UTC if later.

    So a signal shortly before midnight still counts until the lists of the new day are published,
    which contain it.
    """
    midnight = now // DAY_SECONDS * DAY_SECONDS
    return max(
        datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC).timestamp(), midnight - DAY_SECONDS
    )


class Today:
    """Signals by user, each event once; over `most` signals, the first user of all is dropped.

    `users` maps 16 bytes of a pseudonym to the user's signals. It is read without a lock: a tuple
    in it is never changed, only replaced.
    """

    def __init__(self, *, most: int = MOST_SIGNALS) -> None:
        self.users: dict[bytes, tuple[Signal, ...]] = {}
        self.signals = 0
        self.most = most
        self.since = 0.0
        self._lock = threading.Lock()

    def add(self, user_key: bytes, signal: Signal) -> bool:
        """Keep a signal; False if it is known already or too old."""
        with self._lock:
            known = self.users.get(user_key, ())
            if signal.at < self.since or any(held.event_id == signal.event_id for held in known):
                return False
            kept = (*known, signal)[-MOST_OF_ONE_LISTENER:]
            self.users[user_key] = kept
            self.signals += len(kept) - len(known)
            while self.signals > self.most:
                self.signals -= len(self.users.pop(next(iter(self.users))))
            return True

    def unknown(self, user_key: bytes, as_of: date, now: float) -> tuple[Signal, ...]:
        """Signals of a user that lists of `as_of` do not know (`unknown_to`), oldest first."""
        known = self.users.get(user_key, ())
        if not known:
            return ()
        since = unknown_to(as_of, now)
        return tuple(signal for signal in known if signal.at >= since)

    def forget_before(self, since: float) -> None:
        """Drop signals before `since` (seconds since 1970), and refuse them from now on."""
        if since <= self.since:
            return
        with self._lock:
            self.since = since
            kept = (
                (key, tuple(held for held in known if held.at >= since))
                for key, known in self.users.items()
            )
            self.users = {key: known for key, known in kept if known}
            self.signals = sum(map(len, self.users.values()))
