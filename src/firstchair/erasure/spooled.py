"""Users out of what waits in the spool, and out of the signals of today."""

import fcntl
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import orjson

from firstchair.erasure.identity import Identities, Identity
from firstchair.errors import RunError
from firstchair.files import replace_file
from firstchair.outbox.segment import SUFFIX
from firstchair.outbox.spooled import UNREADABLE
from firstchair.signals.signal_log import SUFFIX as SIGNALS

# A worker closes the segment it writes after two seconds, and delivers it a second later.
WAIT_SECONDS = 10.0
STEP_SECONDS = 0.2


def erase_spooled(spool: Path, identities: Identities) -> Counter[Identity]:
    """Take the users' events and slates out of the spool; how many lines of each went.

    A segment with such lines that a worker still writes is waited for: it is closed and delivered
    soon, and what comes after it is without the users, who have tombstones by now.

    Raises:
        RunError: A worker does not close a segment with such lines within `WAIT_SECONDS`.
    """
    lines: Counter[Identity] = Counter()
    for suffix in (SUFFIX, UNREADABLE):
        for path in sorted(spool.glob(f"*{suffix}")):
            lines += _rewritten(path, identities)
    return lines


def erase_signals(folder: Path, identities: Identities) -> Counter[Identity]:
    """Blank the users' lines in the files by which workers share signals; how many of each.

    A line keeps its length, since each worker knows how far it has read.
    """
    blanked: Counter[Identity] = Counter()
    for path in sorted(folder.glob(f"*{SIGNALS}")):
        with suppress(FileNotFoundError), path.open("r+b") as file:
            place = 0
            for line in file.read().splitlines(keepends=True):
                if held := identities.users_in(line):
                    file.seek(place)
                    file.write(b" " * (len(line) - 1) + b"\n")
                    blanked.update(held)
                place += len(line)
    return blanked


def _rewritten(path: Path, identities: Identities) -> Counter[Identity]:
    """Put a segment without the users' lines in place of the one with them.

    Raises:
        RunError: It has lines of the users, and its worker does not close it.
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return Counter()  # it was delivered meanwhile
    with file:
        # Most have no line of theirs, and need not be closed: an idle worker keeps its segment.
        taken, _ = _parted(file, identities)
        if not taken:
            return taken
        _lock(file, path)
        if not os.fstat(file.fileno()).st_nlink:
            return Counter()
        taken, kept = _parted(file, identities)
        replace_file(path, b"".join(kept), mode=0o600)
    return taken


def _parted(file: IO[bytes], identities: Identities) -> tuple[Counter[Identity], list[bytes]]:
    """How many lines each of the users has, and the lines of all others."""
    taken: Counter[Identity] = Counter()
    kept = []
    file.seek(0)
    for line in file:
        if held := _held_in(line, identities):
            taken.update(held)
        else:
            kept.append(line)
    return taken, kept


def _lock(file: IO[bytes], path: Path) -> None:
    """Wait until the segment's worker has closed it, and keep others from it."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise RunError(
                    "A worker still writes a file of the spool that holds lines of the users.",
                    where=str(path),
                    data="Their rows are gone from the tables; spool, models, lists and all that "
                    "follows are not done yet.",
                    remedy="Run the same command again; if the event store is away, bring it back "
                    "first.",
                ) from None
            time.sleep(STEP_SECONDS)
        else:
            return


def _held_in(line: bytes, identities: Identities) -> set[Identity]:
    """Whose line it is."""
    held = identities.users_in(line)
    try:
        users = list(_users(orjson.loads(line)))
    except ValueError:
        return held
    return held | {one for one in identities if one.user_id in users}


def _users(value: Any) -> Iterator[Any]:
    """The `user_id` of an event, or of the slate that a line holds."""
    if isinstance(value, dict):
        yield value.get("user_id")
        yield from _users(value.get("slate"))
