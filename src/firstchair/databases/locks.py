"""One at a time: advisory locks of Postgres, which a killed process gives back by dying."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import URL

from firstchair.errors import RunError, SourceError

BACKEND = sa.select(sa.func.pg_backend_pid())


# A peer that is gone is noticed after about a minute, and nothing between cuts an idle session.
# Sockets of this machine ignore them (libpq, "Connection Parameters").
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class HeldLock:
    """A lock and the session that holds it: Postgres gives it back when the session ends."""

    def __init__(self, connection: sa.Connection, name: str) -> None:
        self._connection, self._name = connection, name
        self._one_at_a_time = Lock()
        self._backend = connection.scalar(BACKEND)

    def require(self) -> None:
        """Raise if the session has ended; then another process may hold the lock.

        Raises:
            RunError: It has.
        """
        with self._one_at_a_time:
            try:
                # Once invalid, a connection opens a new session by itself, and that has no lock.
                found = None if self._connection.invalidated else self._connection.scalar(BACKEND)
            except sa.exc.SQLAlchemyError as error:
                raise self._lost() from error
        if found != self._backend:
            raise self._lost()

    def release(self) -> None:
        """Give the lock back; the caller has required it."""
        with self._one_at_a_time:
            self._connection.execute(sa.select(sa.func.pg_advisory_unlock(_key(self._name))))

    def _lost(self) -> RunError:
        return RunError(
            f"The session of Postgres that held the lock '{self._name}' has ended, as after a "
            "restart of the server or a cut connection: another process may have begun.",
            where=self._connection.engine.url.render_as_string(),
            data="What was written before stands; nothing is written from here on.",
            remedy="Look whether another run is at work (`firstchair status`), then run again: "
            "the state becomes that of an unbroken run.",
        )


@contextmanager
def advisory_lock(url: URL, name: str, *, wait: bool) -> Iterator[HeldLock | None]:
    """Hold the lock `name` of the database at `url`; None if another has it (never, if `wait`).

    Raises:
        SourceError: The database cannot be reached.
        RunError: The block ended well, and meanwhile the lock was lost.
    """
    with connected(unpooled_engine(url)) as connection:
        held = _acquired(connection, name, wait=wait)
        if held is None:
            yield None
            return
        try:
            yield held
        except BaseException:  # its own error counts; the end of the session frees the lock too
            with suppress(sa.exc.SQLAlchemyError):
                held.release()
            raise
        held.require()
        held.release()


def _acquired(connection: sa.Connection, name: str, *, wait: bool) -> HeldLock | None:
    key = _key(name)
    try:
        if wait:
            connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
        elif not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
            return None
        return HeldLock(connection, name)
    except sa.exc.OperationalError as error:  # the session ended meanwhile
        raise _unanswered(connection.engine, error) from error


def lock_until_commit(connection: sa.Connection, name: str) -> None:
    """Wait for the lock `name` of this database, and hold it until the transaction ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(name))))


def lock_backend(url: URL, name: str) -> int | None:
    """Server process of the session that holds the lock `name`; None where nobody does.

    Raises:
        SourceError: The database cannot be reached.
    """
    # Postgres shows a lock of 64 bits as its two halves, with objsubid 1 (pg_locks).
    high, low = divmod(_key(name) % 2**64, 2**32)
    held = sa.text(
        "select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
        "and classid = :high and objid = :low "
        "and database = (select oid from pg_database where datname = current_database())"
    )
    with connected(unpooled_engine(url)) as connection:
        found = connection.scalar(held, {"high": high, "low": low})
    return None if found is None else int(found)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@lru_cache(maxsize=16)
def unpooled_engine(url: URL) -> sa.Engine:
    """An engine that keeps no connection, but what the first one told of the server."""
    return sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
        connect_args=KEEPALIVES,
    )


def connected(engine: sa.Engine) -> sa.Connection:
    """A new connection.

    Raises:
        SourceError: The database cannot be reached.
    """
    try:
        return engine.connect()
    except sa.exc.OperationalError as error:
        raise _unanswered(engine, error) from error


def _unanswered(engine: sa.Engine, error: sa.exc.OperationalError) -> SourceError:
    return SourceError(
        f"The database does not answer: {str(error.orig).splitlines()[0]}.",
        where=engine.url.render_as_string(),
        data="Nothing was read or written, and no alias was moved.",
        remedy="Start the server, or check FIRSTCHAIR_DATABASE_URL.",
    )
