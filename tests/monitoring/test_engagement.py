from datetime import UTC, date, datetime, timedelta
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring import build_engagement, engagement, engagement_summary

from .conftest import Row, Story

DAY, NEXT, AFTER = date(2026, 3, 10), date(2026, 3, 11), date(2026, 3, 12)
ONE_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds draw no pictures: they take most of the time here, and only one test looks at them."""
    monkeypatch.setattr(engagement, "by_day", lambda *_, **__: "")


def cells(lake: Lake, *, first: date = DAY, last: date | None = None, k: int = 1) -> list[Row]:
    build_engagement(lake, first=first, last=last or first, k_anonymity=k)
    return list(lake.read(t.ENGAGEMENT_DAILY).to_pylist())


def cell(
    rows: list[Row], segment: str = "all", value: str = "all", version: str = "all", day: date = DAY
) -> Row:
    wanted = (segment, value, version, day)
    (found,) = [
        row
        for row in rows
        if (row["segment"], row["segment_value"], row["model_version"], row["event_date"]) == wanted
    ]
    return found


def values(rows: list[Row], segment: str, version: str = "all") -> dict[str, int]:
    return {
        r["segment_value"]: r["users"]
        for r in rows
        if r["segment"] == segment and r["model_version"] == version
    }


def test_ctr_its_interval_and_clicks_per_100_are_those_worked_out_by_hand(story: Story) -> None:
    shown, clicked = {"anna": 10, "ben": 4, "cara": 2}, {"anna": 1, "ben": 2, "cara": 0}
    for user, count in shown.items():
        story.shown(user, "2026-03-10T08:00", f"slate-{user}", [f"a{n}" for n in range(count)])
        for n in range(clicked[user]):
            story.clicked(user, "2026-03-10T08:01", f"slate-{user}", f"a{n}")

    found = cell(cells(story.told()))

    ctr = 3 / 16
    residuals = sum((clicked[user] - ctr * shown[user]) ** 2 for user in shown)
    half = 1.959964 * sqrt(3 / 2 * residuals) / 16
    assert (found["users"], found["impressions"], found["clicks"]) == (3, 16, 3)
    assert found["ctr"] == ctr
    assert found["ctr_lower"] == pytest.approx(max(ctr - half, 0), abs=1e-7)
    assert found["ctr_upper"] == pytest.approx(ctr + half, abs=1e-7)
    assert found["clicks_per_100"] == pytest.approx((10 + 50 + 0) / 3)


def test_one_account_moves_no_ratio_of_sums(story: Story) -> None:
    story.track("t", 100_000)
    users = [f"user-{n:02}" for n in range(120)]
    for user in users:
        story.shown(user, "2026-03-10T08:00", f"slate-{user}", "xy")
        story.clicked(user, "2026-03-10T08:01", f"slate-{user}", "x")
        story.followed(user, "2026-03-10T08:02", "y")
        story.played(user, "2026-03-10T08:03", "x", 50_000)
    for n in range(300):
        story.shown("program", "2026-03-10T09:00", f"program-{n}", "xy")
        story.played("program", "2026-03-10T09:01", "x", 0)

    found = cell(cells(story.told()))

    # The bound c of 50 mean users: c = 50 (c + 240) / 121.
    bound = round(50 * 240 / 71)
    assert (found["users"], found["impressions"], found["clicks"], found["plays"]) == (
        121,
        840,
        120,
        420,
    )
    assert found["ctr"] == found["follow_rate"] == 120 / (240 + bound)
    assert found["listen_through"] == pytest.approx(60 / (120 + 50 * 120 / 71), rel=1e-6)
    assert found["ctr_lower"] < found["ctr"] < found["ctr_upper"]
    assert found["ctr_upper"] > 0.5


def test_an_interval_needs_users_that_differ(story: Story) -> None:
    for user in ("anna", "ben"):
        story.shown(user, "2026-03-10T08:00", f"slate-{user}", "xyz")

    found = cell(cells(story.told()))

    assert (found["ctr"], found["clicks_per_100"]) == (0, 0)
    assert found["ctr_lower"] is None
    assert found["ctr_upper"] is None


def test_a_clicked_impression_counts_once_and_a_click_on_what_was_not_shown_never(
    story: Story,
) -> None:
    story.shown("anna", "2026-03-10T08:00", "s", "xyz")
    for minute in (1, 2, 3):
        story.clicked("anna", f"2026-03-10T08:0{minute}", "s", "x")
    story.clicked("anna", "2026-03-10T08:04", "s", "w")
    story.clicked("ben", "2026-03-10T08:04", "s", "x")

    found = cell(cells(story.told()))

    assert (found["users"], found["impressions"], found["clicks"], found["ctr"]) == (1, 3, 1, 1 / 3)


def test_what_comes_after_midnight_counts_on_the_day_and_for_the_version_of_its_slate(
    story: Story,
) -> None:
    story.shown("anna", "2026-03-10T23:59:50", "late", "xyz", version="7")
    story.clicked("anna", "2026-03-11T00:00:20", "late", "x")
    story.played("anna", "2026-03-11T00:00:21", "x", 1000, slate="late")
    story.shown("anna", "2026-03-11T09:00", "morning", "xyz", version="8")
    story.clicked("anna", "2026-03-11T09:01", "late", "x")

    rows = cells(story.told(), last=NEXT)

    for version in ("7", "all"):
        found = cell(rows, version=version)
        assert (found["clicks"], found["impressions"], found["plays"]) == (1, 3, 1)
    for version in ("8", "all"):
        found = cell(rows, version=version, day=NEXT)
        assert (found["clicks"], found["impressions"], found["plays"]) == (0, 3, 0)
    assert not [row for row in rows if (row["event_date"], row["model_version"]) == (NEXT, "7")]


def test_a_slate_of_the_day_before_yesterday_is_over(story: Story) -> None:
    story.shown("anna", "2026-03-10T12:00", "s", "xyz")
    story.clicked("anna", "2026-03-12T12:00", "s", "x")
    story.shown("anna", "2026-03-12T13:00", "t", "x")

    assert cell(cells(story.told(), last=AFTER), day=AFTER)["clicks"] == 0


def test_a_click_on_what_was_clicked_yesterday_counts_on_neither_day_again(story: Story) -> None:
    story.shown("anna", "2026-03-10T23:00", "s", "xyz")
    story.clicked("anna", "2026-03-10T23:01", "s", "x")
    story.clicked("anna", "2026-03-11T00:01", "s", "x")
    story.clicked("anna", "2026-03-11T00:02", "s", "y")
    story.login("anna", "2026-03-11T00:00")

    rows = cells(story.told(), last=NEXT)

    assert cell(rows)["clicks"] == 2
    assert NEXT not in {row["event_date"] for row in rows}


def test_a_click_before_its_impression_is_none(story: Story) -> None:
    story.clicked("anna", "2026-03-10T08:59", "s", "x")
    story.shown("anna", "2026-03-10T09:00", "s", "xy")
    story.clicked("anna", "2026-03-10T09:00", "s", "y")

    assert cell(cells(story.told()))["clicks"] == 1


def test_listen_through_caps_each_play_and_leaves_unknown_lengths_out(story: Story) -> None:
    story.track("long", 200_000)
    story.track("short", 100_000)
    story.track("unknown", None)
    story.shown("anna", "2026-03-10T08:00", "s", "xyz", version="7")
    story.played("anna", "2026-03-10T08:01", "x", 50_000, slate="s", track="long")
    story.played("anna", "2026-03-10T08:05", "x", 900_000, slate="s", track="short")
    story.played("anna", "2026-03-10T08:09", "x", 70_000, slate="s", track="unknown")
    story.played("anna", "2026-03-10T09:00", "y", 0, track="short")

    rows = cells(story.told())

    assert (cell(rows, version="7")["plays"], cell(rows, version="7")["listen_through"]) == (
        3,
        150 / 300,
    )
    assert (cell(rows)["plays"], cell(rows)["listen_through"]) == (4, 150 / 400)


def test_plays_that_came_from_no_slate_stand_in_the_whole_alone(story: Story) -> None:
    story.played("ben", "2026-03-10T09:00", "y", 1000)

    rows = cells(story.told())

    assert {row["model_version"] for row in rows} == {"all"}
    assert (cell(rows)["users"], cell(rows)["plays"], cell(rows)["ctr"]) == (0, 1, None)


def test_a_follow_counts_for_the_latest_version_that_showed_the_artist_before(story: Story) -> None:
    story.shown("anna", "2026-03-10T08:00", "one", "xy", version="7")
    story.shown("anna", "2026-03-10T09:00", "two", "xz", version="8")
    story.followed("anna", "2026-03-10T09:30", "x")
    story.followed("anna", "2026-03-10T08:30", "z")
    story.followed("anna", "2026-03-10T09:30", "w")
    story.shown("anna", "2026-03-10T10:00", "three", "x", version="9")

    rows = cells(story.told())

    assert {version: cell(rows, version=version)["follows"] for version in "789"} == {
        "7": 0,
        "8": 1,
        "9": 0,
    }
    assert cell(rows, version="8")["follow_rate"] == 1 / 2
    assert (cell(rows)["follows"], cell(rows)["follow_rate"]) == (1, 1 / 5)


def test_every_segment_tells_its_users_apart(story: Story) -> None:
    story.user(
        "anna",
        country="AR",
        gender="male",
        age_group="65+",
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    story.user("ben")
    story.artist("small", 5)
    story.artist("middle", 100)
    story.artist("large", 1000)
    for user in ("anna", "ben", "unknown"):
        story.shown(user, "2026-03-10T08:00", f"slate-{user}", ["small", "middle", "large"])
    del story.users["unknown"]

    rows = cells(story.told())

    assert values(rows, "country") == {"AR": 1, "CL": 1, "unknown": 1}
    assert values(rows, "gender") == {"male": 1, "female": 1, "unknown": 1}
    assert values(rows, "age_group") == {"65+": 1, "25-34": 1, "unknown": 1}
    assert values(rows, "lifecycle") == {"new": 1, "long_term": 1, "unknown": 1}
    assert values(rows, "follower_tier") == {"<0.1": 3, "0.1-1": 3, "1-10": 3}


@pytest.mark.parametrize(
    ("countries", "published"),
    [
        ({"CL": 25, "AR": 5, "BR": 30}, {"other": 30, "BR": 30}),
        ({"CL": 25, "AR": 12, "PE": 9}, {"CL": 25, "other": 21}),
        ({"CL": 20, "AR": 21}, {"CL": 20, "AR": 21}),
        ({"CL": 19, "AR": 1}, {"other": 20}),
        ({"CL": 10, "AR": 9}, {}),
    ],
)
def test_a_small_cell_is_merged_until_nobody_can_be_told(
    story: Story, countries: dict[str, int], published: dict[str, int]
) -> None:
    for country, count in countries.items():
        for n in range(count):
            story.user(f"{country}-{n}", country=country)
            story.shown(f"{country}-{n}", "2026-03-10T08:00", f"{country}-{n}", "xy")

    rows = cells(story.told(), k=20)

    assert values(rows, "country") == published
    assert values(rows, "country", version="1") == published
    users = sum(countries.values())
    assert values(rows, "all") == ({"all": users} if users >= 20 else {})


def test_all_versions_less_one_are_no_few_users_in_any_segment(story: Story) -> None:
    for version, count in (("1", 90), ("2", 60), ("3", 5)):
        for n in range(count):
            story.user(f"{version}-{n}", country="AR" if n % 3 else "BR")
            story.shown(
                f"{version}-{n}", "2026-03-10T08:00", f"{version}-{n}", "x", version=version
            )

    rows = cells(story.told(), k=20)

    assert values(rows, "country") == {"AR": 103, "BR": 52}
    # With version 2 beside version 1, what is left of all would be the five users of version 3.
    assert values(rows, "country", version="1") == {"AR": 60, "BR": 30}
    assert not [row for row in rows if row["model_version"] in {"2", "3"}]


def test_the_summary_less_its_days_is_nobody(story: Story) -> None:
    for day, few in (("2026-03-10", 25), ("2026-03-11", 5)):
        for country, count in (("AR", few), ("CL", 40), ("BR", 30)):
            for n in range(count):
                story.user(f"{country}-{n}", country=country)
                story.shown(f"{country}-{n}", f"{day}T08:00", f"{country}-{n}-{day}", "xy")
    daily = cells(story.told(), first=DAY, last=NEXT, k=20)

    window = engagement_summary(story.lake, first=DAY, last=NEXT, k_anonymity=20)

    days: dict[str, int] = {}
    for row in daily:
        if (row["segment"], row["model_version"]) == ("country", "all"):
            value = row["segment_value"]
            days[value] = days.get(value, 0) + row["impressions"]
    found = {r["segment_value"]: r["impressions"] for r in window if r["segment"] == "country"}
    assert found == days == {"AR": 50, "BR": 60, "CL": 160, "other": 70}


def test_users_without_an_impression_do_not_make_a_cell_large(story: Story) -> None:
    for n in range(30):
        story.shown(f"shown-{n}", "2026-03-10T08:00", f"s{n}", "x")
        story.user(f"played-{n}", country="AR")
        story.played(f"played-{n}", "2026-03-10T08:00", "x", 10)

    rows = cells(story.told(), k=20)

    assert values(rows, "country") == {"other": 30}
    assert cell(rows, "country", "other")["plays"] == 30


def test_tiers_that_the_same_few_users_saw_are_not_large_together(story: Story) -> None:
    story.artist("small", 5)
    story.artist("middle", 100)
    story.artist("large", 1000)
    for n in range(12):
        story.shown(f"u{n}", "2026-03-10T08:00", f"s{n}", ["small", "middle", "large"])

    assert values(cells(story.told(), k=20), "follower_tier") == {}


def test_a_cell_is_simulated_where_any_of_its_events_is(story: Story) -> None:
    story.shown("anna", "2026-03-10T08:00", "s", "xy")
    story.simulated = True
    story.user("ben", country="AR")
    story.shown("ben", "2026-03-10T08:00", "t", "xy")

    rows = cells(story.told())

    marked = {country: cell(rows, "country", country)["simulated"] for country in ("CL", "AR")}
    assert marked == {"CL": False, "AR": True}
    assert cell(rows)["simulated"] is True


def busy(story: Story, seed: int, *, days: int = 4, users: int = 9) -> Lake:
    """Slates shown again, clicks early, late and repeated, unknown users and unknown artists."""
    random = Random(seed)
    artists = ["a", "b", "c", "d"]
    for artist, followers in zip(artists, (None, 3, 40, 700), strict=True):
        story.artist(artist, followers)
    story.track("t", 1000)
    for n in range(users):
        created_at = datetime(2026, 3, 11, 12, tzinfo=UTC) - timedelta(
            days=random.choice([29, 30, 31, 400])
        )
        story.user(
            f"u{n}",
            country=random.choice(["CL", "AR", None]),
            gender=random.choice("fm"),
            created_at=created_at,
        )
    for _ in range(120):
        user, slate = f"u{random.randrange(users)}", f"s{random.randrange(6)}"
        day, hour, minute = (random.randrange(most) for most in (days, 24, 60))
        at = f"2026-03-{10 + day}T{hour:02}:{minute:02}"
        artist = random.choice(artists)
        match random.randrange(5):
            case 0 | 1:
                story.shown(user, at, slate, random.sample(artists, 2), version=random.choice("12"))
            case 2:
                story.clicked(user, at, slate, artist)
            case 3:
                story.played(
                    user, at, artist, random.randrange(2000), slate=random.choice([slate, None])
                )
            case 4:
                story.followed(user, at, artist)
    return story.told()


@pytest.mark.parametrize("seed", range(2))
def test_a_range_is_the_same_table_as_day_by_day_while_events_come_in(
    tmp_path: Path, seed: int
) -> None:
    at_once = busy(Story(Lake(str(tmp_path / "at-once"))), seed)
    daily = busy(Story(Lake(str(tmp_path / "daily"))), seed)
    last = DAY + 3 * ONE_DAY

    build_engagement(at_once, first=DAY, last=last, k_anonymity=3)
    build_engagement(at_once, first=DAY, last=last, k_anonymity=3)
    whole = daily.read(t.EVENTS)
    for n in range(4):
        day = DAY + n * ONE_DAY
        daily.overwrite(t.EVENTS, whole.filter(pc.field("event_date") <= day))
        build_engagement(daily, first=day, last=day, k_anonymity=3)

    assert at_once.count(t.ENGAGEMENT_DAILY) > 0
    assert at_once.fingerprint(t.ENGAGEMENT_DAILY) == daily.fingerprint(t.ENGAGEMENT_DAILY)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000))
@example(seed=5000)
def test_the_cells_of_a_segment_add_up_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rows = cells(
        busy(Story(Lake(str(tmp_path_factory.mktemp("lake")))), seed), last=DAY + 3 * ONE_DAY
    )

    names = ("impressions", "clicks", "plays", "follows")
    sums: dict[tuple[Any, ...], dict[str, list[int]]] = {}
    for row in rows:
        total = sums.setdefault((row["event_date"], row["model_version"]), {}).setdefault(
            row["segment"], [0] * 4
        )
        for place, name in enumerate(names):
            total[place] += row[name]
    for by_segment in sums.values():
        # Plays of a day on which nobody was shown anything: a cell of no user is never published.
        nobody_was_shown = by_segment["all"][0] == 0
        assert len(by_segment) == (1 if nobody_was_shown else 6)
        assert all(total == by_segment["all"] for total in by_segment.values())


def test_the_summary_of_a_window_counts_users_once_and_weighs_events_alike(story: Story) -> None:
    story.shown("anna", "2026-03-10T08:00", "s", "vwxyz")
    story.clicked("anna", "2026-03-10T08:01", "s", "v")
    story.shown("anna", "2026-03-11T08:00", "t", "xyz")
    story.user("ben", country="AR")
    story.shown("ben", "2026-03-11T08:00", "u", "xy", version="2")
    story.clicked("ben", "2026-03-11T08:01", "u", "x")

    rows = engagement_summary(story.told(), first=DAY, last=NEXT, k_anonymity=1)

    assert [(row["segment"], row["segment_value"], row["users"]) for row in rows[:1]] == [
        ("all", "all", 2)
    ]
    assert rows[0]["ctr"] == 2 / 10
    assert rows[0]["clicks_per_100"] == pytest.approx((100 / 8 + 100 / 2) / 2)
    assert {row["segment_value"]: row["ctr"] for row in rows if row["segment"] == "country"} == {
        "CL": 1 / 8,
        "AR": 1 / 2,
    }
    assert not any("version" in name for name in rows[0])


def test_the_report_shows_days_pictures_and_segments(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    story.simulated = True
    for day in ("2026-03-10", "2026-03-11"):
        story.shown("anna", f"{day}T08:00", day, "xyz")
        story.clicked("anna", f"{day}T08:01", day, "x")

    report = build_engagement(story.told(), first=DAY, last=AFTER, k_anonymity=1)

    assert (report.days, report.simulated, report.rows) == (2, True, 2 * 2 * 6)
    assert report.ctr_by_day.startswith("![CTR (simulated)](data:image/png;base64,")
    assert report.listen_through_by_day.startswith(
        "![Listen-through (simulated)](data:image/png;base64,"
    )
    assert report.by_segment[0]["ctr"] == 1 / 3


def test_a_day_without_events_has_no_cells(story: Story) -> None:
    story.shown("anna", "2026-03-10T08:00", "s", "xyz")

    report = build_engagement(story.told(), first=AFTER, last=AFTER, k_anonymity=1)

    assert (report.rows, report.days, report.simulated, report.by_segment) == (0, 0, False, ())
    assert story.lake.count(t.ENGAGEMENT_DAILY) == 0
