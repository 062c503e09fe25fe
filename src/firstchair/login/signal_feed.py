"""Signals of today from three sources: accepted events, the other workers, the event store."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from firstchair.errors import SourceError
from firstchair.login.logins import pseudonyms
from firstchair.signals.signal_log import SignalLog, delivered_signals
from firstchair.signals.today import DAY_SECONDS, Today, signal_of


class SignalFeed:
    """Keeps a `Today` up to date; signals are kept under pseudonyms, not under account keys."""

    def __init__(self, root: Path, source: str, *, events_url: str, pseudonym_key: bytes) -> None:
        self.today = Today()
        self.log = SignalLog(root, source)
        self.events_url = events_url
        self._pseudonym = pseudonyms(pseudonym_key)
        self._caught_up = self._closed = False

    def take(self, lines: Sequence[bytes], now: float) -> None:
        """Add the signals among events that this worker accepted, each once.

        Args:
            lines: A JSON object each.
            now: Seconds since 1970.
        """
        new = []
        for line in lines:
            if (found := signal_of(orjson.loads(line))) is not None:
                user_id, signal = found
                key = self._key(user_id)
                if self.today.add(key, signal):
                    new.append((key, signal))
        with suppress(OSError):  # the event is in the spool; a lost hint is no fault of the request
            self.log.write(new, _day(now))

    def step(self, now: float) -> None:
        """Read new signals of the other workers and forget those of before yesterday.

        Until it succeeds once, it also reads the signals that the event store holds already.
        """
        yesterday = now // DAY_SECONDS * DAY_SECONDS - DAY_SECONDS
        self.today.forget_before(yesterday)
        self.log.forget_before(_day(yesterday))
        for key, signal in self.log.news():
            self.today.add(key, signal)
        if not self._caught_up:
            self._catch_up(yesterday)

    def close(self) -> None:
        """Stop reading from the event store, even in the middle of it."""
        self._closed = True

    def _catch_up(self, since: float) -> None:
        try:
            for user_id, signal in delivered_signals(self.events_url, since):
                self.today.add(self._key(user_id), signal)
                if self._closed:
                    return
        except SourceError:
            return  # the next step tries a store that cannot be reached again
        self._caught_up = True

    def _key(self, user_id: str) -> bytes:
        return self._pseudonym(user_id.encode("utf-8", "surrogatepass"))


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()
