from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring import ChurnReport, build_churn, churn

from .conftest import Row, Story

AS_OF = date(2026, 3, 31)
ONE_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds draw no picture: it takes most of their time here, and only one test looks at it."""
    monkeypatch.setattr(churn, "line_plot", lambda *_, **__: "")


def build(
    lake: Lake, *, first: date = AS_OF, last: date | None = None, k: int = 1, late: int = 0
) -> ChurnReport:
    last = last or first
    return build_churn(
        lake,
        first_as_of=first,
        last_as_of=last,
        k_anonymity=k,
        late_tolerance_days=late,
        known_until=AS_OF,
    )


def cells(lake: Lake, *, horizon: int = 7, k: int = 1) -> list[Row]:
    build(lake, k=k)
    return list(lake.read(t.CHURN, f"horizon_days = {horizon}").to_pylist())


def of(rows: list[Row], segment: str, version: str = "all") -> dict[str, tuple[int, int]]:
    wanted = [row for row in rows if row["segment"] == segment and row["model_version"] == version]
    return {row["segment_value"]: (row["users"], row["churned"]) for row in wanted}


@pytest.mark.parametrize(
    ("days_before", "users_and_churned"),
    [
        ([35], (1, 1)),  # first day of the base: 28 days before D - 7
        ([36], None),
        ([8], (1, 1)),  # last day of the base
        ([7], None),  # first day of the horizon: active, but not in the base
        ([8, 7], (1, 0)),
        ([8, 1], (1, 0)),  # last day of the horizon
        ([8, 0], (1, 1)),  # D itself is not known yet
        ([40, 30, 20], (1, 1)),
        ([40, 3], None),
    ],
)
def test_a_user_of_the_base_is_churned_if_away_for_the_whole_horizon(
    story: Story, days_before: list[int], users_and_churned: tuple[int, int] | None
) -> None:
    for days in days_before:
        story.login("anna", f"{AS_OF - days * ONE_DAY}T12:00")

    found = of(cells(story.told()), "all")

    assert found.get("all") == users_and_churned


def test_the_horizon_of_14_days_has_a_base_of_its_own(story: Story) -> None:
    story.login("anna", f"{AS_OF - 15 * ONE_DAY}T12:00")
    story.login("anna", f"{AS_OF - 10 * ONE_DAY}T12:00")

    lake = story.told()

    assert of(cells(lake, horizon=14), "all") == {"all": (1, 0)}
    assert of(cells(lake, horizon=7), "all") == {"all": (1, 1)}


def test_to_be_shown_something_is_no_activity_and_every_other_event_is(story: Story) -> None:
    for user in ("anna", "ben", "cara"):
        story.login(user, f"{AS_OF - 9 * ONE_DAY}T12:00")
    story.shown("anna", f"{AS_OF - 2 * ONE_DAY}T12:00", "s", "xyz")
    story.played("ben", f"{AS_OF - 2 * ONE_DAY}T12:00", "x", 1)
    story.followed("cara", f"{AS_OF - 2 * ONE_DAY}T23:59", "x")
    story.shown("dora", f"{AS_OF - 9 * ONE_DAY}T12:00", "t", "xyz")

    assert of(cells(story.told()), "all") == {"all": (3, 1)}


def test_the_version_is_that_of_the_latest_impression_of_the_base(story: Story) -> None:
    for user in ("anna", "ben", "cara", "dora"):
        story.login(user, f"{AS_OF - 9 * ONE_DAY}T12:00")
    story.shown("cara", f"{AS_OF - 36 * ONE_DAY}T23:59", "c", "x", version="1")
    story.shown("dora", f"{AS_OF - 35 * ONE_DAY}T00:00", "d", "x", version="1")
    story.shown("anna", f"{AS_OF - 60 * ONE_DAY}T12:00", "s", "x", version="1")
    story.shown("anna", f"{AS_OF - 8 * ONE_DAY}T13:00", "u", "x", version="3")
    story.shown("anna", f"{AS_OF - 8 * ONE_DAY}T12:00", "t", "x", version="2")
    story.shown("anna", f"{AS_OF - 7 * ONE_DAY}T00:00", "v", "x", version="4")
    story.shown("ben", f"{AS_OF - 7 * ONE_DAY}T00:00", "w", "x", version="4")

    rows = cells(story.told())

    assert {row["model_version"] for row in rows} == {"all", "1", "3", "none"}
    assert of(rows, "all", "1") == {"all": (1, 1)}
    assert of(rows, "all", "3") == {"all": (1, 1)}
    assert of(rows, "all", "none") == {"all": (2, 2)}
    assert of(rows, "all") == {"all": (4, 4)}


def test_users_are_told_apart_as_they_were_when_the_horizon_began(story: Story) -> None:
    cut = datetime(2026, 3, 24, tzinfo=UTC)
    story.user("anna", country="AR", created_at=cut - 29 * ONE_DAY)
    story.user("ben", country=None, created_at=cut - 30 * ONE_DAY)
    for user in story.users:
        story.login(user, f"{AS_OF - 9 * ONE_DAY}T12:00")

    rows = cells(story.told())

    assert of(rows, "lifecycle") == {"new": (1, 1), "long_term": (1, 1)}
    assert of(rows, "country") == {"AR": (1, 1), "unknown": (1, 1)}
    assert "follower_tier" not in {row["segment"] for row in rows}


def test_small_cells_are_merged_and_rates_are_shares_of_users(story: Story) -> None:
    for n in range(8):
        story.user(f"u{n}", country="CL" if n < 5 else "AR" if n < 7 else "BR")
        story.login(f"u{n}", f"{AS_OF - 9 * ONE_DAY}T12:00")
        if n % 4 == 0:
            story.login(f"u{n}", f"{AS_OF - ONE_DAY}T12:00")

    rows = cells(story.told(), k=3)

    assert of(rows, "country") == {"CL": (5, 3), "other": (3, 3)}
    (whole,) = [row for row in rows if row["segment"] == "all" and row["model_version"] == "all"]
    assert whole["churn_rate"] == 6 / 8


def test_a_label_is_mature_once_late_events_of_its_horizon_had_their_time(story: Story) -> None:
    for days in range(40):
        story.login("anna", f"{AS_OF - days * ONE_DAY}T12:00")

    report = build(story.told(), first=AS_OF - 5 * ONE_DAY, last=AS_OF, late=3)

    mature = {row["as_of"]: row["mature"] for row in story.lake.read(t.CHURN).to_pylist()}
    assert {day for day, is_mature in mature.items() if is_mature} == {
        AS_OF - n * ONE_DAY for n in range(3, 9)
    }
    assert {day for day, is_mature in mature.items() if not is_mature} == {
        AS_OF - n * ONE_DAY for n in range(3)
    }
    assert report.mature == story.lake.count(t.CHURN, "mature")


def test_building_on_makes_labels_final_that_were_not_when_they_were_built(story: Story) -> None:
    story.login("anna", f"{AS_OF - 20 * ONE_DAY}T12:00")
    lake = story.told()
    for n in (3, 2, 1, 0):
        day = AS_OF - n * ONE_DAY
        build_churn(
            lake,
            first_as_of=day,
            last_as_of=day,
            k_anonymity=1,
            late_tolerance_days=3,
            known_until=day,
        )

    built = {row["as_of"] for row in lake.read(t.CHURN, "mature").to_pylist()}

    assert max(built) == AS_OF - 3 * ONE_DAY


def test_a_cell_is_simulated_where_an_event_that_decides_it_is(story: Story) -> None:
    story.user("ben", country="AR")
    story.login("anna", f"{AS_OF - 9 * ONE_DAY}T12:00")
    story.login("ben", f"{AS_OF - 9 * ONE_DAY}T12:00")
    story.simulated = True
    story.login("ben", f"{AS_OF - 2 * ONE_DAY}T12:00")

    rows = cells(story.told())

    marks = {
        row["segment_value"]: row["simulated"]
        for row in rows
        if row["segment"] in {"all", "country"}
    }
    assert marks == {"all": True, "CL": False, "AR": True}


def random_lives(story: Story, seed: int) -> Lake:
    random = Random(seed)
    for n in range(8):
        story.user(f"u{n}", country=random.choice(["CL", "AR", "BR"]))
        for _ in range(random.randrange(9)):
            at = f"{AS_OF - random.randrange(60) * ONE_DAY}T{random.randrange(24):02}:00"
            if random.random() < 0.4:
                story.shown(f"u{n}", at, "s", "xy", version=random.choice("12"))
            else:
                story.login(f"u{n}", at)
    return story.told()


def by_definition(events: list[Row], as_of: date, horizon: int) -> dict[str, tuple[int, int]]:
    """Users and churned users of each version, straight from the words of the definition."""
    cut = as_of - horizon * ONE_DAY
    found: dict[str, tuple[int, int]] = {}
    for user in {event["user_key"] for event in events}:
        own = [event for event in events if event["user_key"] == user]
        active = {event["event_date"] for event in own if event["event_type"] != "impression"}
        if not any(cut - 28 * ONE_DAY <= day < cut for day in active):
            continue
        churned = not any(cut <= day < as_of for day in active)
        shown = [
            event
            for event in own
            if event["event_type"] == "impression"
            and cut - 28 * ONE_DAY <= event["event_date"] < cut
        ]
        newest = max(
            shown,
            key=lambda e: (e["occurred_at"], e["event_id"]),
            default={"model_version": "none"},
        )
        for version in ("all", newest["model_version"]):
            users, lost = found.get(version, (0, 0))
            found[version] = (users + 1, lost + churned)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_a_range_in_one_pass_holds_the_definition_on_every_day_and_equals_day_by_day(
    tmp_path: Path, seed: int
) -> None:
    first = AS_OF - 5 * ONE_DAY
    at_once, daily = Story(Lake(str(tmp_path / "at-once"))), Story(Lake(str(tmp_path / "daily")))
    build(random_lives(at_once, seed), first=first, last=AS_OF)
    build(at_once.lake, first=first, last=AS_OF)
    random_lives(daily, seed)
    for n in range(6):
        build(daily.lake, first=first + n * ONE_DAY)

    assert at_once.lake.fingerprint(t.CHURN) == daily.lake.fingerprint(t.CHURN)
    for horizon in (7, 14):
        for n in range(6):
            day = first + n * ONE_DAY
            where = f"segment = 'all' and as_of = date '{day}' and horizon_days = {horizon}"
            found = {
                r["model_version"]: (r["users"], r["churned"])
                for r in at_once.lake.read(t.CHURN, where).to_pylist()
            }
            assert found == by_definition(at_once.events, day, horizon)


def test_the_report_carries_the_newest_rates_and_a_picture(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    story.simulated = True
    story.login("anna", f"{AS_OF - 9 * ONE_DAY}T12:00")
    story.login("ben", f"{AS_OF - 9 * ONE_DAY}T12:00")
    story.login("ben", f"{AS_OF - 2 * ONE_DAY}T12:00")

    report = build(story.told(), first=AS_OF - ONE_DAY, last=AS_OF)

    assert report.rates == {"7 days": 1 / 2}
    assert report.simulated
    assert report.plot.startswith("![Churn (simulated)](data:image/png;base64,")


def test_without_events_there_is_nothing_and_no_failure(lake: Lake) -> None:
    report = build(lake)

    assert (report.rows, report.mature, report.rates) == (0, 0, {})
