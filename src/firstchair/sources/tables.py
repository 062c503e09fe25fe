"""Reading a table of the account database in chunks."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from firstchair.errors import SourceError

ROWS_AT_ONCE = 50_000
# Postgres knows `infinity` and years that Python's calendar does not; one such value must not stop a table.
CALENDAR: tuple[tuple[type[Any], Any, Any], ...] = (
    (sa.Date, date(1, 1, 1), date(9999, 12, 31)),
    (sa.TIMESTAMP, datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)),
)


def read_table(url: sa.URL, table: sa.Table) -> Iterator[pd.DataFrame]:
    """Frames of up to `ROWS_AT_ONCE` rows in the order of the table's key, all of one snapshot.

    Every frame has all columns of the contract as objects: None where the source has null,
    or a date or instant outside the years 1 to 9999.

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect().execution_options(stream_results=True, isolation_level="REPEATABLE READ") as connection:
            rows = connection.execute(sa.select(*map(_readable, table.columns)).order_by(*table.primary_key.columns))
            while chunk := rows.fetchmany(ROWS_AT_ONCE):
                yield pd.DataFrame([tuple(row) for row in chunk], columns=list(rows.keys()), dtype=object)
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"Table {table.name} cannot be read: {str(error).splitlines()[0]}.",
            where=url.render_as_string(),
            data="Nothing was written; the last snapshot in the lake stands.",
            remedy="Check FIRSTCHAIR_SOURCE_DATABASE_URL and the columns; `firstchair simulate` makes a source.",
        ) from error
    finally:
        engine.dispose()


def _readable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    for kind, first, last in CALENDAR:
        if isinstance(column.type, kind):
            return sa.case((column.between(first, last), column)).label(column.name)
    return column
