"""Exports that people hold, as small files in their documented forms, against results by hand."""

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firstchair.datasets import DATASETS
from firstchair.datasets.composition import Request
from firstchair.errors import FirstchairError, SettingsError, SourceError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NIRVANA_US = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"
NIRVANA_UK = "9282c8b4-ca0b-4c6b-b7e3-4f7762dfc4d6"
LIME = "f59c5520-5f46-4d2c-b2c4-822eabf53419"
TRACK = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Loaded:
    """Both sources of a load, held whole."""

    plays: list[dict[str, Any]]
    users: dict[str, tuple[Any, ...]]
    artists: dict[str, str]
    tracks: dict[str, tuple[Any, ...]]
    refused: dict[str, int]
    exports: dict[str, str]

    def told(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(play[name] for name in names) for play in self.plays]

    def titles(self) -> list[str]:
        return [self.tracks[play["track_id"]][2] for play in self.plays]

    def names(self) -> list[str]:
        return [self.artists[play["artist_id"]] for play in self.plays]


def loaded(name: str, path: Path, scratch: Path, **asked: Any) -> Loaded:
    scratch.mkdir(exist_ok=True)
    for left in scratch.glob("listens.duckdb*"):
        left.unlink()
    request = Request(
        path=path, scratch=scratch, seed=1, start=date(2025, 1, 1), days=60, now=NOW, **asked
    )
    found = DATASETS[name](request)
    return Loaded(
        plays=[json.loads(line) for day in found.days for line in day.lines],
        users={row[0]: row for row in found.users},
        artists={row[0]: row[1] for row in found.artists},
        tracks={row[0]: tuple(row) for row in found.tracks},
        refused=dict(found.refused),
        exports=dict(found.exports),
    )


def put(path: Path, *values: Any, text: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, values)) if text is None else text)
    return path


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            archive.write(file, f"export/{file.relative_to(folder).as_posix()}")
        archive.writestr("__MACOSX/export/listens/2020/._1.jsonl", b"\x00\x05\x16\x07")
    return path


def instants(found: Loaded) -> list[str]:
    return [play["occurred_at"] for play in found.plays]


# ListenBrainz


def listen(at: Any, artist: str, title: str, *, mapping: Any = None, **info: Any) -> dict[str, Any]:
    metadata = {
        "artist_name": artist,
        "track_name": title,
        "additional_info": info,
        "mbid_mapping": mapping,
    }
    return {"listened_at": at, "recording_msid": "m", "track_metadata": metadata}


@pytest.fixture
def listenbrainz(tmp_path: Path) -> Path:
    """A year with months unpadded and absent, odd listens, and other folders of the same suffix."""
    folder = tmp_path / "lb"
    several = {
        "artist_mbids": [NIRVANA_US, LIME],
        "artists": [{"artist_credit_name": "Nirvana", "artist_mbid": NIRVANA_US}],
        "recording_mbid": TRACK.upper(),
    }
    put(
        folder / "listens/2020/1.jsonl",
        listen(1577836800, "Nirvana feat. Lime", "Both", mapping=several, duration_ms=200_000),
        listen(1577836801.25, "Nirvana", "UK", artist_mbids=[NIRVANA_UK], duration=180),
        listen(1577836802, "Nirvana", "By name", duration_ms=100_000, duration=99),
        listen(1577836803, "Lime", "Played", mapping=None, ms_played=1234, duration=60),
        listen(1577836804, "Lime & Friend", "Joint", artist_mbids=[LIME, NIRVANA_UK]),
        listen(1577836805, "Lime", "Alone", artist_mbids=[LIME.upper()], duration_ms=0),
        listen(1577836805, "Lime", "Alone", artist_mbids=[LIME.upper()], duration_ms=0),
    )
    put(
        folder / "listens/2020/10.jsonl",
        text="\n".join(
            [
                json.dumps(listen("1601510400", "Zero\x00", "Text instant", artist_mbids="none")),
                json.dumps(listen(None, "A", "No instant")),
                json.dumps(listen(-5, "A", "Before 1970")),
                json.dumps(listen(4102444800, "A", "In 2100")),
                json.dumps(listen(1e300, "A", "No number of a clock")),
                json.dumps(listen(1601510401, "", "No artist")),
                json.dumps(listen(1601510402, "A", "Backwards", ms_played=-1)),
                "[1]",
                '{"listened_at": 16015104',
            ]
        ),
    )
    put(folder / "feedback.jsonl", {"recording_mbid": TRACK, "score": 1})
    put(folder / "pinned_recordings/2020/1.jsonl", listen(1577836900, "Pinned", "Pin"))
    return folder


