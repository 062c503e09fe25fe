"""Where knowledge of today comes from: events a worker accepts, its fellow workers, the event store at the start."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from firstchair.errors import SourceError
from firstchair.login.logins import pseudonyms
from firstchair.signals.signal_log import SignalLog, delivered_signals
from firstchair.signals.today import DAY_SECONDS, Today, signal_of


class Hearing:
    """Keeps a `Today` up to date; account keys become pseudonyms before anything is kept."""

    def __init__(self, root: Path, source: str, *, events_url: str, pseudonym_key: bytes) -> None:
        self.today = Today()
        self.log = SignalLog(root, source)
        self.events_url = events_url
        self._pseudonym = pseudonyms(pseudonym_key)
        self._caught_up = self._closed = False

    def take(self, lines: Sequence[bytes], now: float) -> None:
        """Events that this worker accepted, a JSON object each; signals among them count from here on, once."""
        new = []
        for line in lines:
            if (told := signal_of(orjson.loads(line))) is not None:
                key = self._key(told[0])
                if self.today.add(key, told[1]):
                    new.append((key, told[1]))
        with suppress(OSError):  # the event is in the spool already; the sender need not hear of a lost hint
            self.log.write(new, _day(now))

    def step(self, now: float) -> None:
        """Hear what is new of the other workers, forget what is over; the first time, learn what was before."""
        yesterday = now // DAY_SECONDS * DAY_SECONDS - DAY_SECONDS
        self.today.forget_before(yesterday)
        self.log.forget_before(_day(yesterday))
        for key, signal in self.log.news():
            self.today.add(key, signal)
        if not self._caught_up:
            self._catch_up(yesterday)

    def close(self) -> None:
        """Stop learning, in the middle of it if need be."""
        self._closed = True

    def _catch_up(self, since: float) -> None:
        try:
            for user_id, signal in delivered_signals(self.events_url, since):
                self.today.add(self._key(user_id), signal)
                if self._closed:
                    return
        except SourceError:
            return  # a store that is away is tried again at the next step
        self._caught_up = True

    def _key(self, user_id: str) -> bytes:
        return self._pseudonym(user_id.encode("utf-8", "surrogatepass"))


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()
