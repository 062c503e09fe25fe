from datetime import date

import pytest

from monitoring.samples import draw

from .conftest import Story

DAY, LATER = date(2026, 4, 10), date(2026, 4, 24)


@pytest.mark.parametrize("days", [[DAY], [DAY, LATER]])
@pytest.mark.parametrize(("before", "expected"), [("2026-03-12", "cold"), ("2026-03-13", "warm")])
def test_what_a_user_does_after_a_day_does_not_make_it_warm(
    story: Story, days: list[date], before: str, expected: str
) -> None:
    story.login("ben", "2026-01-01T10:00")
    story.played("anna", f"{before}T10:00", "x", 60_000)
    story.login("anna", f"{DAY}T10:00")
    story.played("anna", f"{LATER}T10:00", "x", 60_000)

    found = draw(story.told(), days, max_users=1_000).days

    # The rows of a user are in the order of days.
    assert found["cold"][found["user_key"] == "anna"].iloc[0] == expected
