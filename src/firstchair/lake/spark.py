"""Spark as engine: it reads the files of a Delta snapshot; delta-rs commits what it computed."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from firstchair.errors import SettingsError
from firstchair.lake.delta import Lake, parquet_sql
from firstchair.lake.engine import STAGED, Engine
from firstchair.lake.redirects import current_artists_sql, has_merged_artists
from firstchair.lake.spark_session import computing, open_session, staged_files
from firstchair.lake.statements import Definition, schema_of, statement, view_of
from firstchair.lake.stores import is_on_s3
from firstchair.lake.tables import ARTIST_REDIRECTS, EVENTS, Table

# What Hadoop takes for a pattern in a path (3.5, `GlobPattern`).
_WILDCARDS = str.maketrans({letter: f"\\{letter}" for letter in "\\{}[]*?"})


class SparkEngine(Engine):
    """Spark, on the machines of its master.

    Staged rows are Parquet files under `SparkSettings.folder`, which this process reads as well.

    Raises:
        SettingsError: Spark does not start, or the lake is on S3.
    """

    def __init__(self, lake: Lake) -> None:
        if is_on_s3(lake.url):
            raise SettingsError(
                "The engine spark reads a lake in a folder, not on S3.",
                where=lake.url,
                data="Nothing was read or written.",
                remedy="Choose a folder that all machines share for lake_url, or engine duckdb.",
            )
        self.session = open_session(lake.spark)
        self._folder = Path(tempfile.mkdtemp(prefix="staged-", dir=lake.spark.scratch))
        super().__init__(lake)

    def open(self, table: Table) -> None:
        """As `Engine.open`."""
        rows = self._rows_of(table)
        if table is EVENTS and has_merged_artists(self.lake):
            rows.createOrReplaceTempView("reported")
            self._rows_of(ARTIST_REDIRECTS).createOrReplaceTempView("redirects")
            rows = self.session.sql(current_artists_sql(table, "reported", "redirects"))
        rows.createOrReplaceTempView(view_of(table))

    def rows(
        self, definition: Definition, /, *, columns: tuple[str, ...] = (), **given: Any
    ) -> pa.Table:
        """As `Engine.rows`; all of them come into this process."""
        text = statement(definition, columns=columns, dialect="pyspark", **given)
        with computing(self.lake.spark):
            found = self.session.sql(text).toArrow()
        return found.cast(schema_of(definition, columns=columns, dialect="pyspark", **given))

    def count(self, definition: Definition, /, **given: Any) -> int:
        """As `Engine.count`."""
        with computing(self.lake.spark):
            return int(self.session.sql(statement(definition, dialect="pyspark", **given)).count())

    def stage(self, definition: Definition, /, **given: Any) -> None:
        """Compute the rows into Parquet files."""
        place = f"file://{self._folder}/rows"
        with computing(self.lake.spark):
            rows = self.session.sql(statement(definition, dialect="pyspark", **given))
            rows.write.mode("overwrite").parquet(place)
            self.session.read.schema(rows.schema).parquet(place).createOrReplaceTempView(STAGED)
        files = map(str, staged_files(self.lake.spark, self._folder / "rows"))
        self.connection.execute(
            f"create or replace temp view {STAGED} as from {parquet_sql(files)}"
        )

    def close(self) -> None:
        """As `Engine.close`; the session ends with the process."""
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _rows_of(self, table: Table) -> Any:
        """The rows of the present snapshot as a data frame, in the columns of the table."""
        with computing(self.lake.spark):
            none = self.session.createDataFrame(table.schema.empty_table())
            files = [f"file://{path.translate(_WILDCARDS)}" for path in self.lake.files(table)]
            if not files:
                return none
            # Values of the partition are in the paths below `basePath`.
            reader = self.session.read.option("basePath", f"file://{self.lake.folder(table)}")
            return reader.schema(none.schema).parquet(*files).select(*table.schema.names)
