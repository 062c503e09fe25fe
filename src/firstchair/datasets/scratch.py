"""A database on disk for the length of one load: a data set may be larger than memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from firstchair.memory import engine_limit

ROWS_AT_ONCE = 50_000
# Beside it the accounts and the catalogue of the set are in Python. More is on disk anyway.
MOST_BYTES = 10**9


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """An empty database in `folder`; what does not fit into its memory goes to that folder."""
    limit = min(MOST_BYTES, engine_limit())
    config = {"memory_limit": f"{limit}B", "temp_directory": str(folder / "spilled")}
    connection = duckdb.connect(str(folder / "listens.duckdb"), config=config)
    connection.execute("set timezone = 'UTC'")
    return connection


def streamed(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, `ROWS_AT_ONCE` of them held at a time."""
    cursor = connection.cursor().execute(query)
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield from rows
