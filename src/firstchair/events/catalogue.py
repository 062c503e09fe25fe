"""The catalogue as it is now, in the lake: what events may refer to, and what models know of artists."""

from dataclasses import asdict, dataclass

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from firstchair.events.redirects import Fault, Redirect, resolve_redirects
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.sources import accounts, read_table


@dataclass(frozen=True, slots=True)
class CatalogueReport:
    """Rows of silver/artists and silver/tracks, and what became of the other rows of the source.

    nameless: had an empty key and were left out. merged: artists that are another one now. circles,
    unknown_targets: redirects that are not followed, so that their artists stay on their own.
    """

    artists: int
    tracks: int
    nameless: int
    merged: int = 0
    circles: int = 0
    unknown_targets: int = 0


def build_catalogue(lake: Lake, url: sa.URL) -> CatalogueReport:
    """Put the source's artists and tracks in place of silver/artists and silver/tracks.

    An artist whose column `redirect_to` names another was merged into it: it is in
    silver/artist_redirects instead of silver/artists, and its tracks are the other's.

    Raises:
        SourceError: The source cannot be read; the last snapshot stands.
    """
    artists, no_artist = _rows(url, accounts.ARTISTS, accounts.REDIRECT_TO)
    tracks, no_track = _rows(url, accounts.TRACKS)
    redirects = _redirects(artists)
    targets = {one.artist_id: one.redirect_to for one in redirects if one.redirect_to is not None}
    current = artists[~artists["artist_id"].isin(list(targets))]
    owners = tracks["artist_id"].map(lambda artist: targets.get(artist, artist))
    # Known as merged before it is gone as an artist: what refers to it is known at any instant.
    _put_redirects(lake, redirects)
    _put(lake, t.ARTISTS, current)
    _put(lake, t.TRACKS, tracks.assign(artist_id=owners))
    faults = [one.fault for one in redirects]
    return CatalogueReport(
        artists=len(current),
        tracks=len(tracks),
        nameless=no_artist + no_track,
        merged=len(targets),
        circles=faults.count(Fault.CIRCLE),
        unknown_targets=faults.count(Fault.UNKNOWN_ARTIST),
    )


def _rows(url: sa.URL, source: sa.Table, *optional: sa.Column[str]) -> tuple[pd.DataFrame, int]:
    """The rows with a key, and how many have none."""
    key = source.primary_key.columns[0].name
    names = [column.name for column in (*source.columns, *optional)]
    frames = list(read_table(url, source, optional=optional))
    frame = pd.concat(frames) if frames else pd.DataFrame(columns=names, dtype=object)
    kept = frame[frame[key].fillna("") != ""]
    return kept, len(frame) - len(kept)


def _redirects(artists: pd.DataFrame) -> list[Redirect]:
    pairs = artists[artists["redirect_to"].notna()]
    stated = dict(zip(pairs["artist_id"], pairs["redirect_to"], strict=True))
    return resolve_redirects(stated, set(artists["artist_id"]))


def _put(lake: Lake, table: t.Table, rows: pd.DataFrame) -> None:
    lake.overwrite(table, pa.Table.from_pandas(rows, schema=table.schema, preserve_index=False))


def _put_redirects(lake: Lake, redirects: list[Redirect]) -> None:
    """A version of the table for each change: what was published is known by it."""
    found = [asdict(one) for one in redirects]
    rows = pa.Table.from_pylist(found, schema=t.ARTIST_REDIRECTS.schema)
    if not rows.equals(lake.read(t.ARTIST_REDIRECTS).sort_by("artist_id")):
        lake.overwrite(t.ARTIST_REDIRECTS, rows)
