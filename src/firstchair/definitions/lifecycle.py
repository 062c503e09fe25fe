"""Lifecycle of a user on a day: `new` or `long_term` (docs/reference/contract.md, section 4).

The rule is written as an Ibis expression; the text for SQL statements is compiled from it. Code
that has no engine uses `lifecycles`, and tests hold the two to the same answers.

A lifecycle is always read at a day's 00:00 UTC. Features read it at their `as_of`, segments and
drift at the day of the cell, churn at the first day of the horizon, and the gate's evidence at the
day on which users were assigned to the arms.
"""

from datetime import date
from functools import cache

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import sqlglot
from sqlglot import exp

NEW, LONG_TERM = "new", "long_term"
NEW_DAYS = 30


def lifecycle(created_at: ir.TimestampValue, day: ir.DateValue) -> ir.StringValue:
    """Tell new accounts from old ones, on an engine whose session is in UTC.

    An account is `new` until exactly 30 times 24 hours have passed since `created_at`.

    Args:
        created_at: Instant of the account, timestamp with time zone.
        day: Day at whose 00:00 UTC the lifecycle is read.

    Returns:
        `new` under 30 days since `created_at`, for accounts made later and where `created_at` is
        null; else `long_term`. Never null.
    """
    border = day.cast("timestamp") - ibis.interval(days=NEW_DAYS)
    # Without time zone a day has 24 hours, and DuckDB asks no calendar row by row.
    return (created_at.cast("timestamp") > border).fill_null(True).ifelse(NEW, LONG_TERM)


def lifecycle_sql(created_at: str, day: str) -> str:
    """Compile `lifecycle` to DuckDB SQL.

    Args:
        created_at: SQL of the account's instant, such as `u.created_at`.
        day: SQL of the day.

    Returns:
        SQL of one value, to be used as a column or inside another expression.
    """
    texts = {"created_at": created_at, "day": day}
    values = {name: sqlglot.parse_one(text, read="duckdb") for name, text in texts.items()}
    filled = _compiled().transform(
        lambda node: values[node.name].copy() if isinstance(node, exp.Column) else node
    )
    return filled.sql("duckdb")


def lifecycles(created_at: npt.NDArray[np.datetime64], day: date) -> npt.NDArray[np.str_]:
    """Apply `lifecycle` to accounts in memory.

    Args:
        created_at: datetime64 of any unit and shape, UTC; NaT where unknown.
        day: Day at whose 00:00 UTC the lifecycle is read.

    Returns:
        `new` or `long_term`, in the shape of `created_at`.
    """
    border = np.datetime64(day, "us") - np.timedelta64(NEW_DAYS, "D")
    return np.where(np.isnat(created_at) | (created_at > border), NEW, LONG_TERM)


@cache
def _compiled() -> exp.Expr:
    """The expression as syntax tree, over the columns created_at and day."""
    account = ibis.table({"created_at": "timestamp('UTC')", "day": "date"}, name="account")
    query = account.select(lifecycle=lifecycle(account.created_at, account.day))
    text = str(ibis.to_sql(query, dialect="duckdb"))
    value: exp.Expr = sqlglot.parse_one(text, read="duckdb", into=exp.Select).selects[0].unalias()
    return value
