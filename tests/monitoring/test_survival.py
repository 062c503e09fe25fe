from datetime import date, timedelta

import pytest

from firstchair.lake import tables as t
from monitoring import build_survival

from .conftest import Row, Story

AS_OF = date(2026, 3, 31)
ONE_DAY = timedelta(days=1)


def on(days_before: int) -> str:
    return f"{AS_OF - days_before * ONE_DAY}T12:00"


def stays(story: Story, user: str, begins: int, ends: int, version: str = "1") -> None:
    """Comes every day from so many days before `AS_OF` to so many."""
    for days in range(begins, ends - 1, -1):
        story.login(user, on(days))
        story.shown(user, on(days), f"{user}{days}", "x", version=version)


def curve(story: Story, *, k: int = 1, version: str = "all", segment: str = "all") -> list[Row]:
    build_survival(story.told(), as_of=AS_OF, k_anonymity=k, late_tolerance_days=0)
    where = f"model_version = '{version}' and segment = '{segment}'"
    return sorted(story.lake.read(t.SURVIVAL, where).to_pylist(), key=lambda row: row["day"])


def test_the_curve_is_that_of_kaplan_and_meier(story: Story) -> None:
    stays(story, "anna", 40, 36)  # leaves after 5 days
    stays(story, "ben", 40, 31)  # after 10
    stays(story, "cara", 40, 0)  # stays, known until 14 days before as_of: 26 days
    stays(story, "dora", 20, 0)  # stays for 6 known days

    found = curve(story)

    assert [(row["day"], row["at_risk"], row["left"]) for row in found] == [
        (5, 4, 1),
        (6, 3, 0),
        (10, 2, 1),
        (26, 1, 0),
    ]
    assert [row["survival"] for row in found] == pytest.approx([3 / 4, 3 / 4, 3 / 8, 3 / 8])
    assert all(row["lower"] <= row["survival"] <= row["upper"] for row in found)


def test_a_pause_under_a_fortnight_is_no_leaving(story: Story) -> None:
    stays(story, "anna", 60, 50)
    stays(story, "anna", 36, 0)

    assert [(row["day"], row["left"]) for row in curve(story)] == [(46, 0)]


def test_who_was_shown_a_list_and_did_not_come_back_has_left_on_that_day(story: Story) -> None:
    stays(story, "anna", 40, 0)
    for user in ("ben", "cara", "dora"):
        story.login(user, on(41))
        story.shown(user, on(40), user, "x")
    story.login("cara", on(27))  # the last day of the fortnight; away from day 14 on
    story.login("dora", on(26))  # a day too late

    found = [(row["day"], row["at_risk"], row["left"], row["survival"]) for row in curve(story)]

    assert found == [
        (0, 4, 2, pytest.approx(1 / 2)),
        (14, 2, 1, pytest.approx(1 / 4)),
        (26, 1, 0, pytest.approx(1 / 4)),
    ]


def test_users_stay_with_the_version_that_first_served_them(story: Story) -> None:
    stays(story, "anna", 40, 36, version="1")
    stays(story, "ben", 40, 35, version="2")

    assert [row["day"] for row in curve(story, version="1")] == [5]
    assert [row["day"] for row in curve(story, version="2")] == [6]


def test_a_curve_ends_where_too_few_are_at_risk(story: Story) -> None:
    for n in range(6):
        stays(story, f"u{n}", 40, 39 - n)

    assert [row["at_risk"] for row in curve(story, k=3)] == [6, 5, 4, 3]
    assert curve(story, k=10) == []


def test_leaving_is_known_on_the_day_on_which_a_churn_label_is_mature(story: Story) -> None:
    stays(story, "anna", 40, 15)  # away for the 14 days before as_of
    stays(story, "ben", 40, 14)  # away for 13

    assert [(row["day"], row["at_risk"], row["left"]) for row in curve(story)] == [(26, 2, 1)]


def test_survival_after_a_week_is_known_when_nobody_left_on_its_last_day(story: Story) -> None:
    stays(story, "anna", 40, 36)  # leaves after 5 days
    stays(story, "ben", 30, 0)  # known to stay for 16 days
    report = build_survival(story.told(), as_of=AS_OF, k_anonymity=1, late_tolerance_days=0)

    assert (report.after_7_days, report.after_14_days) == (0.5, 0.5)


@pytest.mark.parametrize(("began", "after"), [(26, (1.0, None)), (20, (None, None))])
def test_survival_is_whole_before_the_first_leaving_and_unknown_after_the_curve(
    story: Story, began: int, after: tuple[float | None, float | None]
) -> None:
    stays(story, "anna", began, 0)

    report = build_survival(story.told(), as_of=AS_OF, k_anonymity=1, late_tolerance_days=0)

    assert (report.after_7_days, report.after_14_days) == after
