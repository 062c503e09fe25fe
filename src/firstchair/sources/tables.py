"""Reading a table of the account database in chunks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from firstchair.errors import SourceError
from firstchair.mappings import TableMapping

ROWS_AT_ONCE = 50_000
# Column of a frame: whether a row before has the same key. Of such rows one counts.
REPEATS = "repeats"
UPDATED_AT = "updated_at"
# Postgres knows `infinity` and years that Python's calendar does not; one such value must not stop
# a table.
CALENDAR: tuple[tuple[type[Any], Any, Any], ...] = (
    (sa.Date, date(1, 1, 1), date(9999, 12, 31)),
    (sa.TIMESTAMP, datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)),
)


def read_table(
    url: sa.URL,
    table: sa.Table,
    *,
    optional: Sequence[sa.Column[Any]] = (),
    mapping: TableMapping | None = None,
    at_most: int | None = None,
) -> Iterator[pd.DataFrame]:
    """Frames of up to `ROWS_AT_ONCE` rows in the order of the table's key, all of one snapshot.

    Every frame has all columns of the contract as objects: None where the source has null,
    or a date or instant outside the years 1 to 9999. Its column `REPEATS` is true for a row whose
    key a row before has, as a view or a query may give it: of the rows of a key that which was
    updated last comes first, then they are in the order of their other values.

    Args:
        url: The account database.
        table: As the contract has it.
        optional: Further columns that the source's table may have; all null where it does not.
        mapping: How the source has the table, where it has it in another form.
        at_most: Rows to read; by default all.

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    with _connected(url, table) as connection:
        source = _source(connection, table, mapping, optional)
        columns = [
            _readable(one.name, source.columns[one.name]) for one in (*table.columns, *optional)
        ]
        key = table.primary_key.columns[0].name
        rows = connection.execution_options(stream_results=True).execute(
            sa.select(*columns).order_by(*_order(source, key)).limit(at_most)
        )
        last = None
        while chunk := rows.fetchmany(ROWS_AT_ONCE):
            frame = _frame(rows, chunk)
            keys = frame[key]
            frame[REPEATS] = keys.notna() & (keys.duplicated() | (keys == last))
            last = keys.iloc[-1]
            yield frame


def whole_table(
    url: sa.URL,
    table: sa.Table,
    *,
    optional: Sequence[sa.Column[Any]] = (),
    mapping: TableMapping | None = None,
) -> pd.DataFrame:
    """All rows of a table in one frame, as `read_table` gives them; `REPEATS` is bool.

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    names = [*(column.name for column in (*table.columns, *optional)), REPEATS]
    frames = [pd.DataFrame(columns=names, dtype=object)]
    frames += read_table(url, table, optional=optional, mapping=mapping)
    return pd.concat(frames, ignore_index=True).astype({REPEATS: bool})


def value_counts(
    url: sa.URL, table: sa.Table, *names: str, mapping: TableMapping | None = None
) -> pd.DataFrame:
    """Count the rows of a table by the values of some columns.

    Returns:
        One row per combination of values, in no order: the columns `names` as in `read_table`,
        and `rows`, their number (int64).

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    with _connected(url, table) as connection:
        source = _source(connection, table, mapping, ())
        columns = [_readable(name, source.columns[name]) for name in names]
        counted = sa.select(*columns, sa.func.count().label("rows")).group_by(*columns)
        rows = connection.execute(counted)
        return _frame(rows, rows.fetchall()).astype({"rows": "int64"})


@contextmanager
def _connected(url: sa.URL, table: sa.TableClause) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"Table {table.name} cannot be read: {str(error).splitlines()[0]}.",
            where=url.render_as_string(),
            data="Nothing was written; the last snapshot in the lake stands.",
            remedy="Check FIRSTCHAIR_SOURCE_DATABASE_URL and the columns; `firstchair simulate` "
            "makes a source.",
        ) from error
    finally:
        engine.dispose()


def missing_tables(url: sa.URL, *tables: sa.Table) -> list[str]:
    """Names of those tables that the account database does not have.

    Raises:
        SourceError: The database cannot be reached.
    """
    with _connected(url, tables[0]) as connection:
        inspected = sa.inspect(connection)
        return [table.name for table in tables if not inspected.has_table(table.name)]