def test_a_listenbrainz_export_keeps_instants_ids_and_times_played(
    listenbrainz: Path, tmp_path: Path
) -> None:
    found = loaded("listenbrainz", zipped(tmp_path / "lb.zip", listenbrainz), tmp_path / "s")

    assert list(zip(instants(found), found.titles(), strict=True)) == [
        ("2020-01-01T00:00:00.000+00:00", "Both"),
        ("2020-01-01T00:00:01.250+00:00", "UK"),
        ("2020-01-01T00:00:02.000+00:00", "By name"),
        ("2020-01-01T00:00:03.000+00:00", "Played"),
        ("2020-01-01T00:00:04.000+00:00", "Joint"),
        ("2020-01-01T00:00:05.000+00:00", "Alone"),
        ("2020-10-01T00:00:00.000+00:00", "Text instant"),
    ]
    assert found.told("ms_played", "ms_played_from") == [
        (200_000, "track length"),
        (180_000, "track length"),
        (100_000, "track length"),
        (1_234, "export"),
        (210_000, "assumed length"),
        (210_000, "assumed length"),
        (210_000, "assumed length"),
    ]
    assert found.refused == {
        "an instant before 2000": 1,
        "an instant in the future": 1,
        "no instant": 2,
        "no artist": 1,
        "a negative time played": 1,
        "no object": 1,
        "no JSON": 1,
        "the user, time, title and time played of another": 1,
    }
    assert [play["source_seq"] for play in found.plays] == list(range(7))
    assert {play["simulated"] for play in found.plays} == {False}


def test_one_name_under_two_ids_is_two_artists_and_a_name_alone_is_neither(
    listenbrainz: Path, tmp_path: Path
) -> None:
    found = loaded("listenbrainz", listenbrainz, tmp_path / "s")

    both, uk, by_name, played, joint, alone, zero = (play["artist_id"] for play in found.plays)
    assert (both, uk) == (NIRVANA_US, NIRVANA_UK)
    assert found.artists[both] == found.artists[uk] == found.artists[by_name] == "Nirvana"
    assert by_name not in {both, uk}
    # One id alone bears this name, so the name alone is that artist.
    assert played == joint == alone == LIME
    assert (found.artists[LIME], found.artists[zero]) == ("Lime", "Zero")
    assert found.tracks[TRACK][1:4] == (NIRVANA_US, "Both", 200_000)


def test_a_household_of_exports_and_the_public_dump_are_as_many_users(
    listenbrainz: Path, tmp_path: Path
) -> None:
    house = tmp_path / "house"
    house.mkdir()
    zipped(house / "ann.zip", listenbrainz)
    put(house / "ben/listens/2021/2.jsonl", listen(1612137600, "Lime", "Ben's"))
    dump = tmp_path / "dump"
    put(
        dump / "listens/2021/2.listens",
        *(
            {
                "user_id": user,
                "timestamp": 1612137600,
                "track_metadata": {"artist_name": "Lime", "track_name": "Same instant"},
            }
            for user in (7, 3, 7)
        ),
    )

    found = loaded("listenbrainz", house, tmp_path / "s")
    dumped = loaded("listenbrainz", dump, tmp_path / "s")

    assert found.exports == {"listenbrainz-1": "ann.zip/export", "listenbrainz-2": "ben"}
    assert [p["user_id"] for p in found.plays].count("listenbrainz-1") == 7
    assert len(found.plays) == 8
    assert found.users["listenbrainz-2"][8] == datetime(2021, 2, 1, tzinfo=UTC)
    assert dumped.told("user_id") == [("listenbrainz-1",), ("listenbrainz-2",)]
    assert dumped.exports == {}


# Spotify


def stream(ts: str, ms: Any, title: Any = "T", artist: Any = "A", **more: Any) -> dict[str, Any]:
    return {
        "ts": ts,
        "username": more.pop("username", "secret.name"),
        "platform": "ios",
        "ms_played": ms,
        "conn_country": more.pop("country", "ZZ"),
        "ip_addr_decrypted": "203.0.113.9",
        "master_metadata_track_name": title,
        "master_metadata_album_artist_name": artist,
        "spotify_track_uri": f"spotify:track:{title}" if title else None,
        "episode_name": None,
        "spotify_episode_uri": None,
        "reason_start": "trackdone",
        "reason_end": "trackdone",
        "skipped": None,
        "offline_timestamp": 0,
        **more,
    }


