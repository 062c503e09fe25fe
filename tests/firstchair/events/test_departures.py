"""What left the source was known: its events are accepted whenever their day is built."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair import events
from firstchair.lake import tables as t
from firstchair.privacy import build_users
from firstchair.sources import accounts
from tests.firstchair.events.conftest import KEY, NOW, Delivery


@pytest.fixture
def source(new_database: Callable[[], sa.URL]) -> sa.Engine:
    """Two users, and two artists with a track each."""
    engine = sa.create_engine(new_database(), poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("alter table artists add column redirect_to text"))
        for name in ("ann", "bob"):
            user = {"user_id": f"user-{name}", "created_at": NOW}
            connection.execute(accounts.USERS.insert(), user)
        for number in (1, 2):
            artist = {"artist_id": f"artist-{number}"}
            connection.execute(accounts.ARTISTS.insert(), artist)
            connection.execute(accounts.TRACKS.insert(), {"track_id": f"track-{number}", **artist})
    return engine


def read(delivery: Delivery, source: sa.Engine, *statements: str) -> None:
    """Change the source, then read accounts and catalogue."""
    with source.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    build_users(delivery.lake, source.url, pseudonym_key=KEY, now=NOW)
    events.build_catalogue(delivery.lake, source.url)


def test_a_day_that_is_built_again_keeps_the_events_of_what_left_the_source(
    delivery: Delivery, event: Any, source: sa.Engine
) -> None:
    read(delivery, source)
    gone = {"artist_id": "artist-2", "track_id": "track-2"}
    delivery.put("a.jsonl", event(1), event(2, "play", **gone), event(3, user_id="user-bob"))
    delivery.ingest()
    delivery.build()

    read(
        delivery,
        source,
        "delete from users where user_id = 'user-bob'",
        "delete from artists where artist_id = 'artist-2'",
        "delete from tracks where track_id = 'track-2'",
    )
    read(delivery, source)
    delivery.put("late.jsonl", event(4, user_id="user-bob"), event(5, user_id="nobody"))
    delivery.ingest()
    delivery.build()

    assert delivery.ids() == ["event-1", "event-2", "event-3", "event-4"]
    assert delivery.reasons() == {"unknown_user": 1}
    assert delivery.lake.read(t.ARTISTS).column("artist_id").to_pylist() == ["artist-1"]


def test_a_merged_artist_whose_row_is_gone_was_known_too(
    delivery: Delivery, event: Any, source: sa.Engine
) -> None:
    read(delivery, source, "update artists set redirect_to = 'artist-1' where artist_id like '%2'")
    delivery.put("a.jsonl", event(1, artist_id="artist-2"))
    delivery.ingest()

    read(delivery, source, "delete from artists where artist_id = 'artist-2'")
    delivery.build()

    assert (delivery.ids(), delivery.reasons()) == (["event-1"], {})


def test_an_artist_who_is_back_in_the_catalogue_is_no_former_one(
    delivery: Delivery, source: sa.Engine
) -> None:
    read(delivery, source)
    read(delivery, source, "delete from artists where artist_id = 'artist-2'")
    former = delivery.lake.read(t.FORMER_ARTISTS).column("artist_id").to_pylist()

    read(delivery, source, "insert into artists (artist_id) values ('artist-2')")

    assert (former, delivery.lake.count(t.FORMER_ARTISTS)) == (["artist-2"], 0)