def table_columns(url: sa.URL) -> dict[str, list[str]]:
    """Names of the columns of every table; those of another schema than the usual one bear it.

    Raises:
        SourceError: The database cannot be reached.
    """
    with _connected(url, sa.table("users")) as connection:
        inspected = sa.inspect(connection)
        usual = inspected.default_schema_name
        return {
            name if schema == usual else f"{schema}.{name}": [
                column["name"] for column in inspected.get_columns(name, schema=schema)
            ]
            for schema in inspected.get_schema_names()
            if schema != "information_schema"
            for name in inspected.get_table_names(schema=schema)
        }


def unknown_keys(
    url: sa.URL, table: sa.Table, keys: Sequence[str], *, mapping: TableMapping | None = None
) -> set[str]:
    """Those of the keys that no row of the table has.

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    with _connected(url, table) as connection:
        source = _source(connection, table, mapping, ())
        key = source.columns[table.primary_key.columns[0].name]
        found = connection.execute(sa.select(key).where(key.in_(keys))).scalars()
        return set(keys) - set(found)


def values_by_key(
    url: sa.URL,
    table: sa.Table,
    column: sa.Column[Any],
    keys: Sequence[str],
    *,
    mapping: TableMapping | None = None,
) -> dict[str, Any]:
    """The values of a column in the rows that have one of the keys, by key.

    Raises:
        SourceError: The database cannot be reached, or lacks the table or a column.
    """
    with _connected(url, table) as connection:
        source = _source(connection, table, mapping, ())
        key = source.columns[table.primary_key.columns[0].name]
        rows = connection.execute(sa.select(key, source.columns[column.name]).where(key.in_(keys)))
        return {found: value for found, value in rows}


def _source(
    connection: sa.Connection,
    table: sa.Table,
    mapping: TableMapping | None,
    optional: Sequence[sa.Column[Any]],
) -> sa.FromClause:
    """What is read as the table: itself, or what the mapping names, in the contract's columns."""
    if mapping is None:
        needed = {column.name: column.name for column in table.columns}
        given: sa.FromClause = sa.table(table.name)
        present = _columns(connection, table.name) if optional else set()
    else:
        # An instant without a zone is UTC, whatever the zone of the server.
        connection.exec_driver_sql("set local time zone 'UTC'")
        needed = dict(mapping.columns)
        given, present = _given(connection, table, mapping)
    keys = {key.name: key.name for key in table.primary_key.columns}
    names = keys | {name: name for name in present} | needed
    columns = [
        sa.cast(sa.column(names[one.name]) if one.name in names else sa.null(), one.type).label(
            one.name
        )
        for one in (*table.columns, *optional)
    ]
    return sa.select(*columns).select_from(given).subquery()


def _given(
    connection: sa.Connection, table: sa.Table, mapping: TableMapping
) -> tuple[sa.FromClause, set[str]]:
    """The table or query that a mapping names, and the names of its columns."""
    if mapping.query is None:
        schema, _, name = (mapping.table or table.name).rpartition(".")
        return sa.table(name, schema=schema or None), _columns(connection, name, schema or None)
    # A colon before a word would be taken for a parameter.
    text = mapping.query.strip().rstrip(";").replace(":", "\\:")
    query = sa.text(text).columns().subquery("mapped")
    found = connection.execute(sa.select(sa.text("*")).select_from(query).limit(0))
    return query, set(found.keys())


def _order(source: sa.FromClause, key: str) -> Iterator[sa.ColumnElement[Any]]:
    """What rows are ordered by: the key, the newest change first, all other columns."""
    yield source.columns[key]
    if UPDATED_AT in source.columns:
        yield source.columns[UPDATED_AT].desc().nulls_last()
    yield from (column for column in source.columns if column.name not in {key, UPDATED_AT})


def _columns(connection: sa.Connection, table: str, schema: str | None = None) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns(table, schema=schema)}


def _frame(rows: sa.CursorResult[Any], chunk: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Rows as objects, named as their result names them."""
    names = list(rows.keys())
    return pd.DataFrame([tuple(row) for row in chunk], columns=names, dtype=object)


def _readable(name: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    for kind, first, last in CALENDAR:
        if isinstance(column.type, kind):
            return sa.case((column.between(first, last), column)).label(name)
    return column
