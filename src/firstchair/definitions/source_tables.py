"""Tables of the account database that are kept in the lake as they are now.

A table's source columns, its Delta table `silver/<name>`, its reading, its validation by
`expectations/<name>.json` and its asset derive from one record. docs/extending.md shows how to add
one. The table of users is none of these: its rows lose all personal data on the way (`privacy`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """Type of a column, as Postgres names it."""

    TEXT = "text"
    TEXTS = "text[]"
    INTEGER = "integer"
    BIGINT = "bigint"
    DOUBLE = "double precision"
    DATE = "date"
    INSTANT = "timestamptz"


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table whose owner is another team, one row an entity.

    Attributes:
        name: In the account database; the asset and the Delta table have the same name.
        description: One sentence for the asset.
        columns: Type by name, the primary key first. None may hold personal data.
    """

    name: str
    description: str
    columns: Mapping[str, ColumnType]

    @property
    def key(self) -> str:
        """The primary key."""
        return next(iter(self.columns))


# These two are the catalogue: one asset reads them together and follows merged artists.
ARTISTS = SourceTable(
    "artists",
    "Artists of the catalogue.",
    {
        "artist_id": ColumnType.TEXT,
        "name": ColumnType.TEXT,
        "first_active_on": ColumnType.DATE,
        "followers": ColumnType.BIGINT,
        "genres": ColumnType.TEXTS,
    },
)
TRACKS = SourceTable(
    "tracks",
    "Tracks of the catalogue.",
    {
        "track_id": ColumnType.TEXT,
        "artist_id": ColumnType.TEXT,
        "title": ColumnType.TEXT,
        "duration_ms": ColumnType.INTEGER,
        "released_on": ColumnType.DATE,
    },
)
# Tables beside the catalogue, each with an asset of its own.
OTHER_TABLES: tuple[SourceTable, ...] = ()
