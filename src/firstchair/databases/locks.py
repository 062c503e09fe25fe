"""One at a time: advisory locks of Postgres, which a killed process gives back by dying."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import URL


@contextmanager
def advisory_lock(url: URL, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the lock `name` of the database at `url`; yields whether it is held (always, if `wait`)."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
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
