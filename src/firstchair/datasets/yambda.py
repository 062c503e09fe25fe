"""Yambda: listens of Yandex Music in Parquet, the flat layout (https://arxiv.org/abs/2505.22238).

`uid, timestamp, item_id, is_organic, played_ratio_pct, track_length_seconds`; the timestamp counts
seconds from an origin that was not published, in steps of five, so that ties are normal.
"""

import re
from datetime import UTC, datetime, time
from pathlib import Path

import duckdb

from firstchair.datasets.composition import Dataset, Request
from firstchair.datasets.exports import ExportFile, find_exports
from firstchair.datasets.listens import Layout, Listens, json_records
from firstchair.datasets.tables import unreadable
from firstchair.errors import SourceError

LISTENS, EVERYTHING, MAPPING = "listens", "multi_event", "artist_item_mapping.parquet"
COLUMNS = ("uid", "timestamp", "item_id", "is_organic", "played_ratio_pct", "track_length_seconds")
# The mapping stands at the root of the set, two folders above flat/50m.
FOLDERS_ABOVE = 3
MEANING = """
    select export, place, line,
        uid::varchar as owner,
        origin_ms + timestamp::bigint * 1000 as started_ms,
        'yambda-' || artist_id as artist_id,
        'Artist ' || artist_id as artist,
        false as is_joint,
        'yambda-' || item_id as track_id,
        'Track ' || item_id as title,
        track_length_seconds::bigint * 1000 as length_ms,
        track_length_seconds::bigint * 10 * played_ratio_pct as ms_played,
        null as was_skipped,
        null as country,
        is_organic = 0 as was_recommended,
        case when played_ratio_pct is null or track_length_seconds is null then 'no time played'
             when artist_id is null then 'a track without an artist in the mapping' end as reason
    from records
"""
LAYOUT = Layout(
    name="yambda",
    files=re.compile(rf"(?:^|/)(?:{LISTENS}|{EVERYTHING})\.parquet$"),
    example=f"flat/50m/{LISTENS}.parquet",
    meaning=MEANING,
    real=(
        "users, tracks, which artist a track is of, lengths, and the part of it that was played; "
        "above 100 % some of it was played again",
        "was_recommended: the play came from a recommendation, of which neither slate nor "
        "propensity are known",
    ),
    composed=(
        "the first day: timestamps count from an unknown origin, put at --start",
        "names: the set has numbers alone; a track of several artists is the first one's",
    ),
    read=json_records,
    own={"was_recommended": "was_recommended"},
    numbered=True,
)


def compose(request: Request) -> Dataset:
    """The listens of one size of the set; likes and dislikes are of tracks and are not loaded."""
    file = _listens_file(request.path)
    listens = Listens(LAYOUT, request, [file])
    origin = int(datetime.combine(request.start, time(), tzinfo=UTC).timestamp() * 1000)
    try:
        listens.connection.execute(_records(listens.connection, file, origin, _mapping(file.path)))
        listens.take()
    except duckdb.Error as error:
        raise unreadable(file.path, str(error).splitlines()[0]) from error
    return listens.dataset()


def _listens_file(path: Path) -> ExportFile:
    """The file of the listens; of all events only where there is none."""
    files = find_exports(path, LAYOUT.files, example=LAYOUT.example)
    alone = [file for file in files if file.path.stem == LISTENS] or files
    if len(alone) > 1:
        names = ", ".join(str(file.path.relative_to(path)) for file in alone)
        raise SourceError(
            f"The set stands there in {len(alone)} sizes or layouts: {names}.",
            where=str(path),
            data="Nothing was written; the sources stay as they were.",
            remedy="Point to one of these files.",
        )
    return alone[0]


def _mapping(file: Path) -> Path:
    folders = [file.parent, *file.resolve().parents[1 : 1 + FOLDERS_ABOVE]]
    for folder in folders:
        if (folder / MAPPING).exists():
            return folder / MAPPING
    raise unreadable(
        file.with_name(MAPPING),
        f"it says which artist a track is of, and is in none of {', '.join(map(str, folders))}",
    )


def _records(
    connection: duckdb.DuckDBPyConnection, file: ExportFile, origin_ms: int, mapping: Path
) -> str:
    """SQL of the view `records`."""
    described = connection.read_parquet(str(file.path))
    types = dict(zip(described.columns, map(str, described.types), strict=True))
    if wrong := [name for name in COLUMNS if types.get(name, "[]").endswith("[]")]:
        raise unreadable(
            file.path, f"it has no column {', '.join(wrong)} of one value a row (the flat layout)"
        )
    listened = "where event_type::varchar = 'listen'" if "event_type" in types else ""
    return f"""
        create temp view records as
        with artists as (
            select item_id, min(artist_id) as artist_id from {_parquet(mapping)} group by item_id)
        select 0 as export, 0 as place, file_row_number + 1 as line, {origin_ms} as origin_ms,
               l.*, artist_id
        from {_parquet(file.path, "file_row_number = true")} l left join artists using (item_id)
        {listened}
    """


def _parquet(path: Path, *options: str) -> str:
    return f"read_parquet({', '.join((_quoted(path), *options))})"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
