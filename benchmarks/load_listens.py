"""How many listens `firstchair load` takes a CPU second, beside DuckDB's parse of the same file.

`python -m benchmarks.load_listens [--listens N]` writes a ListenBrainz export of N listens with
made-up artists, has DuckDB read every field of it (`read_json`, one pass, counted), then lets the
loader write the event objects; accounts and catalogue are read to their end and dropped. CPU
seconds are those of this process with all its threads.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import duckdb

from firstchair.datasets import DATASETS
from firstchair.datasets.composition import Request
from firstchair.world import Store, deliver_day

FIRST_SECOND, STEP_SECONDS, USERS_ARTISTS = 1_500_000_000, 240, 2_000


def main() -> None:
    """Print listens per CPU second of both, and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--listens", type=int, default=300_000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export"
        files = _export(export, options.listens)
        parsed = _cpu_seconds(lambda: _parsed(export))
        loaded = _cpu_seconds(lambda: _loaded(export, Path(folder)))
    size = files / 1_000_000
    print(f"{options.listens:,} listens, {size:,.0f} MB")
    print(f"DuckDB's parse: {options.listens / parsed:,.0f} listens per CPU second")
    print(f"firstchair load: {options.listens / loaded:,.0f} listens per CPU second")
    print(
        f"per CPU minute: {60 * options.listens / loaded:,.0f}; ratio of time {loaded / parsed:.1f}"
    )


def _cpu_seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _parsed(export: Path) -> None:
    query = f"select count(columns(*)) from read_json('{export}/listens/*/*.jsonl')"
    duckdb.connect().execute(query).fetchall()


def _loaded(export: Path, folder: Path) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    request = Request(
        path=export,
        scratch=scratch,
        seed=1,
        start=date(2026, 1, 1),
        days=60,
        now=datetime.now(UTC),
    )
    found = DATASETS["listenbrainz"](request)
    store = Store(str(folder / "events"), folder / "truth")
    for rows in (found.artists, found.tracks):
        assert sum(1 for _ in rows)
    for day in found.days:
        deliver_day(store, day.day, {found.source: day.lines})


def _export(folder: Path, listens: int) -> int:
    """Monthly files as ListenBrainz writes them; their bytes."""
    draw = random.Random(1)
    months: dict[Path, list[str]] = {}
    for number in range(listens):
        at = FIRST_SECOND + STEP_SECONDS * number
        day = datetime.fromtimestamp(at, tz=UTC)
        path = folder / "listens" / str(day.year) / f"{day.month}.jsonl"
        months.setdefault(path, []).append(json.dumps(_listen(at, draw)))
    for path, lines in months.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return sum(path.stat().st_size for path in months)


def _listen(at: int, draw: random.Random) -> dict[str, object]:
    artist = int(USERS_ARTISTS * draw.random() ** 2)
    track = artist * 50 + draw.randrange(50)
    artist_id, track_id = str(UUID(int=artist + 1)), str(UUID(int=track + 1))
    return {
        "listened_at": at,
        "inserted_at": at + 5,
        "recording_msid": str(UUID(int=track)),
        "track_metadata": {
            "artist_name": f"Artist {artist}",
            "track_name": f"Track {track}",
            "release_name": f"Release {track // 10}",
            "additional_info": {
                "duration_ms": 180_000 + track % 90_000,
                "media_player": "made up",
                "submission_client": "made up",
                "artist_mbids": [artist_id],
                "recording_mbid": track_id,
                "tags": [],
            },
            "mbid_mapping": {
                "artist_mbids": [artist_id],
                "artists": [{"artist_credit_name": f"Artist {artist}", "artist_mbid": artist_id}],
                "recording_mbid": track_id,
                "recording_name": f"Track {track}",
                "release_mbid": str(UUID(int=track // 10 + 1)),
                "caa_id": 1,
            },
        },
    }


if __name__ == "__main__":
    main()
