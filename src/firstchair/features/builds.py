"""Building the gold tables of one `as_of`: stage, look for leaks, validate, and only then write."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis.expr.types as ir

from firstchair.errors import DataError
from firstchair.features.confidence import STANDARD, ConfidenceSettings
from firstchair.features.history import open_history
from firstchair.features.leaks import leaked_pairs, leaked_users, refuse_leak
from firstchair.features.matrix import interactions
from firstchair.features.profile import user_features
from firstchair.lake import Engine, Lake, Table
from firstchair.lake import tables as lake_tables

if TYPE_CHECKING:
    from firstchair.validation import ValidationReport

BATCH_ROWS = 20_000  # 100 recent plays a row: some 100 MB a batch
NESTED = ("recent_tracks", "followed_artists", "self_normalised")


@dataclass(frozen=True, slots=True)
class FeaturesReport:
    """What a build of gold/user_features wrote.

    rows: rows written, one a user of silver/users. users: rows of silver/users; equal to `rows`.
    fingerprint: content digest (32 hex digits). leaked_rows: rows that know the future; 0, or nothing
    would have been written.
    validation: the suite `user_features` over the columns that are not lists; passed, or nothing
    would have been written.
    """

    as_of: date
    rows: int
    users: int
    fingerprint: str
    leaked_rows: int
    validation: "ValidationReport"


@dataclass(frozen=True, slots=True)
class InteractionsReport:
    """What a build of gold/interactions wrote.

    rows: pairs written. positives: pairs of preference 1. users, artists: how many have a row.
    density: rows ÷ (users × artists), 0..1; 0 where there is none. fingerprint: content digest (32 hex
    digits). leaked_rows: rows that know the future; 0, or nothing would have been written.
    """

    as_of: date
    rows: int
    positives: int
    users: int
    artists: int
    density: float
    fingerprint: str
    leaked_rows: int


def build_user_features(lake: Lake, *, as_of: date) -> FeaturesReport:
    """Put the features of every user at `as_of` in place of that partition of gold/user_features.

    Raises:
        LeakageError: A row knows an event at or after `as_of`; nothing is written.
        DataError: A row breaks the suite; nothing is written.
        LakeError: A table cannot be read; nothing is written.
    """
    from firstchair.validation import validate

    with Engine(lake) as engine:
        history = open_history(engine)
        staged = _stage(engine, user_features(history, as_of=as_of))
        rows, users = _count(staged), _count(history.users)
        leaked = leaked_users(history, staged, as_of=as_of)
        refuse_leak(leaked, rows, table=lake_tables.USER_FEATURES.name, as_of=as_of)
        validation = validate(staged.drop(*NESTED).order_by("user_key").to_pandas(), "user_features")
        _refuse_invalid(validation, as_of)
        _write(engine, lake_tables.USER_FEATURES, staged.order_by("user_key"), as_of)
    return FeaturesReport(
        as_of=as_of,
        rows=rows,
        users=users,
        fingerprint=_fingerprint(lake, lake_tables.USER_FEATURES, as_of),
        leaked_rows=leaked,
        validation=validation,
    )


def build_interactions(lake: Lake, *, as_of: date, settings: ConfidenceSettings = STANDARD) -> InteractionsReport:
    """Put the user–item matrix at `as_of` in place of that partition of gold/interactions.

    Raises:
        LeakageError: A row knows an event at or after `as_of`; nothing is written.
        LakeError: A table cannot be read; nothing is written.
    """
    with Engine(lake) as engine:
        history = open_history(engine)
        staged = _stage(engine, interactions(history, as_of=as_of, settings=settings))
        rows, positives = _count(staged), _count(staged.filter(staged.preference == 1))
        leaked = leaked_pairs(history, staged, as_of=as_of)
        refuse_leak(leaked, rows, table=lake_tables.INTERACTIONS.name, as_of=as_of)
        users, artists = _count(staged.select("user_key").distinct()), _count(staged.select("artist_id").distinct())
        _write(engine, lake_tables.INTERACTIONS, staged.order_by("user_key", "artist_id"), as_of)
    return InteractionsReport(
        as_of=as_of,
        rows=rows,
        positives=positives,
        users=users,
        artists=artists,
        density=rows / (users * artists) if rows else 0.0,
        fingerprint=_fingerprint(lake, lake_tables.INTERACTIONS, as_of),
        leaked_rows=leaked,
    )


def _refuse_invalid(validation: "ValidationReport", as_of: date) -> None:
    if validation.passed:
        return
    broken = ", ".join(f"{rows:,} of {name}" for name, rows in validation.by_expectation.items())
    first = next((f": {failure.reason} {failure.detail}".rstrip() for failure in validation.failures), "")
    raise DataError(
        f"Rows of the {validation.rows:,} user features as of {as_of} break their suite: {broken}{first}.",
        where="expectations/user_features.json",
        data="Nothing was written; the partition is as it was.",
        remedy="Correct what the accounts or events hold, or the suite, then run `firstchair run`.",
    )


def _stage(engine: Engine, rows: ir.Table) -> ir.Table:
    """The rows computed once, in a temporary table that spills to disk where memory ends."""
    return engine.backend.create_table("staged", rows, temp=True)


def _write(engine: Engine, table: Table, rows: ir.Table, as_of: date) -> None:
    """Stream the rows into the partition, so that a table larger than memory passes through.

    Straight from the connection: to_pyarrow_batches of Ibis 12.0 calls a method that DuckDB 2.0 took away.
    """
    reader = engine.connection.sql(engine.backend.compile(rows)).to_arrow_reader(BATCH_ROWS)
    engine.lake.replace_partition(table, reader, as_of)


def _fingerprint(lake: Lake, table: Table, as_of: date) -> str:
    return lake.fingerprint(table, f"as_of = date '{as_of.isoformat()}'")


def _count(rows: ir.Table) -> int:
    return int(rows.count().execute())
