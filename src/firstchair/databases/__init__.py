"""Postgres wherever there is state: embedded from a wheel by default, a real server by URL."""

from firstchair.databases.locks import advisory_lock, lock_backend, lock_until_commit
from firstchair.databases.migrations import migrate
from firstchair.databases.postgres import (
    Databases,
    forget_dead_handles,
    open_databases,
    pooled_engine,
    to_driver,
)

__all__ = [
    "Databases",
    "advisory_lock",
    "forget_dead_handles",
    "lock_backend",
    "lock_until_commit",
    "migrate",
    "open_databases",
    "pooled_engine",
    "to_driver",
]
