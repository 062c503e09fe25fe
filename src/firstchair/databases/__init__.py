"""Postgres wherever there is state: embedded from a wheel by default, a real server by URL."""

from firstchair.databases.locks import advisory_lock
from firstchair.databases.migrations import migrate
from firstchair.databases.postgres import Databases, open_databases, to_driver

__all__ = ["Databases", "advisory_lock", "migrate", "open_databases", "to_driver"]
