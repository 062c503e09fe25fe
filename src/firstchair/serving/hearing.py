"""Where knowledge of today comes from: events a worker accepts, its fellow workers, the event store at the start."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path

import orjson

from firstchair.errors import SourceError
from firstchair.serving.logins import pseudonyms
from firstchair.serving.signal_log import SignalLog, delivered_signals
from firstchair.serving.today import DAY_SECONDS, Signal, Today, signal_of

# What only a login of somebody with signals needs; loaded with the first signal, so that no login waits for it.
FOLDING = "firstchair.serving.folded_slates"


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
                if self._add(key, told[1]):
                    new.append((key, told[1]))
        with suppress(OSError):  # the event is in the spool already; the sender need not hear of a lost hint
            self.log.write(new, _day(now))

    def step(self, now: float) -> None:
        """Hear what is new of the other workers, forget what is over; the first time, learn what was before."""
        yesterday = now // DAY_SECONDS * DAY_SECONDS - DAY_SECONDS
        self.today.forget_before(yesterday)
        self.log.forget_before(_day(yesterday))
        for key, signal in self.log.news():
            self._add(key, signal)
        if not self._caught_up:
            self._catch_up(yesterday)

    def close(self) -> None:
        """Stop learning, in the middle of it if need be."""
        self._closed = True

    def _catch_up(self, since: float) -> None:
        try:
            for user_id, signal in delivered_signals(self.events_url, since):
                self._add(self._key(user_id), signal)
                if self._closed:
                    return
        except SourceError:
            return  # a store that is away is tried again at the next step
        self._caught_up = True

    def _add(self, key: bytes, signal: Signal) -> bool:
        import_module(FOLDING)
        return self.today.add(key, signal)

    def _key(self, user_id: str) -> bytes:
        return self._pseudonym(user_id.encode("utf-8", "surrogatepass"))


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()
