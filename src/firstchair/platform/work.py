"""The lock of the tables' one writer: who holds it, since when and why; others wait or give up."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from firstchair.databases import HeldLock, advisory_lock, lock_backend
from firstchair.errors import WriterBusyError
from firstchair.platform.journal import metadata

WRITER = "firstchair writer"
WORK = sa.Table(
    "work",
    metadata,
    sa.Column("lock", sa.Text, primary_key=True),
    sa.Column("backend", sa.Integer),
    sa.Column("who", sa.Text),
    sa.Column("why", sa.Text),
    sa.Column("process", sa.Text),
    sa.Column("since", sa.TIMESTAMP(timezone=True)),
)
# Locks that this process holds; what it starts under them, such as a Dagster run, needs no other.
_OURS: dict[tuple[int, sa.URL], HeldLock] = {}


@dataclass(frozen=True, slots=True)
class Work:
    """What writes the tables now.

    who: the command or the Dagster run. why: its purpose. process: its number and machine. since:
    when it got the lock.
    """

    who: str
    why: str
    process: str
    since: datetime

    def sentence(self) -> str:
        """The work as a sentence."""
        why = f": {self.why}" if self.why else ""
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.who} ({self.process}) is at work since {since}{why}."


def at_work(url: sa.URL) -> Work | None:
    """The work that holds the writers' lock; None if it is free.

    Args:
        url: Database of the ledger.

    Raises:
        SourceError: The database cannot be reached.
    """
    backend = lock_backend(url, WRITER)
    if backend is None:
        return None
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    columns = (WORK.c.who, WORK.c.why, WORK.c.process, WORK.c.since)
    with engine.connect() as connection:
        row = connection.execute(sa.select(*columns).where(WORK.c.backend == backend)).first()
    if row is None:  # it got the lock a moment ago
        return Work("Another process", "", "it has not said which", datetime.now(UTC))
    return Work(**row._mapping)


@contextmanager
def writing(
    url: sa.URL,
    *,
    who: str,
    why: str = "",
    wait: bool,
    waits: Callable[[Work], None] = lambda _: None,
) -> Iterator[None]:
    """Hold the writers' lock during a block; a killed process releases it.

    In the process that holds it, a nested block does not wait.

    Args:
        url: Database of the ledger.
        who: The command or the run, as it is shown to others.
        why: The purpose of the work.
        wait: Whether to wait for another writer to end.
        waits: Called with the other writer before the wait begins.

    Raises:
        WriterBusyError: Another writer is at work, and `wait` is not set; nothing was written.
        SourceError: The database cannot be reached.
        RunError: The block ended well, and meanwhile the lock was lost (`require_lock`).
    """
    ours = (os.getpid(), url)
    if ours in _OURS:
        yield
        return
    with ExitStack() as stack:
        held = stack.enter_context(advisory_lock(url, WRITER, wait=False))
        if held is None:
            other = at_work(url)
            if not wait:
                raise _busy(url, other)
            if other is not None:
                waits(other)
            held = stack.enter_context(advisory_lock(url, WRITER, wait=True))
            assert held is not None, "a lock that is waited for is held"
        stack.enter_context(_recorded(url, Work(who, why, _process(), datetime.now(UTC))))
        _OURS[ours] = held
        stack.callback(_OURS.pop, ours)
        yield
        held.require()


def require_lock(url: sa.URL) -> None:
    """Raise if this process holds the writers' lock of `url` no more although it began with it.

    Where it never held it, as a reader or a sensor, nothing is asked. One question to Postgres: the
    lake asks it before each write, and a run before each step.

    Raises:
        RunError: The session that held it has ended: another writer may be at work.
    """
    if (held := _OURS.get((os.getpid(), url))) is not None:
        held.require()


@contextmanager
def _recorded(url: sa.URL, work: Work) -> Iterator[None]:
    """Keep the work in the table during the block; the row of a killed process is replaced."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    values = {**asdict(work), "backend": lock_backend(url, WRITER)}
    row = pg.insert(WORK).values(lock=WRITER, **values)
    with engine.begin() as connection:
        connection.execute(row.on_conflict_do_update(index_elements=[WORK.c.lock], set_=values))
    yield
    with engine.begin() as connection:
        connection.execute(WORK.delete().where(WORK.c.backend == values["backend"]))


def _process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _busy(url: sa.URL, other: Work | None) -> WriterBusyError:
    text = "Another writer has just ended." if other is None else other.sentence()
    return WriterBusyError(
        f"The tables have one writer at a time: {text}",
        where=url.render_as_string(),
        data="Nothing was read or written.",
        remedy="Wait for it to end (`firstchair status` says who is at work), then run again.",
    )
