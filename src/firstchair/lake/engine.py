"""The Ibis engine over the lake: one definition of each feature, run by DuckDB."""

import ibis
from ibis.backends.duckdb import Backend

from firstchair.lake.delta import Lake, connect
from firstchair.lake.tables import Table


class Engine:
    """Ibis tables over the present snapshots of a lake; close it, or use it in a `with`."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.connection = connect()
        self.backend: Backend = ibis.duckdb.from_connection(self.connection)

    def table(self, table: Table) -> ibis.Table:
        """All rows of the table's present snapshot; no row where it was never written."""
        names = ", ".join(f'"{name}"' for name in table.schema.names)
        view = table.name.replace("/", "_")
        self.connection.execute(f"create or replace temp view {view} as select {names} from {self.lake.scan(table)}")
        return self.backend.table(view)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.backend.disconnect()
