"""A world through its two sources: the same bytes from the same seed, and behaviour as declared."""

import gzip
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from firstchair.errors import SettingsError, SourceError
from firstchair.world import Store, WorldReport, simulate

DAYS, START = 12, date(2026, 1, 1)
Event = dict[str, Any]
Lived = tuple[Path, WorldReport]


def simulated(folder: Path, accounts: sa.URL, **changes: Any) -> Lived:
    arguments: dict[str, Any] = {
        "users": 120,
        "artists": 60,
        "days": DAYS,
        "seed": 5,
        "scenario": "steady",
    }
    report = simulate(
        **arguments | changes,
        start=START,
        accounts=accounts,
        events_url=str(folder / "events"),
        truth=folder / "truth",
    )
    return folder, report


@pytest.fixture
def live(new_database: Callable[[], sa.URL], tmp_path: Path) -> Callable[..., Lived]:
    """Simulate into a folder of its own name, with an account database of its own."""
    databases: dict[str, sa.URL] = defaultdict(new_database)

    def make(name: str, **changes: Any) -> Lived:
        return simulated(tmp_path / name, databases[name], **changes)

    return make


@pytest.fixture(scope="module")
def steady(
    new_session_database: Callable[[], sa.URL], tmp_path_factory: pytest.TempPathFactory
) -> Lived:
    """A small world for all tests that only read what it wrote."""
    return simulated(tmp_path_factory.mktemp("steady"), new_session_database())


@pytest.fixture(scope="module")
def longer(
    new_session_database: Callable[[], sa.URL], tmp_path_factory: pytest.TempPathFactory
) -> Lived:
    """As `steady`, of more people and days."""
    return simulated(tmp_path_factory.mktemp("longer"), new_session_database(), users=400, days=20)


