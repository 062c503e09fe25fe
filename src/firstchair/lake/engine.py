"""The Ibis engine over the lake: one definition of each feature, run by the engine that is set."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from firstchair.errors import SettingsError
from firstchair.lake.delta import Lake, connect
from firstchair.lake.redirects import under_current_artists
from firstchair.lake.tables import EVENTS, Table

ENGINES = ("duckdb",)
# Makes rows out of `unread` tables; takes its days, instants and settings by name.
Definition: TypeAlias = Callable[..., ir.Table]
_LATER = re.compile(r"(?:DAY|INSTANT)_OF_STATEMENT\('(\w+)'\)")


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
        return self.backend.table(self.open(table))

    def open(self, table: Table) -> str:
        """Make the same rows a view of the connection, and name it."""
        names = ", ".join(f'"{name}"' for name in table.schema.names)
        rows = under_current_artists(self.lake, table) if table is EVENTS else self.lake.scan(table)
        view = view_of(table)
        self.connection.execute(f"create or replace temp view {view} as select {names} from {rows}")
        return view

    def rows(
        self, definition: Definition, /, *, columns: tuple[str, ...] = (), **given: Any
    ) -> pa.Table:
        """Rows of a definition over the views that were opened, no order; as of `statement`."""
        text = statement(definition, columns=columns, **given)
        found = self.connection.sql(text).to_arrow_table()
        return found.cast(_compiled(definition, columns, *_told_apart(given)).schema)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.backend.disconnect()


def unread(table: Table, name: str = "") -> ir.Table:
    """The table by its columns alone, of no engine, under `name` or that of its view."""
    return ibis.table(ibis.Schema.from_pyarrow(table.schema), name=name or view_of(table))


def statement(definition: Definition, /, *, columns: tuple[str, ...] = (), **given: Any) -> str:
    """SQL of a definition's rows, over the views that `Engine.open` makes.

    Compiled once a process for each definition and its settings, whatever the days and instants:
    Ibis takes longer to compile the larger definitions than the engine takes to run them over a
    small service.

    Args:
        definition: Makes the rows out of `unread` tables; takes `given` by name.
        columns: Those that are wanted; empty: all.
        given: Days, instants (with a UTC offset), and other arguments that can be hashed.

    >>> def before(day):
    ...     events = ibis.table({"on": "date"}, name="events")
    ...     return events.filter(events.on < day)
    >>> print(" ".join(statement(before, day=date(2026, 1, 9)).split()))
    SELECT * FROM "events" AS "t0" WHERE "t0"."on" < DATE '2026-01-09'
    """
    text = _compiled(definition, columns, *_told_apart(given)).text
    return _LATER.sub(lambda found: _literal(given[found[1]]), text)


def _literal(value: date) -> str:
    """The day or instant in SQL."""
    kind = "TIMESTAMPTZ" if isinstance(value, datetime) else "DATE"
    return f"{kind} '{value.isoformat()}'"


class _Compiled(NamedTuple):
    """SQL with a placeholder for each day and instant, and the columns of its rows."""

    text: str
    schema: pa.Schema


def _told_apart(
    given: Mapping[str, Any],
) -> tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, Any], ...]]:
    """Names of the days and instants, with whether each is an instant; the others' values."""
    later = [name for name, value in given.items() if isinstance(value, date)]
    others = tuple((name, value) for name, value in given.items() if name not in later)
    return tuple((name, isinstance(given[name], datetime)) for name in later), others


@cache
def _compiled(
    definition: Definition,
    columns: tuple[str, ...],
    later: tuple[tuple[str, bool], ...],
    others: tuple[tuple[str, Any], ...],
) -> _Compiled:
    placeholders = {
        name: instant_of_statement(name) if is_instant else day_of_statement(name)
        for name, is_instant in later
    }
    rows = definition(**placeholders, **dict(others))
    rows = rows.select(*columns) if columns else rows
    return _Compiled(str(ibis.to_sql(rows, dialect="duckdb")), rows.schema().to_pyarrow())


@ibis.udf.scalar.builtin(signature=(("string",), "date"))  # type: ignore[untyped-decorator]
def day_of_statement(parameter: str) -> date:
    """Stands for a day in a compiled text, until the day is put in its place."""
    raise NotImplementedError(parameter)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    signature=(("string",), "timestamp('UTC', 6)")
)
def instant_of_statement(parameter: str) -> datetime:
    """Stands for an instant in a compiled text, until the instant is put in its place."""
    raise NotImplementedError(parameter)


def view_of(table: Table) -> str:
    """Name of the view that `Engine.open` makes of a table."""
    return table.name.replace("/", "_")