@pytest.fixture
def spotify(tmp_path: Path) -> Path:
    folder = tmp_path / "spotify"
    episode = {"episode_name": "E", "spotify_episode_uri": "spotify:episode:e"}
    first = [
        stream("2020-01-01T00:03:20Z", 200_000, country="DE"),
        stream("2020-01-01T00:03:30Z", 10_000, reason_end="fwdbtn", skipped=False, country="DE"),
        stream("2020-01-01T00:03:30Z", 0, reason_end="fwdbtn", offline_timestamp=1577836800000),
        stream("2020-01-01T01:00:00Z", 60_000, reason_end="endplay", skipped=None, country=""),
        stream("2020-01-01T02:00:00Z", 5_000, reason_end="endplay", country="FR"),
        stream("2020-01-01T03:00:00Z", 200_000, reason_end=None, skipped=True),
        stream("2020-01-01T04:00:00Z", 900_000, None, None, **episode),
        stream("2020-01-01T05:00:00Z", 900_000, None, None),
        stream("yesterday", 1),
        stream("2020-01-01T06:00:00Z", None),
    ]
    put(folder / "MyData/Streaming_History_Audio_2020_0.json", first)
    put(folder / "MyData/Streaming_History_Video_2020.json", first)
    put(folder / "older/endsong_0.json", [first[0], stream("2020-01-02T00:00:00Z", 1_000)])
    put(folder / "other/endsong_0.json", [stream("2020-01-02T00:00:00Z", 1_000, username="else")])
    return folder


def test_a_spotify_play_begins_before_its_end_and_skips_are_told_by_their_reason(
    spotify: Path, tmp_path: Path
) -> None:
    found = loaded("spotify-history", spotify / "MyData", tmp_path / "s")

    assert list(zip(instants(found), found.told("ms_played", "skipped"), strict=True)) == [
        ("2020-01-01T00:00:00.000+00:00", (200_000, False)),
        ("2020-01-01T00:03:20.000+00:00", (10_000, True)),
        ("2020-01-01T00:03:30.000+00:00", (0, True)),
        ("2020-01-01T00:59:00.000+00:00", (60_000, False)),
        ("2020-01-01T01:59:55.000+00:00", (5_000, True)),
        ("2020-01-01T02:56:40.000+00:00", (200_000, True)),
    ]
    assert found.refused == {
        "an episode of a podcast": 1,
        "no track, such as a local file": 1,
        "no instant": 1,
        "no time played": 1,
    }
    assert found.users["spotify-history-1"][7] == "DE"
    assert found.tracks["T"][2:4] == ("T", 200_000)


def test_exports_of_one_spotify_account_are_one_person_and_nothing_personal_is_kept(
    spotify: Path, tmp_path: Path
) -> None:
    found = loaded("spotify-history", spotify, tmp_path / "s")

    assert found.exports == {"spotify-history-1": "MyData, older", "spotify-history-2": "other"}
    assert [p["user_id"] for p in found.plays].count("spotify-history-1") == 7
    assert found.refused["the user, time, title and time played of another"] == 1
    written = json.dumps([found.plays, list(found.users)])
    assert not [word for word in ("secret", "203.0.113", "MyData", "other") if word in written]


def test_a_download_that_broke_off_is_read_to_where_it_ends(tmp_path: Path) -> None:
    text = json.dumps([stream("2020-01-01T00:03:20Z", 200_000)] * 2)[:-30]
    put(tmp_path / "x/endsong_0.json", text=text)

    found = loaded("spotify-history", tmp_path / "x", tmp_path / "s")

    assert (len(found.plays), found.refused) == (1, {"no JSON": 1})


# Last.fm


def scrobble(uts: Any, title: str, **more: Any) -> dict[str, Any]:
    date_of = {} if uts is None else {"date": {"uts": str(uts), "#text": "1 Jan 2020"}}
    artist = {"mbid": more.pop("mbid", ""), "#text": "Lime"}
    return {"artist": artist, "name": title, "mbid": "", **date_of, **more}


def page(*tracks: Any, user: str = "secret.name") -> dict[str, Any]:
    held = tracks[0] if len(tracks) == 1 else list(tracks)
    return {"recenttracks": {"track": held, "@attr": {"user": user, "page": "1"}}}


