"""Engines over the lake: each runs the same definitions; the setting `engine` names which."""

from abc import ABC, abstractmethod
from typing import Any, Self

import ibis
import pyarrow as pa
from ibis.backends.duckdb import Backend

from firstchair.errors import SettingsError
from firstchair.lake.delta import Lake, connect
from firstchair.lake.redirects import under_current_artists
from firstchair.lake.spark_session import require_spark
from firstchair.lake.statements import Definition, schema_of, statement, view_of
from firstchair.lake.tables import EVENTS, Table

ENGINES = ("duckdb", "spark")
# The rows that `Engine.stage` computed.
STAGED = "staged"


class Engine(ABC):
    """Rows of definitions over the present snapshots of a lake; use it in a `with`.

    connection: DuckDB in this process, where staged rows are the table or view `STAGED`.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.connection = connect()

    @abstractmethod
    def open(self, table: Table) -> None:
        """Make all rows of the table's present snapshot the view `view_of(table)`.

        There are none where the table was never written. A merged artist is the one it was merged
        into (`under_current_artists`) in silver/events.
        """

    @abstractmethod
    def rows(
        self, definition: Definition, /, *, columns: tuple[str, ...] = (), **given: Any
    ) -> pa.Table:
        """Rows of a definition over what is open and staged, no order; as of `statement`."""

    @abstractmethod
    def count(self, definition: Definition, /, **given: Any) -> int:
        """Number of the same rows."""

    @abstractmethod
    def stage(self, definition: Definition, /, **given: Any) -> None:
        """Compute the same rows once and keep them on disk as `STAGED`, for all that follows."""

    def close(self) -> None:
        """Leave nothing of what was open or staged."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class DuckDBEngine(Engine):
    """DuckDB, in this process."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(lake)
        self.backend: Backend = ibis.duckdb.from_connection(self.connection)

    def table(self, table: Table) -> ibis.Table:
        """The rows of `open` as an Ibis table."""
        self.open(table)
        return self.backend.table(view_of(table))

    def open(self, table: Table) -> None:
        """As `Engine.open`."""
        names = ", ".join(f'"{name}"' for name in table.schema.names)
        rows = under_current_artists(self.lake, table) if table is EVENTS else self.lake.scan(table)
        view = view_of(table)
        self.connection.execute(f"create or replace temp view {view} as select {names} from {rows}")

    def rows(
        self, definition: Definition, /, *, columns: tuple[str, ...] = (), **given: Any
    ) -> pa.Table:
        """As `Engine.rows`."""
        text = statement(definition, columns=columns, **given)
        found = self.connection.sql(text).to_arrow_table()
        return found.cast(schema_of(definition, columns=columns, **given))

    def count(self, definition: Definition, /, **given: Any) -> int:
        """As `Engine.count`."""
        query = f"select count(*) from ({statement(definition, **given)})"
        ((found,),) = self.connection.execute(query).fetchall()
        return int(found)

    def stage(self, definition: Definition, /, **given: Any) -> None:
        """Compute the rows into a temporary table, which spills to disk if memory is short."""
        rows = statement(definition, **given)
        self.connection.execute(f"create or replace temp table {STAGED} as {rows}").fetchall()

    def close(self) -> None:
        """As `Engine.close`."""
        self.backend.disconnect()


def open_engine(lake: Lake) -> Engine:
    """The engine that the lake is opened with.

    Raises:
        SettingsError: There is no engine of that name, or it cannot run here.
    """
    require_engine(lake)
    if lake.engine == "duckdb":
        return DuckDBEngine(lake)
    from firstchair.lake.spark import SparkEngine

    return SparkEngine(lake)


def require_engine(lake: Lake) -> None:
    """Raise if the engine, or what fits ALS, cannot run here; nothing is started.

    Raises:
        SettingsError: There is no engine of that name, or what it needs is missing.
    """
    if lake.engine not in ENGINES:
        raise SettingsError(
            f"There is no engine {lake.engine}.",
            where="FIRSTCHAIR_ENGINE or engine in firstchair.toml",
            data="Nothing was read or written.",
            remedy=f"Choose one of {', '.join(ENGINES)}.",
        )
    if lake.engine == "spark" or lake.spark.fits_als:
        require_spark()
