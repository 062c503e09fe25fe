"""A user out of what waits in the spool, and out of the signals of today."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import orjson

from firstchair.erasure.identity import Identity
from firstchair.outbox.segment import SUFFIX
from firstchair.outbox.spooled import UNREADABLE
from firstchair.signals.signal_log import SUFFIX as SIGNALS

# A worker closes the segment it writes after two seconds, and delivers it a second later.
WAIT_SECONDS = 10.0
STEP_SECONDS = 0.2


def erase_spooled(spool: Path, identity: Identity) -> int:
    """Take the user's events and slates out of the spool; how many lines went.

    A segment that a worker still writes is waited for: it is closed and delivered soon, and what
    comes after it is without the user, who has a tombstone by now.
    """
    return sum(
        _rewritten(path, identity)
        for suffix in (SUFFIX, UNREADABLE)
        for path in sorted(spool.glob(f"*{suffix}"))
    )


def erase_signals(folder: Path, identity: Identity) -> int:
    """Blank the user's lines in the files by which workers share signals; how many there were.

    A line keeps its length, since each worker knows how far it has read.
    """
    blanked = 0
    for path in sorted(folder.glob(f"*{SIGNALS}")):
        with suppress(FileNotFoundError), path.open("r+b") as file:
            place = 0
            for line in file.read().splitlines(keepends=True):
                if identity.found_in(line):
                    file.seek(place)
                    file.write(b" " * (len(line) - 1) + b"\n")
                    blanked += 1
                place += len(line)
    return blanked


def _rewritten(path: Path, identity: Identity) -> int:
    """Put a segment without the user's lines in place of the one with them."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return 0  # it was delivered meanwhile
    with file:
        if not _locked(file):
            return 0
        if not os.fstat(file.fileno()).st_nlink:
            return 0
        lines = file.read().splitlines(keepends=True)
        kept = [line for line in lines if not _is_about(line, identity)]
        if len(kept) < len(lines):
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_bytes(b"".join(kept))
            temporary.replace(path)
        return len(lines) - len(kept)


def _locked(file: IO[bytes]) -> bool:
    """Whether the segment is ours within `WAIT_SECONDS`; false while its worker writes to it."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(STEP_SECONDS)
        else:
            return True


def _is_about(line: bytes, identity: Identity) -> bool:
    if identity.found_in(line):
        return True
    try:
        return identity.user_id in _users(orjson.loads(line))
    except ValueError:
        return False


def _users(value: Any) -> Iterator[Any]:
    """The `user_id` of an event, or of the slate that a line holds."""
    if isinstance(value, dict):
        yield value.get("user_id")
        yield from _users(value.get("slate"))
