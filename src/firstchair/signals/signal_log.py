"""How the workers of one machine tell each other of signals, and what a new worker learns of the day so far."""

import os
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from sys import intern

import orjson

from firstchair.signals.today import Signal, signal_of

SUFFIX = ".signals"
# As the spool writes it; most of what it brings are impressions, which need not be parsed to be passed over.
IMPRESSION = '"event_type":"impression"'


class SignalLog:
    """A file for each worker and UTC day, a line for each signal; under pseudonyms, so no line holds an account key.

    Beside the spool because its segments are for the most part slates, which every other worker would have to
    read too, and because a segment may be delivered and gone between two looks. A line here is a hint: it is not
    synced, and what is lost of it stands in the event store.
    """

    def __init__(self, root: Path, source: str) -> None:
        self.root = root
        self.source = source
        self._read: dict[str, int] = {}

    def write(self, signals: Iterable[tuple[bytes, Signal]], day: date) -> None:
        """Tell the other workers, in one append."""
        lines = b"".join(
            orjson.dumps([key.hex(), *signal], option=orjson.OPT_APPEND_NEWLINE) for key, signal in signals
        )
        if not lines:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / f"{day}-{self.source}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, lines)
        finally:
            os.close(descriptor)

    def news(self) -> Iterator[tuple[bytes, Signal]]:
        """What the other workers wrote since the last call; all that is there on the first one."""
        for path in sorted(self.root.glob(f"*{SUFFIX}")):
            if path.name.endswith(f"-{self.source}{SUFFIX}"):
                continue
            with path.open("rb") as file:
                file.seek(self._read.get(path.name, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # still being written
                    self._read[path.name] = self._read.get(path.name, 0) + len(line)
                    yield from _told(line)

    def forget_before(self, day: date) -> None:
        """Remove the files of days before `day`, whichever worker wrote them."""
        for path in self.root.glob(f"*{SUFFIX}"):
            if path.name < day.isoformat():
                path.unlink(missing_ok=True)
                self._read.pop(path.name, None)


def _told(line: bytes) -> Iterator[tuple[bytes, Signal]]:
    try:
        key, event_id, event_type, artist_id, *rest = orjson.loads(line)
        told = bytes.fromhex(key), Signal(event_id, intern(event_type), intern(artist_id), *rest)
    except (ValueError, TypeError):
        return  # torn by a kill
    yield told


def delivered_signals(events_url: str, since: float) -> Iterator[tuple[str, Signal]]:
    """User and signal of what APIs brought to the event store from `since` (seconds since 1970) on.

    Raises:
        SourceError: The store cannot be read.
    """
    from firstchair.sources import EventStore

    store = EventStore(f"{events_url.rstrip('/')}/api", {})
    for name in store.changed_since(since):
        for record in store.records(name):
            if record.refused is None and IMPRESSION not in record.text:
                told = signal_of(orjson.loads(record.text))
                if told is not None and told[1].at >= since:
                    yield told
