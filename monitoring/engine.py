"""The engine of monitoring: that of the lake with a limit of memory."""

import duckdb

from firstchair.lake import connect as connect_unlimited

# The engine spills more to disk. Data frames, Evidently and libraries need memory beside it.
MEMORY_LIMIT = "2GiB"


def connect() -> duckdb.DuckDBPyConnection:
    """`firstchair.lake.connect` with `MEMORY_LIMIT`."""
    return connect_unlimited(memory_limit=MEMORY_LIMIT)
