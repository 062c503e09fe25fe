"""Postgres wherever there is state: embedded from a wheel by default, a real server by URL."""

from firstchair.databases.dumps import (
    dump_database,
    empty_database,
    holds_tables,
    load_database,
)
from firstchair.databases.locks import (
    HeldLock,
    advisory_lock,
    lock_backend,
    lock_until_commit,
)
from firstchair.databases.migrations import has_table, migrate
from firstchair.databases.postgres import (
    Databases,
    account_source,
    embedded_server_runs,
    embedded_socket,
    forget_dead_handles,
    open_databases,
    pooled_engine,
    stop_embedded_server,
    to_driver,
)

__all__ = [
    "Databases",
    "HeldLock",
    "account_source",
    "advisory_lock",
    "dump_database",
    "embedded_server_runs",
    "embedded_socket",
    "empty_database",
    "forget_dead_handles",
    "has_table",
    "holds_tables",
    "load_database",
    "lock_backend",
    "lock_until_commit",
    "migrate",
    "open_databases",
    "pooled_engine",
    "stop_embedded_server",
    "to_driver",
]
