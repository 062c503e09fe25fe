"""Rows as a lake may hold them at its worst, the same for every engine."""

import math
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa

from firstchair.lake import Lake
from firstchair.lake import tables as t
from tests.firstchair.features.conftest import ANNA, BEN, CARA, Row, Scene

# The day after the leap day; later events must not count.
AS_OF = date(2024, 3, 1)
# In the order of code points; UTF-16 puts the note before the last one.
NAMES = ("", " ", "'", "A", "\\", "a", "x", "y", "z", "é", "東", "\uffee", "𝄞")
DUNE = "d" * 32


def wild_events(scene: Scene) -> list[Row]:
    """Events as silver may hold them at its worst."""
    events = scene.busy(until=AS_OF + timedelta(days=2))
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    instants = (
        datetime(2024, 2, 29, 0, 0, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2024, 3, 1, 13, 59, 59, 600_000, tzinfo=east),
        datetime(2024, 2, 28, 12, 0, tzinfo=west),
        datetime(2024, 3, 9, 23, 59, 59, 500_001, tzinfo=UTC),
    )
    for at in (instant.astimezone(UTC) for instant in instants):
        for number, name in enumerate(NAMES):
            of = {"artist_id": name, "slate_id": f"s{at:%d%H}", "position": number % 3 + 1}
            for user in (ANNA, BEN):
                events += [
                    scene.event("impression", user, at, propensity=1 / (number + 3), **of),
                    scene.event("click", user, at, **of),
                    scene.event("follow", user, at, artist_id=name),
                    scene.event(
                        "play", user, at, artist_id=name, track_id=f"{name}1", ms_played=number
                    ),
                ]
        events += [
            # Ties: the later event_id counts.
            scene.event("unfollow", ANNA, at, artist_id="x"),
            scene.event("login", CARA, at),
            scene.event("impression", CARA, at, artist_id="y", slate_id="n", propensity=math.nan),
            scene.event("impression", CARA, at, artist_id="y", slate_id="n", propensity=0.25),
            scene.event("impression", CARA, at, artist_id="z", slate_id="m", propensity=math.nan),
            scene.event("play", CARA, at, artist_id=None, track_id=None, ms_played=None),
            scene.event("play", CARA, at, artist_id="y", track_id="gone", ms_played=10**13),
            scene.event("play", DUNE, at, artist_id="gone", track_id="x1", ms_played=0),
            scene.event("click", DUNE, at, artist_id=None),
        ]
    return events


def wild_accounts(scene: Scene) -> dict[str, list[Row]]:
    """Accounts and catalogue with gaps and borders."""
    border = datetime(2024, 1, 31, tzinfo=UTC)
    created = (
        None,
        border,
        border - timedelta(microseconds=1),
        border + timedelta(microseconds=400_000),
        border + timedelta(microseconds=600_000),
        datetime(2024, 3, 1, 12, tzinfo=UTC),
        datetime(1899, 12, 31, 23, tzinfo=UTC),
    )
    users = [
        scene.user(f"{number:032x}", created_at=at, country=None, city="Bogotá \n'\"\\")
        for number, at in enumerate(created)
    ]
    artists = [scene.artist(name, name=name.title()) for name in NAMES]
    artists += [
        scene.artist("Hildegard", first_active_on=date(1098, 9, 17), followers=None, genres=None),
        scene.artist("leap", first_active_on=date(2024, 2, 29), genres=[None, "a"]),
        scene.artist("later", first_active_on=date(2030, 1, 1), name=None),
        scene.artist("undated", first_active_on=None, followers=2**40),
    ]
    tracks = [
        scene.track(f"{name}{number}", name, (0, None, 200_000)[number - 1])
        for name in NAMES
        for number in (1, 2, 3)
    ]
    return {"users": scene.catalogue()["users"] + users, "artists": artists, "tracks": tracks}


def fill(lake: Lake) -> None:
    """The same rows for every lake, of which some days came late and an artist was merged."""
    scene = Scene()
    events, catalogue = wild_events(scene), wild_accounts(scene)
    in_time, late = [e for e in events if e["source_seq"] % 5], events[::5]
    scene.fill(lake, in_time, **catalogue)
    lake.append(t.EVENTS, pa.Table.from_pylist(late, schema=t.EVENTS.schema))
    lake.delete(t.EVENTS, "event_date = '2024-02-25'")
    merged = {"artist_id": "gone", "stated": "z", "redirect_to": "z", "fault": None}
    schema = t.ARTIST_REDIRECTS.schema
    lake.overwrite(t.ARTIST_REDIRECTS, pa.Table.from_pylist([merged], schema=schema))
