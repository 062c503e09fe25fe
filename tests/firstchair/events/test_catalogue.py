"""The catalogue of the account database, as a snapshot in the lake."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair.errors import SourceError
from firstchair.events import build_catalogue
from firstchair.lake import Lake, redirects_of
from firstchair.lake import tables as t
from firstchair.mappings import AccountMapping
from firstchair.sources import accounts
from tests.firstchair.events.conftest import Delivery, make_event


@pytest.fixture
def source(new_database: Callable[[], sa.URL]) -> sa.Engine:
    """The account database with its tables, empty."""
    engine = sa.create_engine(new_database(), poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(engine)
    return engine


def put(source: sa.Engine, table: sa.Table, *rows: dict[str, Any]) -> None:
    with source.begin() as connection:
        for row in rows:
            connection.execute(table.insert(), row)


def test_artists_and_tracks_are_those_of_the_source(source: sa.Engine, lake: Lake) -> None:
    artist = {
        "artist_id": "a",
        "name": "Björk",
        "first_active_on": date(1977, 1, 1),
        "followers": 5,
        "genres": ["pop"],
    }
    track = {
        "track_id": "t",
        "artist_id": "a",
        "title": "Jóga",
        "duration_ms": 300,
        "released_on": date(1997, 9, 15),
    }
    put(source, accounts.ARTISTS, artist, {"artist_id": "b"}, {"artist_id": ""})
    put(source, accounts.ARTISTS, {"artist_id": "c", "followers": -1})
    put(source, accounts.TRACKS, track)

    report = build_catalogue(lake, source.url)

    nothing = dict.fromkeys(("name", "first_active_on", "followers", "genres"))
    unknown = [{"artist_id": one, **nothing} for one in "bc"]
    assert (report.artists, report.tracks, report.nameless) == (3, 1, 1)
    assert lake.read(t.ARTISTS).to_pylist() == [artist, *unknown]
    assert lake.read(t.TRACKS).to_pylist() == [track]


def test_of_a_track_with_several_artists_one_row_counts(source: sa.Engine, lake: Lake) -> None:
    put(source, accounts.ARTISTS, {"artist_id": "a"}, {"artist_id": "b"})
    with source.begin() as connection:
        connection.execute(sa.text("create table of (track text, artist text)"))
        connection.execute(sa.text("insert into of values ('t', 'b'), ('t', 'a'), ('u', 'b')"))
    query = "select track as track_id, artist as artist_id from of"
    mapping = AccountMapping.model_validate({"tracks": {"query": query}})

    report = build_catalogue(lake, source.url, mapping=mapping)

    assert (report.tracks, report.repeated, report.nameless) == (2, 1, 0)
    owners = {row["track_id"]: row["artist_id"] for row in lake.read(t.TRACKS).to_pylist()}
    assert owners == {"t": "a", "u": "b"}


def test_a_second_snapshot_takes_the_place_of_the_first(source: sa.Engine, lake: Lake) -> None:
    put(source, accounts.ARTISTS, {"artist_id": "a"})
    build_catalogue(lake, source.url)
    with source.begin() as connection:
        connection.execute(accounts.ARTISTS.update().values(name="new"))

    build_catalogue(lake, source.url)

    assert [row["name"] for row in lake.read(t.ARTISTS).to_pylist()] == ["new"]


def test_a_merged_artist_is_none_any_more_and_its_tracks_are_the_others(
    source: sa.Engine,
    lake: Lake,
) -> None:
    put(source, accounts.ARTISTS, *({"artist_id": name} for name in "abcde"))
    put(source, accounts.TRACKS, {"track_id": "t", "artist_id": "a"}, {"track_id": "u"})
    with source.begin() as connection:
        connection.execute(sa.text("alter table artists add column redirect_to text"))
        for artist, target in (("a", "b"), ("b", "c"), ("d", "gone")):
            connection.execute(
                sa.text("update artists set redirect_to = :target where artist_id = :artist"),
                {"artist": artist, "target": target},
            )

    report = build_catalogue(lake, source.url)
    first = lake.version(t.ARTIST_REDIRECTS)
    build_catalogue(lake, source.url)

    assert (report.artists, report.merged, report.circles, report.unknown_targets) == (3, 2, 0, 1)
    assert lake.read(t.ARTISTS).column("artist_id").to_pylist() == ["c", "d", "e"]
    assert redirects_of(lake) == {"a": "c", "b": "c"}
    owners = {row["track_id"]: row["artist_id"] for row in lake.read(t.TRACKS).to_pylist()}
    assert owners == {"t": "c", "u": None}
    assert lake.version(t.ARTIST_REDIRECTS) == first


def test_a_redirect_that_is_taken_back_makes_an_artist_again(source: sa.Engine, lake: Lake) -> None:
    put(source, accounts.ARTISTS, {"artist_id": "a"}, {"artist_id": "b"})
    with source.begin() as connection:
        connection.execute(sa.text("alter table artists add column redirect_to text"))
        connection.execute(sa.text("update artists set redirect_to = 'b' where artist_id = 'a'"))
    build_catalogue(lake, source.url)
    with source.begin() as connection:
        connection.execute(sa.text("update artists set redirect_to = null"))

    report = build_catalogue(lake, source.url)

    assert (report.artists, report.merged) == (2, 0)
    assert redirects_of(lake) == {}


def test_a_source_without_the_tables_is_a_source_error(
    new_database: Callable[[], sa.URL],
    lake: Lake,
) -> None:
    with pytest.raises(SourceError, match="artists"):
        build_catalogue(lake, new_database())

    assert lake.version(t.ARTISTS) == -1


def test_a_source_that_is_away_is_a_source_error(
    new_database: Callable[[], sa.URL],
    lake: Lake,
) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        build_catalogue(lake, new_database().set(database="not_there"))


def test_a_catalogue_under_other_names_is_read_by_its_mapping(
    new_database: Callable[[], sa.URL], lake: Lake
) -> None:
    engine = sa.create_engine(new_database(), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("create schema music"))
        connection.execute(sa.text("create table music.bands (id integer, title text)"))
        connection.execute(sa.text("insert into music.bands values (7, 'Lime: 100 %')"))
        connection.execute(
            sa.text("create table songs (id integer, band integer, seconds integer)")
        )
        connection.execute(sa.text("insert into songs values (1, 7, 200)"))
    mapping = AccountMapping.model_validate(
        {
            "artists": {"table": "music.bands", "columns": {"artist_id": "id", "name": "title"}},
            "tracks": {
                "query": "select id as track_id, band as artist_id, 'T: %' as title, "
                "seconds * 1000 as duration_ms from songs where seconds::int > 0;"
            },
        }
    )

    report = build_catalogue(lake, engine.url, mapping=mapping)

    assert (report.artists, report.tracks, report.derived) == (1, 1, False)
    (artist,), (track,) = lake.read(t.ARTISTS).to_pylist(), lake.read(t.TRACKS).to_pylist()
    assert (artist["artist_id"], artist["name"], artist["followers"]) == ("7", "Lime: 100 %", None)
    assert (track["artist_id"], track["title"], track["duration_ms"]) == ("7", "T: %", 200_000)


def test_a_wrong_column_or_query_of_a_mapping_is_a_source_error(
    source: sa.Engine, lake: Lake
) -> None:
    for artists in (
        {"columns": {"name": "not_there"}},
        {"query": "select nothing from nowhere"},
    ):
        mapping = AccountMapping.model_validate({"artists": artists})
        with pytest.raises(SourceError, match="artists cannot be read"):
            build_catalogue(lake, source.url, mapping=mapping)


def test_without_a_catalogue_artists_and_tracks_are_those_of_the_events(
    delivery: Delivery, new_database: Callable[[], sa.URL]
) -> None:
    delivery.put(
        "a.json",
        make_event(1, "play", artist_name="Old name", track_title="Jóga", duration_ms=300),
        make_event(2, "click", artist_name="New name", occurred_at="2026-01-06T10:00:00Z"),
        make_event(3, "follow", artist_id="artist-2"),
        make_event(4, "follow", artist_id="artist-1", user_id="user-ben"),
        make_event(5, "unfollow", artist_id="artist-2", occurred_at="2026-01-07T10:00:00Z"),
        make_event(6, "login"),
    )
    delivery.ingest()

    report = build_catalogue(delivery.lake, new_database())

    assert (report.artists, report.tracks, report.derived) == (2, 1, True)
    artists = {row["artist_id"]: row for row in delivery.lake.read(t.ARTISTS).to_pylist()}
    assert {key: (row["name"], row["followers"]) for key, row in artists.items()} == {
        "artist-1": ("New name", 1),
        "artist-2": ("artist-2", 0),
    }
    assert artists["artist-1"]["first_active_on"] == date(2026, 1, 5)
    (track,) = delivery.lake.read(t.TRACKS).to_pylist()
    assert (track["artist_id"], track["title"], track["duration_ms"]) == ("artist-1", "Jóga", 300)


def test_no_name_of_a_derived_catalogue_holds_a_key_or_pseudonym(
    delivery: Delivery, new_database: Callable[[], sa.URL]
) -> None:
    """The user 182 listens to Blink 182, so in their event the name has a pseudonym."""
    blink = {"artist_name": "Blink 182", "track_title": "Dammit 182"}
    alone = {"artist_id": "artist-2", "track_id": "track-2", "artist_name": "Sum 182"}
    delivery.put(
        "a.json",
        make_event(1, "play", user_id="41", **blink),
        make_event(2, "play", user_id="182", occurred_at="2026-01-06T10:00:00Z", **blink),
        make_event(3, "play", user_id="182", **alone),
    )
    delivery.ingest()

    build_catalogue(delivery.lake, new_database())

    names = {row["artist_id"]: row["name"] for row in delivery.lake.read(t.ARTISTS).to_pylist()}
    assert names == {"artist-1": "Blink 182", "artist-2": "artist-2"}
    titles = {row["track_id"]: row["title"] for row in delivery.lake.read(t.TRACKS).to_pylist()}
    assert titles == {"track-1": "Dammit 182", "track-2": "track-2"}


def test_a_name_that_was_not_kept_is_none_in_a_derived_catalogue(
    lake: Lake, tmp_path: Path, new_database: Callable[[], sa.URL]
) -> None:
    delivery = Delivery(lake, tmp_path / "landing")
    delivery.put("a.json", make_event(1, "play", artist_name="Lime", track_title="Sour"))
    delivery.ingest(extra_fields=())

    build_catalogue(lake, new_database())

    assert lake.read(t.ARTISTS).column("name").to_pylist() == ["artist-1"]
    assert lake.read(t.TRACKS).column("title").to_pylist() == ["track-1"]
