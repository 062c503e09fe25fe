"""Rows of our databases: where users stand in them, and taking users out."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa

from firstchair.erasure.identity import Identities, Identity, Match, Replacement
from firstchair.erasure.reading import Search

# The ledger is append-only and its entries are chained: what stands in it stays.
KEPT = ("decisions",)
_TEXTS = ("text", "character varying", "character", "json", "jsonb")
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """A table that holds a user: how many rows, and by which of their names."""

    table: str
    identity: Identity
    rows: int
    names: tuple[str, ...]


def held_in(url: sa.URL, search: Search) -> list[Held]:
    """Read every row of every table of a database; the tables that hold users.

    Columns of bytes are read as they are and unpacked by zlib, as Dagster packs them.
    """
    found = []
    with _engine(url).connect() as connection:
        for table in _tables(connection):
            search.tables += 1
            matches: set[Match] = set()
            rows: Counter[Identity] = Counter()
            for row in _rows(connection, table):
                hit = {match for data in row for match in search.found_in(data)}
                matches |= hit
                rows.update({match.identity for match in hit})
            for identity, number in rows.items():
                names = sorted(match.name for match in matches if match.identity == identity)
                found.append(Held(table, identity, number, tuple(names)))
    return found


def erase(url: sa.URL, identities: Identities) -> dict[Identity, dict[str, int]]:
    """Replace the users' names in the texts of a database; the rows changed, by user and table.

    The ledger's entries are left. A table that was changed is written anew, so that its file holds
    no earlier row. It is idempotent.
    """
    changed: dict[Identity, dict[str, int]] = defaultdict(dict)
    holders: dict[str, list[Identity]] = defaultdict(list)
    for held in held_in(url, Search(identities)):
        if held.table not in KEPT:
            holders[held.table].append(held.identity)
    engine = _engine(url)
    for table, leaving in holders.items():
        with engine.begin() as connection:
            columns = _columns(connection, table)
            for identity in leaving:
                changed[identity][table] = sum(
                    _replace(connection, table, column, kind, replacement)
                    for column, kind in columns
                    for replacement in identity.replacements
                )
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text(f"vacuum full {_quoted(table)}"))
    return changed


def _replace(
    connection: sa.Connection, table: str, column: str, kind: str, replacement: Replacement
) -> int:
    """Replace all that a pattern names in a column; how many rows had it."""
    if "\0" in replacement.pattern:
        return 0  # no text of Postgres holds it
    name, of = _quoted(column), _quoted(table)
    done = connection.execute(
        sa.text(
            f"update {of} set {name} = "
            f"regexp_replace({name}::text, :pattern, :text, 'g')::{kind} "
            f"where {name}::text ~ :pattern"
        ),
        {"pattern": replacement.pattern, "text": f"\\1{replacement.text}"},
    )
    return done.rowcount


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
