"""Write the account source: users, artists and tracks, in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from firstchair.errors import SourceError
from firstchair.sources.accounts import ARTISTS, TRACKS, USERS, metadata

Rows = Iterable[Sequence[Any]]


def replace_accounts(url: sa.URL, *, users: Rows, artists: Rows, tracks: Rows) -> None:
    """Replace the content of the three tables by these rows (column order of the contract).

    Raises:
        SourceError: The database cannot be reached or written; it stays as it was.
    """
    with _writing(url) as connection:
        for table, rows in ((USERS, users), (ARTISTS, artists), (TRACKS, tracks)):
            connection.execute(table.delete())
            _copy(connection, table, rows)


def add_users(url: sa.URL, users: Rows) -> None:
    """Insert these rows into the table of users; rows with the same keys are replaced.

    Raises:
        SourceError: The database cannot be reached or written; it stays as it was.
    """
    rows = list(users)
    with _writing(url) as connection:
        connection.execute(USERS.delete().where(USERS.c.user_id.in_([row[0] for row in rows])))
        _copy(connection, USERS, rows)


@contextmanager
def _writing(url: sa.URL) -> Iterator[sa.Connection]:
    """One transaction on the source."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        metadata.create_all(engine)
        with engine.begin() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"Accounts and catalogue cannot be written: {str(error).splitlines()[0]}.",
            where=url.render_as_string(),
            data="The source stays as it was.",
            remedy="Check FIRSTCHAIR_SOURCE_DATABASE_URL and its rights.",
        ) from error
    finally:
        engine.dispose()


def _copy(connection: sa.Connection, table: sa.Table, rows: Rows) -> None:
    names = ", ".join(column.name for column in table.columns)
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
