"""Files by which the workers of a machine share signals; signals read from the event store."""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from sys import intern

import orjson

from firstchair.signals.today import Signal, signal_of

SUFFIX = ".signals"
# As the spool writes it. Most delivered events are impressions; they are skipped without parsing.
IMPRESSION = '"event_type":"impression"'


class SignalLog:
    """A file for each worker and UTC day with a line for each signal, under pseudonyms.

    Workers do not read each other's spool for this, because its segments hold mostly slates and may
    be delivered and removed between two reads. A line here is a hint: it is not synced, and a lost
    signal is still in the event store.
    """

    def __init__(self, root: Path, source: str) -> None:
        self.root = root
        self.source = source
        self._read: dict[str, int] = {}

    def write(self, signals: Iterable[tuple[bytes, Signal]], day: date) -> None:
        """Append the signals in one write, for the other workers to read."""
        lines = b"".join(
            orjson.dumps([key.hex(), *signal], option=orjson.OPT_APPEND_NEWLINE)
            for key, signal in signals
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
        """The signals that the other workers wrote since the last call; on the first call, all."""
        for path in sorted(self.root.glob(f"*{SUFFIX}")):
            if path.name.endswith(f"-{self.source}{SUFFIX}"):
                continue
            with path.open("rb") as file:
                file.seek(self._read.get(path.name, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # still being written
                    self._read[path.name] = self._read.get(path.name, 0) + len(line)
                    yield from _parsed(line)

    def forget_before(self, day: date) -> None:
        """Remove the files of days before `day`, whichever worker wrote them."""
        for path in self.root.glob(f"*{SUFFIX}"):
            if path.name < day.isoformat():
                path.unlink(missing_ok=True)
                self._read.pop(path.name, None)


def rekey_signals(root: Path, new: Mapping[str, str]) -> None:
    """Put new pseudonyms in the place of old ones in the files of all workers; none may be alive.

    Args:
        root: Folder of the files.
        new: New pseudonym by old one, 32 hex digits each; others stay.
    """
    for path in root.glob(f"*{SUFFIX}"):
        kept = [(new.get(key.hex(), key.hex()), signal) for key, signal in _signals(path)]
        lines = (
            orjson.dumps([key, *signal], option=orjson.OPT_APPEND_NEWLINE) for key, signal in kept
        )
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_bytes(b"".join(lines))
        partial.replace(path)


def _signals(path: Path) -> Iterator[tuple[bytes, Signal]]:
    """The whole signals of a file."""
    with path.open("rb") as file:
        for line in file:
            yield from _parsed(line) if line.endswith(b"\n") else ()


def _parsed(line: bytes) -> Iterator[tuple[bytes, Signal]]:
    try:
        key, event_id, event_type, artist_id, *rest = orjson.loads(line)
        found = bytes.fromhex(key), Signal(event_id, intern(event_type), intern(artist_id), *rest)
    except (ValueError, TypeError):
        return  # torn by a kill
    yield found


def delivered_signals(events_url: str, since: float) -> Iterator[tuple[str, Signal]]:
    """User and signal of events that APIs delivered to the event store since `since`.

    since: seconds since 1970.

    Raises:
        SourceError: The store cannot be read.
    """
    from firstchair.sources import EventStore

    store = EventStore(f"{events_url.rstrip('/')}/api", {})
    for name in store.changed_since(since):
        for record in store.records(name):
            if record.refused is None and IMPRESSION not in record.text:
                found = signal_of(orjson.loads(record.text))
                if found is not None and found[1].at >= since:
                    yield found
