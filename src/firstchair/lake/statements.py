"""Definitions of rows as SQL of an engine, compiled from Ibis expressions once a process."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from firstchair.lake.tables import Table

# Names of engines' SQL, as Ibis has them.
Dialect: TypeAlias = Literal["duckdb", "pyspark"]
# Type of an instant with its offset.
_INSTANT: dict[Dialect, str] = {"duckdb": "TIMESTAMPTZ", "pyspark": "TIMESTAMP"}
# Makes rows out of `unread` tables; takes its days, instants and settings by name.
Definition: TypeAlias = Callable[..., ir.Table]
_LATER = re.compile(r"(?:DAY|INSTANT)_OF_STATEMENT\('(\w+)'\)")


def unread(table: Table, name: str = "") -> ir.Table:
    """The table by its columns alone, of no engine, under `name` or that of its view."""
    return ibis.table(ibis.Schema.from_pyarrow(table.schema), name=name or view_of(table))


def statement(
    definition: Definition,
    /,
    *,
    columns: tuple[str, ...] = (),
    dialect: Dialect = "duckdb",
    **given: Any,
) -> str:
    """SQL of a definition's rows, over the views that `Engine.open` makes.

    Compiled once a process for each definition and its settings, whatever the days and instants:
    Ibis takes longer to compile the larger definitions than the engine takes to run them over a
    small service.

    Args:
        definition: Makes the rows out of `unread` tables; takes `given` by name.
        columns: Those that are wanted; empty: all.
        dialect: The engine whose SQL it is.
        given: Days, instants (with a UTC offset), and other arguments that can be hashed.

    >>> def before(day):
    ...     events = ibis.table({"on": "date"}, name="events")
    ...     return events.filter(events.on < day)
    >>> print(" ".join(statement(before, day=date(2026, 1, 9)).split()))
    SELECT * FROM "events" AS "t0" WHERE "t0"."on" < DATE '2026-01-09'
    """
    text = _compiled(definition, columns, dialect, *_told_apart(given)).text
    return _LATER.sub(lambda found: _literal(given[found[1]], dialect), text)


def schema_of(
    definition: Definition,
    /,
    *,
    columns: tuple[str, ...] = (),
    dialect: Dialect = "duckdb",
    **given: Any,
) -> pa.Schema:
    """Columns and Arrow types of the same rows."""
    return _compiled(definition, columns, dialect, *_told_apart(given)).schema


def _literal(value: date, dialect: Dialect) -> str:
    """The day or instant in SQL."""
    kind = _INSTANT[dialect] if isinstance(value, datetime) else "DATE"
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
    dialect: Dialect,
    later: tuple[tuple[str, bool], ...],
    others: tuple[tuple[str, Any], ...],
) -> _Compiled:
    placeholders = {
        name: instant_of_statement(name) if is_instant else day_of_statement(name)
        for name, is_instant in later
    }
    rows = definition(**placeholders, **dict(others))
    rows = rows.select(*columns) if columns else rows
    # Ibis 12 knows the options that its compilers read once the engine's module is imported.
    getattr(ibis, dialect)
    return _Compiled(str(ibis.to_sql(rows, dialect=dialect)), rows.schema().to_pyarrow())


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