def test_scrobbles_of_every_usual_exporter_are_read(tmp_path: Path) -> None:
    playing = scrobble(None, "Now", **{"@attr": {"nowplaying": "true"}})
    folder = tmp_path / "scrobbles"
    put(folder / "pages.json", page(playing, scrobble(1577836800, "Page", mbid=LIME)))
    put(folder / "page2.json", page(scrobble(1577836801, "Only one")))
    put(folder / "list of pages.json", [page(playing, scrobble(1577836802, "In a list"))])
    put(folder / "flat.json", [scrobble(1577836803, "Flat"), scrobble(0, "In 1970")])
    put(folder / "extended.jsonl", scrobble(1577836804, "Extended") | {"artist": {"name": "Lime"}})
    put(folder / "columns.json", [{"uts": "1577836805", "artist": "Lime", "track": "Columns"}])
    scrobbles = [{"track": "Whole", "artist": "Lime", "date": 1577836806000}] * 9_000
    put(folder / "whole.json", {"username": "else", "scrobbles": [*scrobbles, {"track": "x"}]})

    found = loaded("lastfm-json", folder, tmp_path / "s")

    assert found.titles() == [
        *("Page", "Only one", "In a list", "Flat", "Extended", "Columns", "Whole")
    ]
    assert instants(found) == [f"2020-01-01T00:00:0{n}.000+00:00" for n in range(7)]
    assert set(found.told("artist_id", "ms_played")) == {(LIME, 210_000)}
    assert {track[3] for track in found.tracks.values()} == {210_000}
    assert found.refused == {
        "a track that was playing": 2,
        "an instant before 2000": 1,
        "no instant": 1,
        "the user, time, title and time played of another": 8_999,
    }
    users = {user: export for user, export in found.exports.items()}
    assert sorted(users.values()) == [
        "columns.json",
        "extended.jsonl",
        "flat.json",
        "list of pages.json, page2.json, pages.json",
        "whole.json",
    ]
    assert "secret" not in json.dumps(found.plays)


# .scrobbler.log


def log(zone: str, *rows: Sequence[Any]) -> str:
    head = ["#AUDIOSCROBBLER/1.1", f"#TZ/{zone}", "#CLIENT/Rockbox"]
    return "\r\n".join([*head, *("\t".join(map(str, row)) for row in rows), ""])


ROWS = [
    ("#1 Dads", "An album", 'Said "so', 1, 200, "L", 1593561600, TRACK),
    ("Lime", "", "Skipped", "", 100, "S", 1593561700),
    ("<Untagged>", "", "x", "", 100, "L", 1593561800),
    ("Lime", "", "x", "", 100, "Q", 1593561900),
    ("Lime", "x"),
    ("Lime", "", "No clock", "", 0, "L", 0),
]


def test_a_scrobbler_log_is_read_without_quoting_and_its_head_alone_is_comment(
    tmp_path: Path,
) -> None:
    put(tmp_path / "ann/.scrobbler.log", text=log("UTC", *ROWS))

    found = loaded("scrobbler-log", tmp_path / "ann", tmp_path / "s")

    assert list(zip(found.names(), found.titles(), strict=True)) == [
        ("#1 Dads", 'Said "so'),
        ("Lime", "Skipped"),
    ]
    assert instants(found) == ["2020-07-01T00:00:00.000+00:00", "2020-07-01T00:01:40.000+00:00"]
    assert found.told("ms_played", "skipped") == [(200_000, False), (0, True)]
    assert found.tracks[TRACK][3] == 200_000
    assert found.refused == {
        "an untagged artist or title": 1,
        "another rating than L or S": 1,
        "another number of fields than 7 or 8": 1,
        "an instant before 2000": 1,
    }


def test_a_log_of_an_unknown_time_zone_asks_for_it(tmp_path: Path) -> None:
    path = put(tmp_path / "ann/player.scrobbler.log", text=log("UNKNOWN", *ROWS))

    with pytest.raises(SettingsError, match="--time-zone UTC"):
        loaded("scrobbler-log", path, tmp_path / "s")
    found = loaded("scrobbler-log", path, tmp_path / "s", time_zone="Europe/Berlin")

    assert instants(found)[0] == "2020-06-30T22:00:00.000+00:00"


# Yambda


def yambda(folder: Path, rows: Iterable[Sequence[Any]]) -> Path:
    names = (
        "uid",
        "timestamp",
        "item_id",
        "is_organic",
        "played_ratio_pct",
        "track_length_seconds",
    )
    types = (pa.uint32(), pa.uint32(), pa.uint32(), pa.uint8(), pa.uint16(), pa.uint32())
    arrays = [pa.array(c, t) for c, t in zip(zip(*rows, strict=True), types, strict=True)]
    (folder / "flat/50m").mkdir(parents=True)
    pq.write_table(pa.table(arrays, names=names), folder / "flat/50m/listens.parquet")
    mapping = pa.table({"artist_id": [9, 8, 8], "item_id": [1, 1, 2]})
    pq.write_table(mapping, folder / "artist_item_mapping.parquet")
    return folder


