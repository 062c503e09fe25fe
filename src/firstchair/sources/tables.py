"""Reading a table of the account database in chunks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def read_table(
    url: sa.URL,
    table: sa.Table,
    *,
    optional: Sequence[sa.Column[Any]] = (),
) -> Iterator[pd.DataFrame]:
    """Frames of up to `ROWS_AT_ONCE` rows in the order of the table's key, all of one snapshot.

    Every frame has all columns of the contract as objects: None where the source has null,
    or a date or instant outside the years 1 to 9999.

    Args:
        url: The account database.
        table: As the contract has it.
        optional: Further columns that the source's table may have; all null where it does not.

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    columns = [_readable(column) for column in table.columns]
    with _connected(url, table) as connection:
        columns += _optional(connection, table, optional)
        rows = connection.execution_options(stream_results=True).execute(
            sa.select(*columns).order_by(*table.primary_key.columns)
        )
        while chunk := rows.fetchmany(ROWS_AT_ONCE):
            yield _frame(rows, chunk)


def value_counts(url: sa.URL, table: sa.Table, *names: str) -> pd.DataFrame:
    """Count the rows of a table by the values of some columns.

    Returns:
        One row per combination of values, in no order: the columns `names` as in `read_table`,
        and `rows`, their number (int64).

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    columns = [_readable(table.columns[name]) for name in names]
    counted = sa.select(*columns, sa.func.count().label("rows")).group_by(*columns)
    with _connected(url, table) as connection:
        rows = connection.execute(counted)
        return _frame(rows, rows.fetchall()).astype({"rows": "int64"})


@contextmanager
def _connected(url: sa.URL, table: sa.Table) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"Table {table.name} cannot be read: {str(error).splitlines()[0]}.",
            where=url.render_as_string(),
            data="Nothing was written; the last snapshot in the lake stands.",
            remedy="Check FIRSTCHAIR_SOURCE_DATABASE_URL and the columns; `firstchair simulate` makes a source.",
        ) from error
    finally:
        engine.dispose()


def _optional(
    connection: sa.Connection, table: sa.Table, columns: Sequence[sa.Column[Any]]
) -> list[sa.ColumnElement[Any]]:
    """Those columns of the source's table, null for one that it does not have."""
    if not columns:
        return []
    present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    found = (sa.column(one.name) if one.name in present else sa.null() for one in columns)
    pairs = zip(found, columns, strict=True)
    return [sa.cast(value, one.type).label(one.name) for value, one in pairs]


def _frame(rows: sa.CursorResult[Any], chunk: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Rows as objects, named as their result names them."""
    names = list(rows.keys())
    return pd.DataFrame([tuple(row) for row in chunk], columns=names, dtype=object)


def _readable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    for kind, first, last in CALENDAR:
        if isinstance(column.type, kind):
            return sa.case((column.between(first, last), column)).label(column.name)
    return column
