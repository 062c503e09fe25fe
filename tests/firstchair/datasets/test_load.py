"""Public data sets in small: what is real stays what it was, what is composed is drawn by seed."""

import gzip
import hashlib
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair.datasets import DATASETS, LoadReport, load, scratch
from firstchair.datasets.composition import Request
from firstchair.datasets.profiles import PROFILES, read_profiles
from firstchair.errors import SettingsError, SourceError

USERS, ARTISTS, EACH = 12, 40, 8
START, DAYS = date(2026, 1, 1), 60
Loading = Callable[..., LoadReport]


@pytest.fixture
def accounts(new_database: Callable[[], sa.URL]) -> sa.URL:
    return new_database()


@pytest.fixture
def loading(accounts: sa.URL, new_database: Callable[[], sa.URL], tmp_path: Path) -> Loading:
    def call(
        name: str, path: Path, *, seed: int = 1, into: str = "store", days: int = DAYS
    ) -> LoadReport:
        return load(
            name,
            path,
            accounts=accounts if into == "store" else new_database(),
            events_url=str(tmp_path / into / "events"),
            truth=tmp_path / into / "truth",
            seed=seed,
            days=days,
            start=START,
        )

    return call


@pytest.fixture
def hetrec(tmp_path: Path) -> Path:
    """Twelve listeners of eight artists each, in the published layout."""
    folder = tmp_path / "hetrec2011-lastfm-2k"
    folder.mkdir()
    pairs = [
        (u, 1 + (3 * u + n) % ARTISTS, 10 ** (n % 4))
        for u in range(1, USERS + 1)
        for n in range(EACH)
    ]
    tables = {
        "artists.dat": [
            "id\tname\turl\tpictureURL",
            *(f"{n}\tArtist {n} “ü”\thttp://a\thttp://p" for n in range(1, ARTISTS + 1)),
        ],
        "user_artists.dat": [
            "userID\tartistID\tweight",
            *("\t".join(map(str, pair)) for pair in pairs),
        ],
        "tags.dat": ["tagID\ttagValue", "1\tjazz", "2\tmetal"],
        "user_taggedartists.dat": [
            "userID\tartistID\ttagID\tday\tmonth\tyear",
            "1\t1\t1\t1\t1\t2009",
        ],
    }
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def lastfm_1k(tmp_path: Path) -> Path:
    folder = tmp_path / "lastfm-1k"
    folder.mkdir()
    (folder / "userid-profile.tsv").write_text(
        "#id\tgender\tage\tcountry\tregistered\n"
        "user_000001\tm\t-1337\tJapan\tAug 13, 2006\n"
        "user_000002\tf\t\tPeru\t\n"
        "user_000003\t\t\tAtlantis\tOct 30, 2005\n"
    )
    (folder / "userid-timestamp-artid-artname-traid-traname.sample.tsv").write_text(
        "user_000001\t2009-05-04T23:08:57Z\taaa\tDeep Dish\ttt1\tFuck Me Im Famous\n"
        "user_000001\t2009-05-04T13:54:10Z\t\tUnderworld\t\tBoy, Boy, Boy\n"
        "user_000002\t2009-05-05T00:00:00Z\t\tUnderworld\t\tBoy, Boy, Boy\n"
    )
    return folder


