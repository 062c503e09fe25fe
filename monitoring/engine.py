"""The engine that monitoring computes in: the lake's, held to a memory that leaves room beside it."""

import duckdb

from firstchair.lake import connect as connect_unlimited

# More goes to disk. What a job holds outside of it (frames, Evidently, libraries) comes on top.
MEMORY_LIMIT = "2GiB"


def connect() -> duckdb.DuckDBPyConnection:
    """`firstchair.lake.connect` with `MEMORY_LIMIT`."""
    return connect_unlimited(memory_limit=MEMORY_LIMIT)
