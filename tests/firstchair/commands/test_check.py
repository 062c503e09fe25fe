"""`init` proposes a mapping from samples; `check` names each fault and its remedy, read-only."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair.commands.check import CheckReport, check
from firstchair.commands.init import init
from firstchair.errors import SettingsError
from firstchair.settings import Settings
from firstchair.sources import accounts
from tests.firstchair.events.conftest import make_event

NOW = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def source(new_session_database: Callable[[], sa.URL]) -> sa.URL:
    """Accounts and a catalogue that know what `make_event` refers to."""
    url = new_session_database()
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(accounts.USERS.insert(), {"user_id": "user-ann", "created_at": NOW})
        connection.execute(accounts.ARTISTS.insert(), {"artist_id": "artist-1"})
        connection.execute(
            accounts.TRACKS.insert(), {"track_id": "track-1", "artist_id": "artist-1"}
        )
    return url


@pytest.fixture
def checking(tmp_path: Path, source: sa.URL) -> Callable[..., CheckReport]:
    def call(
        text: str, name: str = "a.jsonl", *, others: Sequence[Any] = (), **changes: Any
    ) -> CheckReport:
        folder = tmp_path / "events"
        folder.mkdir(exist_ok=True)
        for content, file in ((text, name), *others):
            (folder / file).write_text(content)
        given = {
            "home": tmp_path / "home",
            "events_url": str(folder),
            "source_database_url": source.render_as_string(hide_password=False),
        }
        return check(Settings(**(given | changes)), now=NOW)

    return call


def lines(*values: Any) -> str:
    return "\n".join(map(json.dumps, values))


def test_a_sound_source_has_no_fault_and_nothing_is_written(
    checking: Callable[..., CheckReport], tmp_path: Path
) -> None:
    report = checking(lines(make_event(1), make_event(2, "play", user_id="user-ann")))

    assert report.ok
    assert (report.read, report.accepted, report.accounts_read) == (2, 2, 1)
    assert report.examples[0]["artist_id"] == "artist-1"
    assert not (tmp_path / "home").exists()


BAD: dict[str, tuple[str, str, str, str]] = {
    "a table": ("user,artist\n1,2\n", "a.json", "not_json", "CSV"),
    "unfinished": ('{"event_id": "x"', "a.json", "not_json", "whole JSON objects"),
    "other names": (lines({"id": 1}), "a.json", "missing_field", "a record has id"),
    "a list": (lines([[1, 2]]), "a.json", "not_an_object", "one JSON object"),
    "epoch": (lines(make_event(1, occurred_at=1767610800)), "a.json", "bad_type", "unit ="),
    "naive": (
        lines(make_event(1, occurred_at="2026-01-05T10:00:00")),
        *("a.json", "bad_timestamp", "time_zone ="),
    ),
    "the future": (
        lines(make_event(1, occurred_at="2056-01-05T10:00:00Z")),
        *("a.json", "future_timestamp", "unit and the time zone"),
    ),
    "numbers as users": (lines(make_event(1, user_id=7)), "a.json", "bad_type", "converted"),
    "other types": (
        lines(make_event(1, "login", event_type="page")),
        *("a.json", "unknown_event_type", "event_type.names"),
    ),
    "unknown users": (
        lines(make_event(1, user_id="someone")),
        *("a.json", "unknown_user", "same key"),
    ),
    "another ending": (lines(make_event(1)), "a.txt", "skipped", ".jsonl"),
    "a repeated id": (
        lines(make_event(1), make_event(2, event_id="event-1")),
        *("a.json", "event_id_repeats", "no two events share"),
    ),
    "one counter for none": (
        lines(make_event(1), make_event(2, source_seq=1)),
        *("a.json", "sequence_conflict", "within each source"),
    ),
}


@pytest.mark.parametrize("part", [0, 1])
def test_a_bad_source_is_one_fault_of_one_line_with_its_mend(
    checking: Callable[..., CheckReport], part: int
) -> None:
    cases = [BAD[name] for name in sorted(BAD)[part::2]]
    *others, last = [(text, f"{number}-{file}") for number, (text, file, _, _) in enumerate(cases)]

    faults = checking(*last, others=others).faults

    for _, _, code, mend in cases:
        assert [one for one in faults if one.code == code and mend in one.mend], (code, faults)
    assert all("\n" not in fault.what + fault.mend for fault in faults)


def test_the_newest_of_many_objects_are_looked_at(checking: Callable[..., CheckReport]) -> None:
    days = [(lines(make_event(day)), f"day-{day:02}.jsonl") for day in range(1, 40)]

    report = checking('{"event_id": "x"', "day-40.jsonl", others=days)

    assert (report.objects, report.refused) == (40, {"not_json": 1})


def test_a_database_that_is_away_or_not_set_is_a_fault(
    checking: Callable[..., CheckReport],
) -> None:
    away = checking(lines(make_event(1)), source_database_url="postgresql://nobody@127.0.0.1:9/x")
    unset = checking(lines(make_event(1)), source_database_url="")

    assert [fault.code for fault in away.faults] == ["source_unavailable"]
    assert [fault.code for fault in unset.faults] == ["no_accounts"]


def test_init_proposes_a_mapping_that_makes_events_of_the_records(
    tmp_path: Path, checking: Callable[..., CheckReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = {
        "id": "x1",
        "what": "song.played",
        "at": 1767610800123,
        "listener": {"userId": 17},
        "track": {"id": 5, "title": "Jóga", "artist": {"id": 3, "name": "Björk"}},
        "listened_seconds": 12.5,
    }
    checking(lines(played, played | {"id": "x2", "what": "artist.liked"}))

    report = init(
        tmp_path,
        events_url=str(tmp_path / "events"),
        accounts_url="",
        preset=None,
        force=False,
        now=NOW,
    )

    assert (report.sampled, report.accepted_before, report.accepted) == (2, 0, 2)
    monkeypatch.chdir(tmp_path)
    mapping = Settings(home=tmp_path / "home").events.mapping
    assert mapping is not None
    assert mapping.field("user_id").paths == ("listener.userId",)
    assert mapping.field("artist_id").paths == ("track.artist.id",)
    assert dict(mapping.field("event_type").names) == {
        "song.played": "play",
        "artist.liked": "follow",
    }
    assert mapping.field("occurred_at").unit == "ms"
    assert mapping.field("ms_played").unit == "s"


def test_init_reads_the_newest_objects_and_takes_no_part_of_a_word_for_a_play(
    tmp_path: Path, checking: Callable[..., CheckReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ["item_displayed", "playlist_created", "trackDisliked", "review posted"]
    first = lines(*(make_event(n, event_type=kind) for n, kind in enumerate(odd)))
    others = [
        (lines(make_event(n, event_type="song_played" if n == 39 else "x")), f"{n}.jsonl")
        for n in range(10, 40)
    ]
    checking(first, "00.jsonl", others=others)

    asked = {"accounts_url": "", "preset": None, "force": False, "now": NOW}
    init(tmp_path, events_url=str(tmp_path / "events"), **asked)

    monkeypatch.chdir(tmp_path)
    mapping = Settings(home=tmp_path / "home").events.mapping
    assert mapping is not None
    assert dict(mapping.field("event_type").names) == {
        "item_displayed": "impression",
        "song_played": "play",
    }


def test_init_keeps_names_of_events_that_json_and_toml_write_otherwise(
    tmp_path: Path, checking: Callable[..., CheckReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = {
        "id": "x1",
        "what": "Play \U0001f3b5",
        "at": 1767610800123,
        "listener": {"userId": 17},
    }
    checking(lines(played, played | {"id": "x2", "what": 'Play "\x7f\\'}))

    asked = {"accounts_url": "", "preset": None, "force": False, "now": NOW}
    init(tmp_path, events_url=str(tmp_path / "events"), **asked)

    monkeypatch.chdir(tmp_path)
    mapping = Settings(home=tmp_path / "home").events.mapping
    assert mapping is not None
    names = {"Play \U0001f3b5": "play", 'Play "\x7f\\': "play"}
    assert dict(mapping.field("event_type").names) == names


@pytest.mark.parametrize(
    ("made", "proposed"),
    [
        (
            "create schema crm; create table crm.members (id int, joined_at timestamp);"
            "create table bands (id int, name text, fans int)",
            ('table = "crm.members"', 'columns = { "user_id" = "id", "created_at" = "joined_at" }'),
        ),
        ("create table bands (id int, name text, fans int)", ()),
    ],
    ids=["another schema", "no accounts"],
)
def test_init_looks_for_accounts_in_every_schema_and_takes_no_table_for_its_key_alone(
    tmp_path: Path, new_database: Callable[[], sa.URL], made: str, proposed: tuple[str, ...]
) -> None:
    url = new_database()
    with sa.create_engine(url, poolclass=sa.pool.NullPool).begin() as connection:
        connection.execute(sa.text(made))
    (tmp_path / "events").mkdir()

    report = init(
        tmp_path,
        events_url=str(tmp_path / "events"),
        accounts_url=url.render_as_string(hide_password=False),
        preset="segment",
        force=False,
        now=NOW,
    )

    assert report.accounts == proposed


def test_init_writes_over_nothing_and_finds_the_accounts(
    tmp_path: Path, new_database: Callable[[], sa.URL]
) -> None:
    url = new_database()
    with sa.create_engine(url, poolclass=sa.pool.NullPool).begin() as connection:
        connection.execute(sa.text("create table members (id int, joined timestamp, sex text)"))
    asked = {"accounts_url": url.render_as_string(hide_password=False), "preset": "segment"}
    (tmp_path / "events").mkdir()

    report = init(tmp_path, events_url=str(tmp_path / "events"), force=False, now=NOW, **asked)

    assert report.accounts == (
        'table = "members"',
        'columns = { "user_id" = "id", "created_at" = "joined", "gender" = "sex" }',
    )
    with pytest.raises(SettingsError, match="--force"):
        init(tmp_path, events_url="x", force=False, now=NOW, **asked)
    with pytest.raises(SettingsError, match="segment, rudderstack or snowplow"):
        init(
            *(tmp_path,),
            events_url=str(tmp_path / "events"),
            accounts_url="",
            preset="mixpanel",
            force=True,
            now=NOW,
        )