def test_yambda_keeps_ties_replays_and_which_plays_were_recommended(tmp_path: Path) -> None:
    rows = [
        (10, 0, 1, 1, 50, 200),
        (10, 0, 1, 1, 50, 200),
        (20, 5, 2, 0, 150, 101),
        (20, 90_000, 3, 1, 100, 60),
    ]
    folder = yambda(tmp_path / "yambda", rows)

    found = loaded("yambda", folder / "flat/50m", tmp_path / "s")

    assert found.told("user_id", "ms_played", "was_recommended", "slate_id") == [
        ("yambda-10", 100_000, False, None),
        ("yambda-10", 100_000, False, None),
        ("yambda-20", 151_500, True, None),
    ]
    assert instants(found)[2] == "2025-01-01T00:00:05.000+00:00"
    assert len({play["event_id"] for play in found.plays}) == 3
    assert set(found.names()) == {"Artist 8"}
    assert found.tracks["yambda-1"][3] == 200_000
    assert found.refused == {"a track without an artist in the mapping": 1}


def test_a_yambda_set_without_its_mapping_or_in_the_other_layout_says_so(tmp_path: Path) -> None:
    folder = yambda(tmp_path / "yambda", [(10, 0, 1, 1, 50, 200)])
    (folder / "artist_item_mapping.parquet").rename(tmp_path / "elsewhere.parquet")
    with pytest.raises(SourceError, match="which artist a track is of"):
        loaded("yambda", folder, tmp_path / "s")
    (tmp_path / "elsewhere.parquet").rename(folder / "artist_item_mapping.parquet")
    pq.write_table(pa.table({"uid": [1], "item_id": [[1]]}), folder / "flat/50m/listens.parquet")
    with pytest.raises(SourceError, match="no column timestamp, item_id"):
        loaded("yambda", folder, tmp_path / "s")


# All


@pytest.mark.parametrize("name", ["listenbrainz", "spotify-history", "lastfm-json", "yambda"])
def test_what_is_no_export_is_named_with_what_is_looked_for(name: str, tmp_path: Path) -> None:
    put(tmp_path / "x/notes.txt", text="no export")

    with pytest.raises(FirstchairError, match=r"No file of this data set .* named like"):
        loaded(name, tmp_path / "x", tmp_path / "s")


def test_a_damaged_zip_and_an_export_without_listens_are_named(tmp_path: Path) -> None:
    broken = put(tmp_path / "broken.zip", text="PK no zip")
    empty = put(tmp_path / "e/endsong_0.json", [])

    with pytest.raises(SourceError, match=r"broken\.zip cannot be read"):
        loaded("listenbrainz", broken, tmp_path / "s")
    with pytest.raises(SourceError, match="None of the records is a listen"):
        loaded("spotify-history", empty, tmp_path / "s")


@pytest.mark.parametrize("packed_by", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_that_is_damaged_inside_is_named_with_its_member(
    tmp_path: Path, packed_by: int
) -> None:
    path, member = tmp_path / "my.zip", "Streaming_History_Audio_2020_1.json"
    plays = [stream(f"2020-01-01T00:00:{n % 60:02}Z", 200_000 + n) for n in range(500)]
    with zipfile.ZipFile(path, "w", packed_by) as archive:
        archive.writestr(member, json.dumps(plays))
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 60 + whole[160:])

    with pytest.raises(SourceError, match=r"my\.zip: Streaming_History_Audio_2020_1\.json cannot"):
        loaded("spotify-history", path, tmp_path / "s")


def test_a_newer_export_repeats_the_ids_of_what_it_shares_with_an_older_one(tmp_path: Path) -> None:
    old = [stream("2020-01-01T00:03:20Z", 200_000), stream("2020-01-02T00:03:20Z", 200_000)]
    put(tmp_path / "a/endsong_0.json", old)
    put(tmp_path / "b/endsong_0.json", [*old, stream("2020-01-03T00:03:20Z", 200_000)])

    before = loaded("spotify-history", tmp_path / "a", tmp_path / "s").plays
    after = loaded("spotify-history", tmp_path / "b", tmp_path / "s").plays

    assert after[:2] == before
    assert len({play["event_id"] for play in after}) == 3
