"""Write the account source: users, artists and tracks, in one transaction."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from firstchair.databases import embedded_socket
from firstchair.errors import SourceError
from firstchair.files import replace_file
from firstchair.sources.accounts import ARTISTS, TRACKS, USERS, metadata
from firstchair.world.delivery import MANIFEST

Rows = Iterable[Sequence[Any]]


# In the folder of the truth: the databases whose accounts were written from this home.
WRITTEN = "accounts.json"
EMBEDDED = "embedded/"


def replace_accounts(url: sa.URL, *, users: Rows, artists: Rows, tracks: Rows, truth: Path) -> None:
    """Replace the content of the three tables by these rows (column order of the contract).

    Rows that were not written from this home may be another team's, and are not removed; a database
    that this home has written is its own from then on.

    Args:
        url: The account database.
        users: Rows of that table; as are artists and tracks.
        artists: See users.
        tracks: See users.
        truth: Folder of the home in which it is noted that its accounts were written from here.

    Raises:
        SourceError: The database cannot be reached or written, or holds rows that were not written
            from this home; it stays as it was.
    """
    name, written = _name(url, truth), _written_from(truth)
    # Before there was this note, a home noted the objects that it delivered.
    simulated_before = name.startswith(EMBEDDED) and (truth / MANIFEST).exists()
    with _writing(url) as connection:
        if name not in written and not simulated_before:
            _require_empty(connection, url)
        for table, rows in ((USERS, users), (ARTISTS, artists), (TRACKS, tracks)):
            connection.execute(table.delete())
            _copy(connection, table, rows)
        # Before the commit: a process killed between them would not know its own rows.
        truth.mkdir(parents=True, exist_ok=True)
        replace_file(truth / WRITTEN, json.dumps(sorted({*written, name})).encode())


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
    except (sa.exc.SQLAlchemyError, psycopg.Error) as error:  # the latter while rows are copied
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


def _written_from(truth: Path) -> list[str]:
    """Names of the databases whose accounts were written from the home of this truth."""
    path = truth / WRITTEN
    return list(json.loads(path.read_text())) if path.exists() else []


def _name(url: sa.URL, truth: Path) -> str:
    """Place and name of the database; the same for the server of the home wherever the home is."""
    host = str(url.query.get("host", url.host or "localhost"))
    if host == embedded_socket(truth.parent):
        return f"{EMBEDDED}{url.database}"
    return f"{host}:{url.port or url.query.get('port', 5432)}/{url.database}"


def _require_empty(connection: sa.Connection, url: sa.URL) -> None:
    counts = {
        table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in (USERS, ARTISTS, TRACKS)
    }
    if any(counts.values()):
        rows = ", ".join(f"{count:,} rows of {name}" for name, count in counts.items() if count)
        raise SourceError(
            f"The account database holds {rows} that were not written from this home.",
            where=url.render_as_string(),
            data="It stays as it was, and nothing was written or removed elsewhere.",
            remedy="Set FIRSTCHAIR_SOURCE_DATABASE_URL to an empty database, or unset it and give "
            "FIRSTCHAIR_HOME a new folder.",
        )