def events(tmp_path: Path, into: str = "store") -> list[dict[str, Any]]:
    files = sorted((tmp_path / into / "events").rglob("*.gz"))
    return [
        json.loads(line)
        for path in files
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def rows(accounts: sa.URL, query: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(accounts, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_every_real_pair_is_played_and_no_other(
    loading: Loading, hetrec: Path, tmp_path: Path
) -> None:
    report = loading("hetrec-lastfm", hetrec)

    played = {(e["user_id"], e["artist_id"]) for e in events(tmp_path) if e["event_type"] == "play"}
    real = {
        (f"lastfm-{user}", f"lastfm-{artist}")
        for user, artist, _ in (
            line.split("\t") for line in (hetrec / "user_artists.dat").read_text().split("\n")[1:-1]
        )
    }
    assert played == real
    assert (report.users, report.artists) == (USERS, ARTISTS)
    assert (report.first_date, report.last_date) >= (START, START + timedelta(days=DAYS - 2))


def test_an_artist_held_back_is_shown_to_nobody_before_he_is_found(
    loading: Loading, hetrec: Path, tmp_path: Path
) -> None:
    loading("hetrec-lastfm", hetrec)
    found: dict[tuple[str, str], str] = {}
    for event in sorted(events(tmp_path), key=lambda e: e["occurred_at"]):
        pair = (event["user_id"], event.get("artist_id", ""))
        if event["event_type"] == "play":
            found.setdefault(pair, event["occurred_at"][:10])

    shown = [e for e in events(tmp_path) if e["event_type"] == "impression"]
    early = [
        e for e in shown if found.get((e["user_id"], e["artist_id"]), "") > e["occurred_at"][:10]
    ]
    assert shown
    assert early == []
    assert all(0 < e["propensity"] <= 1 for e in shown)


def test_few_days_hold_all_events(loading: Loading, hetrec: Path, tmp_path: Path) -> None:
    report = loading("hetrec-lastfm", hetrec, days=10)

    days = {date.fromisoformat(event["occurred_at"][:10]) for event in events(tmp_path)}
    assert START <= min(days) <= max(days) < START + timedelta(days=10)
    assert report.first_date >= START


def test_names_and_genres_are_those_published(
    loading: Loading, hetrec: Path, accounts: sa.URL
) -> None:
    loading("hetrec-lastfm", hetrec)

    assert rows(accounts, "select name, genres from artists where artist_id = 'lastfm-1'") == [
        ("Artist 1 “ü”", ["jazz"])
    ]


def test_the_same_seed_composes_the_same_bytes(
    loading: Loading, hetrec: Path, tmp_path: Path
) -> None:
    for into, seed in (("a", 1), ("b", 1), ("c", 2)):
        loading("hetrec-lastfm", hetrec, seed=seed, into=into)

    def digest(into: str) -> list[str]:
        return [
            hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted((tmp_path / into).rglob("*.gz"))
        ]

    assert digest("a") == digest("b") != digest("c")


def test_what_is_composed_is_said(loading: Loading, hetrec: Path) -> None:
    report = loading("hetrec-lastfm", hetrec)

    assert any("12 users, 40 artists" in line for line in report.real)
    assert any("days" in line for line in report.composed)
    assert any("lastfm-1k is not beside this folder" in line for line in report.composed)


def test_plays_of_lastfm_1k_keep_their_time_and_odd_profiles_their_oddity(
    loading: Loading, lastfm_1k: Path, tmp_path: Path, accounts: sa.URL
) -> None:
    loading("lastfm-1k", lastfm_1k)

    times = sorted(datetime.fromisoformat(e["occurred_at"]) for e in events(tmp_path))
    artists = Counter(e["artist_id"] for e in events(tmp_path))
    assert times[-1] == datetime(2009, 5, 5, tzinfo=UTC)
    assert sorted(artists.values()) == [1, 2]
    assert rows(accounts, "select user_id, age, gender, country from users order by user_id") == [
        ("user_000001", -1337, "m", "JP"),
        ("user_000002", None, "f", "PE"),
        ("user_000003", None, None, None),
    ]


def test_the_set_as_published_is_read_with_its_odd_lines_left_out_and_counted(
    loading: Loading, lastfm_1k: Path, tmp_path: Path, accounts: sa.URL
) -> None:
    (lastfm_1k / "userid-timestamp-artid-artname-traid-traname.sample.tsv").unlink()
    play = b'user_000001\t2009-05-0%dT00:00:00Z\taaa\tSaid "Low\t\tTitle \rwith a break\n'
    (lastfm_1k / "userid-timestamp-artid-artname-traid-traname.tsv").write_bytes(
        play % 3
        + play % 1
        + b"user_000001\t2009-05-04T00:00:00Z\taaa\tLow\n"
        + b"user_000001\t2009-05-04T00:00:00Z\taaa\tLow\tttt\tTitle\tmore\n"
        + b"user_000001\t2009-05-04T00:00:00Z\taaa\tLow\tttt\t\n"
        + b"user_000001\tyesterday\taaa\tLow\tttt\tTitle\n"
        + b"user_000001\t1970-01-01T00:00:00Z\taaa\tLow\tttt\tTitle\n"
        + b"user_000001\t2150-01-01T00:00:00Z\taaa\tLow\tttt\tTitle\n"
        + b"user_000001\t2009-05-04T00:00:00Z\taaa\tLow\tttt\tTitle \xff\n"
        + b"user_000009\t2009-05-04T00:00:00Z\taaa\tLow\tttt\tTitle\n"
        + play % 3
        + play % 2
        + b"user_000002\t2009-05-04T00:0"
    )

    report = loading("lastfm-1k", lastfm_1k)

    assert [e["occurred_at"][:10] for e in events(tmp_path)] == [
        f"2009-05-0{day}" for day in (1, 2, 3)
    ]
    assert [e["source_seq"] for e in events(tmp_path)] == [0, 1, 2]
    assert rows(accounts, "select artist_id, name from artists") == [("aaa", 'Said "Low')]
    assert rows(accounts, "select title from tracks") == [("Title \rwith a break",)]
    assert (report.artists, report.tracks, report.events) == (1, 1, {"play": 3})
    assert list(report.left_out) == [
        "3 lines with another number of columns than 6 (first: line 3)",
        "1 lines with no artist or no title (first: line 5)",
        "1 lines with no instant (first: line 6)",
        "1 lines with an instant before 2000 (first: line 7)",
        "1 lines with an instant in the future (first: line 8)",
        "1 lines with bytes that are not UTF-8 (first: line 9)",
        "1 lines with a user who has no profile (first: line 10)",
        "1 plays that repeat user, time and title of another",
    ]


def test_plays_of_any_number_take_the_memory_of_a_batch(
    lastfm_1k: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (
        "user_000001\t2009-05-%02dT23:%02d:%02dZ\tartist-%d\tArtist\ttrack-%d\t"
        + "Title " * 50
        + "%d"
    )
    plays = [line % (1 + n % 30, n // 60 % 60, n % 60, n % 500, n, n) for n in range(20_000)]
    file = lastfm_1k / "userid-timestamp-artid-artname-traid-traname.tsv"
    file.write_text("\n".join(plays))
    monkeypatch.setattr(scratch, "ROWS_AT_ONCE", 1_000)
    del plays

    tracemalloc.start()
    found = DATASETS["lastfm-1k"](Request(lastfm_1k, tmp_path, 1, START, 1, datetime.now(UTC)))
    tracks = sum(1 for _ in found.tracks)
    times = [json.loads(line)["occurred_at"] for day in found.days for line in day.lines]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (tracks, len(times)) == (20_000, 20_000)
    assert times == sorted(times)
    assert peak < file.stat().st_size / 2


def test_a_folder_without_plays_names_both_files(loading: Loading, lastfm_1k: Path) -> None:
    (lastfm_1k / "userid-timestamp-artid-artname-traid-traname.sample.tsv").unlink()

    with pytest.raises(SourceError, match=r"traname\.tsv .* nor .*traname\.sample\.tsv is there"):
        loading("lastfm-1k", lastfm_1k)


def test_countries_of_profiles_are_exact_names(tmp_path: Path) -> None:
    names = ["Turkey", "Cote D'Ivoire", "Greece", "United Kingdom", "Russian Federation"]
    others = ["Netherlands Antilles", "Perugia", "Lebanon, Pennsylvania", "country", ""]
    lines = [f"u{n}\tf\t30\t{name}\t" for n, name in enumerate([*names, *others])]
    header = "#id\tgender\tage\tcountry\tregistered"
    (tmp_path / PROFILES).write_text("\n".join([header, *lines, ""]))

    codes = [profile.country for profile in read_profiles(tmp_path)]

    assert codes == ["TR", "CI", "GR", "GB", "RU", *[None] * len(others)]


def test_an_age_is_digits_that_a_database_takes(tmp_path: Path) -> None:
    ages = ["-1337", "²", "99999999999", "٣", "", "41"]
    lines = [f"u{n}\tf\t{age}\tPeru\t" for n, age in enumerate(ages)]
    (tmp_path / PROFILES).write_text(
        "\n".join(["#id\tgender\tage\tcountry\tregistered", *lines, ""])
    )

    found = [profile.age for profile in read_profiles(tmp_path)]

    assert found == [-1337, None, None, None, None, 41]


def test_a_missing_file_is_named_and_the_sources_stay(
    loading: Loading, hetrec: Path, tmp_path: Path
) -> None:
    (hetrec / "tags.dat").unlink()

    with pytest.raises(SourceError, match=r"tags\.dat cannot be read: it is not there"):
        loading("hetrec-lastfm", hetrec)

    assert not (tmp_path / "store").exists()


def test_earlier_events_stay_where_the_accounts_cannot_be_written(
    loading: Loading, hetrec: Path, accounts: sa.URL, tmp_path: Path
) -> None:
    loading("hetrec-lastfm", hetrec)
    before = events(tmp_path)

    with pytest.raises(SourceError, match="cannot be written"):
        load(
            "hetrec-lastfm",
            hetrec,
            accounts=accounts.set(database="away"),
            events_url=str(tmp_path / "store" / "events"),
            truth=tmp_path / "store" / "truth",
            seed=1,
            start=START,
        )

    assert events(tmp_path) == before


def test_accounts_of_others_are_not_replaced_by_a_data_set(
    loading: Loading, hetrec: Path, accounts: sa.URL, tmp_path: Path
) -> None:
    loading("hetrec-lastfm", hetrec)
    (tmp_path / "store").rename(tmp_path / "theirs")
    (tmp_path / "theirs" / "truth" / "accounts.json").unlink()

    with pytest.raises(SourceError, match=f"{USERS} rows of users, {ARTISTS} rows of artists"):
        loading("hetrec-lastfm", hetrec)

    assert not (tmp_path / "store").exists()
    assert rows(accounts, "select count(*) from users") == [(USERS,)]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [("13\t99\t7\n", f"line {USERS * EACH + 2}, .*: 99 is not in artists.dat"), (None, "no pair")],
)
def test_pairs_that_name_no_artist_are_a_fault_of_the_file(
    loading: Loading, hetrec: Path, lines: str | None, fault: str
) -> None:
    pairs = hetrec / "user_artists.dat"
    pairs.write_text(pairs.read_text() + lines if lines else "userID\tartistID\tweight\n")

    with pytest.raises(SourceError, match=fault):
        loading("hetrec-lastfm", hetrec)


def test_a_user_who_knows_almost_every_artist_has_plays_and_no_slates(
    loading: Loading, hetrec: Path, tmp_path: Path
) -> None:
    with (hetrec / "user_artists.dat").open("a") as file:
        file.writelines(f"13\t{artist}\t7\n" for artist in range(1, ARTISTS - 8))

    loading("hetrec-lastfm", hetrec)

    types = {e["event_type"] for e in events(tmp_path) if e["user_id"] == "lastfm-13"}
    assert types == {"play", "follow"}


def test_a_bad_number_is_named_by_its_line(loading: Loading, hetrec: Path) -> None:
    with (hetrec / "user_artists.dat").open("a") as file:
        file.write("13\tmany\t7\n")

    with pytest.raises(SourceError, match=f"line {USERS * EACH + 2}, column artistID: 'many'"):
        loading("hetrec-lastfm", hetrec)


def test_an_unknown_data_set_names_the_known(loading: Loading, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="hetrec-lastfm, lastfm-1k"):
        loading("movielens", tmp_path)
