"""One at a time: advisory locks of Postgres, which a killed process gives back by dying."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.engine import URL

from firstchair.errors import SourceError


@contextmanager
def advisory_lock(url: URL, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the lock `name` of the database at `url`; yields whether it is held (always, if `wait`).

    Raises:
        SourceError: The database cannot be reached.
    """
    key = _key(name)
    with connected(unpooled_engine(url)) as connection:
        if wait:
            connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
            held = True
        else:
            held = bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))))
        try:
            yield held
        finally:
            if held:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))


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
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)


def connected(engine: sa.Engine) -> sa.Connection:
    """A new connection.

    Raises:
        SourceError: The database cannot be reached.
    """
    try:
        return engine.connect()
    except sa.exc.OperationalError as error:
        raise SourceError(
            f"The database does not answer: {str(error.orig).splitlines()[0]}.",
            where=engine.url.render_as_string(),
            data="Nothing was read or written, and no alias was moved.",
            remedy="Start the server, or check FIRSTCHAIR_DATABASE_URL.",
        ) from error
