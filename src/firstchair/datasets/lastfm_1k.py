"""lastfm-1k: real profiles, and the real plays that the published sample holds."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from firstchair.datasets.composition import Dataset
from firstchair.datasets.profiles import read_profiles
from firstchair.datasets.tables import read_tsv

PLAYS = "userid-timestamp-artid-artname-traid-traname.sample.tsv"
COLUMNS = ["user_id", "played_at", "artist_id", "artist", "track_id", "track"]
TRACK_MS = 210_000


def compose(path: Path, seed: int, days: int, start: date) -> Dataset:
    """Profiles and plays with their own times; `seed`, `days` and `start` have nothing to decide here."""
    profiles = read_profiles(path)
    rows = read_tsv(path / PLAYS, COLUMNS, header=False).drop_duplicates(["user_id", "played_at", "track"])
    rows["artist_id"] = _or_hash(rows["artist_id"], rows["artist"])
    rows["track_id"] = _or_hash(rows["track_id"], rows["artist"] + "\n" + rows["track"])
    artists = rows.drop_duplicates("artist_id")
    tracks = rows.drop_duplicates("track_id")
    first = datetime.fromisoformat(rows["played_at"].min()) - timedelta(days=365)
    users = [
        (p.user_id, None, None, p.age, p.gender, None, None, p.country, p.registered or first, None) for p in profiles
    ]
    found = Dataset(
        source="lastfm-1k",
        users=users,
        artists=[(row.artist_id, row.artist, None, None, []) for row in artists.itertuples()],
        tracks=[(row.track_id, row.artist_id, row.track, TRACK_MS, None) for row in tracks.itertuples()],
        real=("profiles, artists, tracks, and the time of every play",),
        composed=("length of every track and milliseconds played (a whole track of 3:30)", "signup where it is blank"),
    )
    known = {p.user_id for p in profiles}
    found.add(_event(row) for row in rows.itertuples() if row.user_id in known)
    return found


def _event(row: Any) -> tuple[int, str, str, dict[str, Any]]:
    ms = int(datetime.fromisoformat(row.played_at).astimezone(UTC).timestamp() * 1000)
    fields = {"artist_id": row.artist_id, "track_id": row.track_id, "ms_played": TRACK_MS, "slate_id": None}
    return ms, "play", row.user_id, fields


def _or_hash(ids: Any, names: Any) -> Any:
    """Ids, and where one is missing, a digest of the name, so that the same name is the same thing."""
    digests = names.map(lambda name: hashlib.sha256(name.encode()).hexdigest()[:24])
    return ids.where(ids != "", digests)
