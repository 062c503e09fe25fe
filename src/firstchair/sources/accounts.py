"""The account table and the catalogue as their owners define them; we only read them."""

from typing import Any

import sqlalchemy as sa

from firstchair.definitions import source_tables
from firstchair.definitions.source_tables import ColumnType, SourceTable

metadata = sa.MetaData()

USERS = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text),
    sa.Column("birth_date", sa.Date),
    sa.Column("age", sa.Integer),
    sa.Column("gender", sa.Text),
    sa.Column("latitude", sa.Double),
    sa.Column("longitude", sa.Double),
    sa.Column("country", sa.Text),  # ISO 3166-1 alpha-2
    sa.Column("created_at", sa.TIMESTAMP(timezone=True)),
    sa.Column("updated_at", sa.TIMESTAMP(timezone=True)),
)


# Columns of the types that the records of source tables name.
TYPES: dict[ColumnType, sa.types.TypeEngine[Any]] = {
    ColumnType.TEXT: sa.Text(),
    ColumnType.TEXTS: sa.ARRAY(sa.Text),
    ColumnType.INTEGER: sa.Integer(),
    ColumnType.BIGINT: sa.BigInteger(),
    ColumnType.DOUBLE: sa.Double(),
    ColumnType.DATE: sa.Date(),
    ColumnType.INSTANT: sa.TIMESTAMP(timezone=True),
}


def _source(table: SourceTable) -> sa.Table:
    columns: list[sa.Column[Any]] = [
        sa.Column(name, TYPES[kind], primary_key=name == table.key)
        for name, kind in table.columns.items()
    ]
    return sa.Table(table.name, metadata, *columns)


ARTISTS, TRACKS = _source(source_tables.ARTISTS), _source(source_tables.TRACKS)
SOURCES = {table.name: _source(table) for table in source_tables.OTHER_TABLES}
# A column that the table of artists may have: the artist that this one was merged into.
REDIRECT_TO: sa.Column[str] = sa.Column("redirect_to", sa.Text)
