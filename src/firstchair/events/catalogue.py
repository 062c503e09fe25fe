"""The catalogue as it is now, in the lake: what events may refer to, and what models know of artists."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from firstchair.sources import accounts, read_table


@dataclass(frozen=True, slots=True)
class CatalogueReport:
    """Rows of silver/artists and silver/tracks; `nameless` rows had an empty key and were left out."""

    artists: int
    tracks: int
    nameless: int


def build_catalogue(lake: Lake, url: sa.URL) -> CatalogueReport:
    """Put the source's artists and tracks in place of silver/artists and silver/tracks.

    Raises:
        SourceError: The source cannot be read; the last snapshot stands.
    """
    artists, no_artist = _snapshot(url, accounts.ARTISTS, t.ARTISTS)
    tracks, no_track = _snapshot(url, accounts.TRACKS, t.TRACKS)
    lake.overwrite(t.ARTISTS, artists)
    lake.overwrite(t.TRACKS, tracks)
    return CatalogueReport(artists.num_rows, tracks.num_rows, no_artist + no_track)


def _snapshot(url: sa.URL, source: sa.Table, table: Table) -> tuple[pa.Table, int]:
    key = source.primary_key.columns[0].name
    frames = list(read_table(url, source))
    frame = pd.concat(frames) if frames else pd.DataFrame(columns=table.schema.names, dtype=object)
    kept = frame[frame[key].fillna("") != ""]
    return pa.Table.from_pandas(kept, schema=table.schema, preserve_index=False), len(frame) - len(kept)