def digests(folder: Path) -> dict[str, str]:
    """Of all files but the one that names the account database, which is another each time."""
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in every if path.name != "accounts.json"]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def events(folder: Path) -> list[Event]:
    found = []
    for path in sorted((folder / "events").rglob("*.gz")):
        found += [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return found


@pytest.mark.parametrize("scenario", ["steady", "imperfect-delivery", "better-challenger"])
def test_the_same_seed_gives_the_same_bytes(live: Callable[..., Lived], scenario: str) -> None:
    one, again, other = (
        digests(live(name, seed=seed, scenario=scenario)[0])
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )

    assert one == again
    assert one != other


def test_each_source_counts_up_and_no_id_comes_twice(steady: Lived) -> None:
    found = events(steady[0])
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in sorted(found, key=lambda e: e["source_seq"]):
        numbers[event["source"]].append(event["source_seq"])

    assert len({event["event_id"] for event in found}) == len(found)
    assert all(
        sequence == list(range(sequence[0], sequence[0] + len(sequence)))
        for sequence in numbers.values()
    )
    assert all(event["simulated"] is True for event in found)


def test_the_report_counts_what_was_written(steady: Lived) -> None:
    folder, report = steady

    assert Counter(event["event_type"] for event in events(folder)) == report.events
    assert (report.first_date, report.last_date) == (START, date(2026, 1, 12))


def test_a_slate_is_ten_artists_of_whom_none_comes_twice(steady: Lived) -> None:
    slates: dict[str, dict[int, str]] = defaultdict(dict)
    for event in events(steady[0]):
        if event["event_type"] == "impression":
            slates[event["slate_id"]][event["position"]] = event["artist_id"]

    assert slates
    assert all(
        sorted(slate) == list(range(1, 11)) and len(set(slate.values())) == 10
        for slate in slates.values()
    )


def test_only_what_was_shown_is_clicked(steady: Lived) -> None:
    found = events(steady[0])

    def places(kind: str) -> set[tuple[str, str, int]]:
        return {
            (e["user_id"], e["slate_id"], e["position"]) for e in found if e["event_type"] == kind
        }

    assert places("click")
    assert places("click") <= places("impression")


def test_clicks_are_as_many_as_the_truth_expects(longer: Lived) -> None:
    folder, report = longer
    expected = json.loads((folder / "truth" / "world.json").read_text())["expected_ctr"]

    shown, clicked = report.events["impression"], report.events["click"]
    # Five standard deviations of a binomial, the widest a sum of independent clicks can be.
    assert abs(clicked / shown - expected) < 5 * np.sqrt(expected * (1 - expected) / shown)


def test_a_person_clicks_what_meets_his_taste_and_stands_on_top(
    longer: Lived,
) -> None:
    folder, _ = longer
    tastes, artists = (np.load(folder / "truth" / f"{name}.npy") for name in ("tastes", "artists"))

    def rows(kind: str) -> np.ndarray:
        found = [e for e in events(folder) if e["event_type"] == kind]
        return np.array(
            [(int(e["user_id"][5:]) - 1, int(e["artist_id"][7:]) - 1, e["position"]) for e in found]
        )

    shown, clicked = rows("impression"), rows("click")
    affinity = [
        float((tastes[r[:, 0]] * artists[r[:, 1]]).sum(axis=1).mean()) for r in (shown, clicked)
    ]

    assert affinity[1] > affinity[0] + 0.1
    assert clicked[:, 2].mean() < shown[:, 2].mean() - 1


def test_a_longer_window_lets_the_same_people_live(
    steady: Lived, live: Callable[..., Lived]
) -> None:
    short, long = steady[0], live("long", days=2 * DAYS)[0]

    for name in ("tastes.npy", "artists.npy"):
        np.testing.assert_array_equal(
            np.load(short / "truth" / name), np.load(long / "truth" / name)
        )


def test_a_new_world_in_the_same_place_leaves_nothing_of_the_old(
    live: Callable[..., Lived],
) -> None:
    live("a", scenario="imperfect-delivery", days=2 * DAYS)

    assert digests(live("a")[0]) == digests(live("b")[0])


@pytest.mark.parametrize(
    ("fault", "named"),
    [({"scenario": "utopia"}, "imperfect-delivery"), ({"artists": 10}, "artists")],
)
def test_a_world_that_cannot_be_is_refused_before_anything_is_written(
    live: Callable[..., Lived], tmp_path: Path, fault: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        live("a", **fault)

    assert named in str(raised.value)
    assert not (tmp_path / "a").exists()


def test_accounts_that_this_home_did_not_write_are_left_alone(
    new_database: Callable[[], sa.URL], tmp_path: Path
) -> None:
    accounts = new_database()
    simulated(tmp_path / "theirs", accounts, days=1)

    with pytest.raises(SourceError, match="120 rows of users") as raised:
        simulated(tmp_path / "ours", accounts, users=5, days=1)

    assert "FIRSTCHAIR_SOURCE_DATABASE_URL" in raised.value.remedy
    assert not (tmp_path / "ours" / "events").exists()
    with sa.create_engine(accounts, poolclass=sa.pool.NullPool).connect() as connection:
        assert connection.scalar(sa.text("select count(*) from users")) == 120


def test_accounts_of_a_home_that_was_moved_are_still_its_own(
    new_database: Callable[[], sa.URL], tmp_path: Path
) -> None:
    accounts = new_database()
    simulated(tmp_path / "before", accounts, days=1)
    (tmp_path / "before").rename(tmp_path / "after")

    _, report = simulated(tmp_path / "after", accounts, users=5, days=1)

    assert report.users == 5


def test_a_home_that_was_simulated_before_accounts_were_noted_is_simulated_again(
    new_database: Callable[[], sa.URL],
) -> None:
    accounts = new_database()
    home = Path(str(accounts.query["host"])).parent
    try:
        simulated(home, accounts, days=1)
        (home / "truth" / "accounts.json").unlink()

        _, report = simulated(home, accounts, users=5, days=1)
    finally:
        for folder in ("events", "truth"):
            shutil.rmtree(home / folder, ignore_errors=True)

    assert report.users == 5


def test_an_object_of_a_killed_world_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = Store(str(tmp_path / "events"), tmp_path / "truth")
    moved = killed.filesystem.mv

    def move_and_die(*paths: str) -> None:
        moved(*paths)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(killed.filesystem, "mv", move_and_die)
        killed.put("2026-01-01/ios.json", b"{}")
    assert [path.name for path in (tmp_path / "events").rglob("*.json")] == ["ios.json"]

    Store(str(tmp_path / "events"), tmp_path / "truth")

    assert [path for path in (tmp_path / "events").rglob("*") if path.is_file()] == []
