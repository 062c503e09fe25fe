"""The Ibis engine over the lake: one definition of each feature, run by the engine that is set."""

import ibis
from ibis.backends.duckdb import Backend

from firstchair.errors import SettingsError
from firstchair.lake.delta import Lake, connect
from firstchair.lake.redirects import under_current_artists
from firstchair.lake.tables import EVENTS, Table

ENGINES = ("duckdb",)


class Engine:
    """Ibis tables over the present snapshots of a lake; close it, or use it in a `with`.

    Raises:
        SettingsError: There is no engine of the name that the lake is opened with.
    """

    def __init__(self, lake: Lake) -> None:
        if lake.engine not in ENGINES:
            raise SettingsError(
                f"There is no engine {lake.engine}.",
                where="FIRSTCHAIR_ENGINE or engine in firstchair.toml",
                data="Nothing was read or written.",
                remedy=f"Choose one of {', '.join(ENGINES)}.",
            )
        self.lake = lake
        self.connection = connect()
        self.backend: Backend = ibis.duckdb.from_connection(self.connection)

    def table(self, table: Table) -> ibis.Table:
        """All rows of the table's present snapshot; no row where it was never written.

        A merged artist is the one it was merged into (`under_current_artists`) in silver/events.
        """
        names = ", ".join(f'"{name}"' for name in table.schema.names)
        view = table.name.replace("/", "_")
        rows = under_current_artists(self.lake, table) if table is EVENTS else self.lake.scan(table)
        self.connection.execute(f"create or replace temp view {view} as select {names} from {rows}")
        return self.backend.table(view)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.backend.disconnect()
