"""Build the gold tables of one `as_of`: stage, check for leaks, validate, then write."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from firstchair.errors import DataError
from firstchair.features.confidence import STANDARD, ConfidenceSettings
from firstchair.features.history import open_views, over_history
from firstchair.features.leaks import leaked_pairs, leaked_users, refuse_leak
from firstchair.features.matrix import interactions
from firstchair.features.profile import NESTED, user_features
from firstchair.lake import STAGED, Engine, Lake, Table, open_engine
from firstchair.lake import tables as lake_tables

if TYPE_CHECKING:
    from firstchair.validation import ValidationReport

BATCH_ROWS = 20_000  # 100 recent plays a row: some 100 MB a batch


@dataclass(frozen=True, slots=True)
class FeaturesReport:
    """The result of a build of gold/user_features.

    rows: rows written, one per user of silver/users. users: rows of silver/users; equal to `rows`.
    fingerprint: content digest (32 hex digits). leaked_rows: rows with data from `as_of` on;
    0, else nothing is written. validation: the suite `user_features` over the columns that are not
    lists; passed, else nothing is written.
    """

    as_of: date
    rows: int
    users: int
    fingerprint: str
    leaked_rows: int
    validation: "ValidationReport"


@dataclass(frozen=True, slots=True)
class InteractionsReport:
    """The result of a build of gold/interactions.

    rows: pairs written. positives: pairs of preference 1. users, artists: how many have a row.
    density: rows ÷ (users × artists), 0..1; 0 without rows. fingerprint: content digest (32 hex
    digits). leaked_rows: rows with data from `as_of` on; 0, else nothing is written.
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
    """Replace the partition `as_of` of gold/user_features by the features of every user.

    Raises:
        LeakageError: A row depends on an event at or after `as_of`; nothing is written.
        DataError: A row breaks the suite; nothing is written.
        LakeError: A table cannot be read; nothing is written.
    """
    from firstchair.validation import validate

    with open_engine(lake) as engine:
        open_views(engine)
        engine.stage(over_history, definition=user_features, as_of=as_of)
        rows, users = _count(engine, STAGED), lake.count(lake_tables.USERS)
        leaked = engine.count(over_history, definition=leaked_users, as_of=as_of)
        refuse_leak(leaked, rows, table=lake_tables.USER_FEATURES.name, as_of=as_of)
        scalars = f"select * exclude ({', '.join(NESTED)}) from {STAGED} order by user_key"
        validation = validate(engine.connection.sql(scalars).df(), "user_features")
        _refuse_invalid(validation, as_of)
        _write(engine, lake_tables.USER_FEATURES, as_of, order="user_key")
    return FeaturesReport(
        as_of=as_of,
        rows=rows,
        users=users,
        fingerprint=_fingerprint(lake, lake_tables.USER_FEATURES, as_of),
        leaked_rows=leaked,
        validation=validation,
    )


def build_interactions(
    lake: Lake, *, as_of: date, settings: ConfidenceSettings = STANDARD
) -> InteractionsReport:
    """Replace the partition `as_of` of gold/interactions by the user–item matrix.

    Raises:
        LeakageError: A row depends on an event at or after `as_of`; nothing is written.
        LakeError: A table cannot be read; nothing is written.
    """
    with open_engine(lake) as engine:
        open_views(engine)
        engine.stage(over_history, definition=interactions, as_of=as_of, settings=settings)
        rows, positives = _count(engine, STAGED), _count(engine, STAGED, "preference = 1")
        leaked = engine.count(over_history, definition=leaked_pairs, as_of=as_of)
        refuse_leak(leaked, rows, table=lake_tables.INTERACTIONS.name, as_of=as_of)
        distinct = (f"(select distinct {name} from {STAGED})" for name in ("user_key", "artist_id"))
        users, artists = (_count(engine, names) for names in distinct)
        _write(engine, lake_tables.INTERACTIONS, as_of, order="user_key, artist_id")
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
    first = next(
        (f": {failure.reason} {failure.detail}".rstrip() for failure in validation.failures), ""
    )
    raise DataError(
        f"Rows of the {validation.rows:,} user features as of {as_of} break their suite: "
        f"{broken}{first}.",
        where="expectations/user_features.json",
        data="Nothing was written; the partition is as it was.",
        remedy="Correct the accounts, the events or the suite, then run `firstchair run`.",
    )


def _write(engine: Engine, table: Table, as_of: date, *, order: str) -> None:
    """Stream the staged rows into the partition, which may be larger than memory."""
    rows = engine.connection.sql(f"select * from {STAGED} order by {order}")
    engine.lake.replace_partition(table, rows.to_arrow_reader(BATCH_ROWS), as_of)


def _fingerprint(lake: Lake, table: Table, as_of: date) -> str:
    return lake.fingerprint(table, f"as_of = date '{as_of.isoformat()}'")


def _count(engine: Engine, relation: str, where: str = "true") -> int:
    query = f"select count(*) from {relation} where {where}"
    ((found,),) = engine.connection.execute(query).fetchall()
    return int(found)
