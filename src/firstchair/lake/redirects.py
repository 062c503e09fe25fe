"""Merged artists: tables keep the id that was reported, and are read under the current artist."""

from firstchair.lake import tables as t
from firstchair.lake.delta import Lake
from firstchair.lake.tables import Table

MERGED = "redirect_to is not null"


def under_current_artists(lake: Lake, table: Table) -> str:
    """A DuckDB relation (SQL text) of a table, a merged artist being the one it was merged into.

    The only way in which what was recorded by artist is read: a redirect that the catalogue has
    learnt since counts for every day, and one that is taken back for none.

    Args:
        lake: Where the table is, and silver/artist_redirects.
        table: One with a column artist_id, such as silver/events.

    Returns:
        The rows and columns of the table in no order. Two rows of one key may name the same artist.
    """
    if not has_merged_artists(lake):
        return lake.scan(table)
    rows, redirects = lake.scan(table), lake.scan(t.ARTIST_REDIRECTS)
    return f"({current_artists_sql(table, rows, redirects)})"


def current_artists_sql(table: Table, rows: str, redirects: str) -> str:
    """The same rows in the SQL of any engine.

    rows, redirects: its relations of the table as recorded, and of silver/artist_redirects.
    """
    current = "coalesce(m.redirect_to, e.artist_id) as artist_id"
    names = (current if name == "artist_id" else f"e.{name}" for name in table.schema.names)
    return f"""
        select {", ".join(names)} from {rows} e
        left join {_merged_among(redirects)} m on m.artist_id = e.artist_id"""


def has_merged_artists(lake: Lake) -> bool:
    """Whether some artist is read as the one it was merged into."""
    return lake.count(t.ARTIST_REDIRECTS, MERGED) > 0


def merged_artists(lake: Lake) -> str:
    """A DuckDB relation of the merged artists: artist_id, and redirect_to, a current one."""
    return _merged_among(lake.scan(t.ARTIST_REDIRECTS))


def _merged_among(redirects: str) -> str:
    return f"(select artist_id, redirect_to from {redirects} where {MERGED})"


def redirects_of(lake: Lake) -> dict[str, str]:
    """The current artist by each merged one."""
    rows = lake.read(t.ARTIST_REDIRECTS, MERGED).sort_by("artist_id")
    names, targets = rows.column("artist_id").to_pylist(), rows.column("redirect_to").to_pylist()
    return dict(zip(names, targets, strict=True))


def holds_merged(lake: Lake, table: Table, where: str) -> bool:
    """Whether some row that `where` (DuckDB SQL) names was built before its artist was merged."""
    if not has_merged_artists(lake):
        return False
    merged = f"select artist_id from {merged_artists(lake)}"
    return lake.count(table, f"{where} and artist_id in ({merged})") > 0
