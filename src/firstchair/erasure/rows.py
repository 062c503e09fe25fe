"""Rows of our databases: where a user stands in them, and taking the user out."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from firstchair.erasure.identity import ERASED, Identity
from firstchair.erasure.reading import Search

# The ledger is append-only and its entries are chained: what stands in it stays.
KEPT = ("decisions",)
_TEXTS = ("text", "character varying", "character", "json", "jsonb")
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """A table that holds the user: how many rows, and by which of their names."""

    table: str
    rows: int
    names: tuple[str, ...]


def held_in(url: sa.URL, search: Search) -> list[Held]:
    """Read every row of every table of a database; those tables that hold the user.

    Columns of bytes are read as they are and unpacked by zlib, as Dagster packs them.
    """
    found = []
    with _engine(url).connect() as connection:
        for table in _tables(connection):
            search.tables += 1
            names: set[str] = set()
            rows = 0
            for row in _rows(connection, table):
                hit = {name for data in row for name in search.found_in(data)}
                names |= hit
                rows += bool(hit)
            if rows:
                found.append(Held(table, rows, tuple(sorted(names))))
    return found


def erase(url: sa.URL, identity: Identity) -> dict[str, int]:
    """Replace the user's names in the texts of a database; the rows changed, by table.

    The ledger's entries are left. A table that was changed is written anew, so that its file holds
    no earlier row. It is idempotent.
    """
    changed = {}
    held = [one.table for one in held_in(url, Search(identity)) if one.table not in KEPT]
    engine = _engine(url)
    for table in held:
        with engine.begin() as connection:
            changed[table] = sum(
                _replace(connection, table, column, kind, identity)
                for column, kind in _columns(connection, table)
            )
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text(f"vacuum full {_quoted(table)}"))
    return changed


def _replace(
    connection: sa.Connection, table: str, column: str, kind: str, identity: Identity
) -> int:
    name, of = _quoted(column), _quoted(table)
    changed = 0
    for text in filter(None, (identity.user_key, _long(identity), identity.email)):
        done = connection.execute(
            sa.text(
                f"update {of} set {name} = replace({name}::text, :text, :erased)::{kind} "
                f"where strpos({name}::text, :text) > 0"
            ),
            {"text": text, "erased": ERASED},
        )
        changed += done.rowcount
    return changed


def _long(identity: Identity) -> str | None:
    return None if identity.by_field else identity.user_id


def _engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.pool.NullPool)


def _tables(connection: sa.Connection) -> list[str]:
    return sorted(sa.inspect(connection).get_table_names())


def _columns(connection: sa.Connection, table: str) -> list[tuple[str, str]]:
    asked = sa.text(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = current_schema() and table_name = :table"
    )
    return [
        (name, kind) for name, kind in connection.execute(asked, {"table": table}) if kind in _TEXTS
    ]


def _rows(connection: sa.Connection, table: str) -> Iterator[list[bytes]]:
    """Every row as text, and its columns of bytes as they are and unpacked."""
    columns = sa.inspect(connection).get_columns(table)
    packed = [c["name"] for c in columns if isinstance(c["type"], sa.LargeBinary)]
    plain = [c["name"] for c in columns if c["name"] not in packed]
    shown = ", ".join(f"{_quoted(name)}::text" for name in plain) or "''"
    asked = ", ".join([f"concat_ws(chr(10), {shown})", *map(_quoted, packed)])
    result = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
        sa.text(f"select {asked} from {_quoted(table)}")
    )
    for text, *parts in result:
        yield [text.encode(), *(data for part in parts if part for data in _unpacked(bytes(part)))]


def _unpacked(part: bytes) -> Iterator[bytes]:
    yield part
    with suppress(zlib.error):
        yield zlib.decompress(part)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def email_of(url: sa.URL, user_id: str) -> Any:
    """The address of e-mail that the account table has of a user; None where it has none.

    Raises:
        SourceError: The account table cannot be read.
    """
    from firstchair.errors import SourceError
    from firstchair.sources import accounts

    users = accounts.USERS
    try:
        with _engine(url).connect() as connection:
            return connection.scalar(sa.select(users.c.email).where(users.c.user_id == user_id))
    except sa.exc.ProgrammingError:  # there is no such table, or no such column
        return None
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"The account table cannot be read: {str(error).splitlines()[0]}.",
            where=url.render_as_string(),
            data="Nothing was erased.",
            remedy="Bring the database back, then run the same command again.",
        ) from error
