import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring import Champion, DriftReport, build_drift, load_rules
from monitoring.comparison import Rate, compare_numbers, compare_rates, compare_values, holm
from monitoring.samples import draw

from .conftest import Story
from .crowd import ONE_DAY, START, Crowd

FITTED = 21
CHAMPION = Champion("1", START + FITTED * ONE_DAY)


def compared(
    lake: Lake, as_of: date, champion: Champion | None = CHAMPION, folder: Path | None = None
) -> DriftReport:
    return build_drift(lake, as_of=as_of, champion=champion, report_folder=folder, k_anonymity=20)


def watched(
    lake: Lake, *, users: int = 600, days: int = 30, seed: int = 1, **changed: object
) -> DriftReport:
    """The drift on the day after a history whose last two days are as `changed` says."""
    crowd = Crowd(lake, users, seed)
    crowd.live(*range(days - 2))
    crowd.live(days - 2, days - 1, **changed)
    return compared(lake, START + days * ONE_DAY)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_that_stays_the_same_has_not_drifted(lake: Lake, seed: int) -> None:
    report = watched(lake, seed=seed)

    assert report.drifted == {}
    assert report.rows >= 8
    assert report.reference == CHAMPION.as_of


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"ctr": 0.04}, {"ctr", "ctr_known_artists", "ctr_other_artists", "clicks_per_100"}),
        ({"heard": 1.0}, {"listen_through"}),
        ({"only": "CL"}, {"country"}),
    ],
)
def test_what_changed_is_named(lake: Lake, changed: dict[str, object], named: set[str]) -> None:
    report = watched(lake, **changed)

    assert named & set(report.drifted)
    assert set(report.drifted) <= named
    rows = {row["column"]: row for row in lake.read(t.DRIFT).to_pylist()}
    assert {name for name, row in rows.items() if row["drifted"]} == set(report.drifted)
    assert {row["reference_until"] for row in rows.values()} == {CHAMPION.as_of}


def test_among_many_users_a_change_of_no_size_is_significant_and_no_drift(lake: Lake) -> None:
    crowd = Crowd(lake, 12_000)
    crowd.live(
        0, 8, 9, 15, 16
    )  # after the first, the days before that are compared with the last two
    crowd.live(22, 23, ctr=0.115, comes=0.9)

    report = compared(lake, START + 24 * ONE_DAY)

    (ctr,) = lake.read(t.DRIFT, "\"column\" = 'ctr'").to_pylist()
    assert ctr["score"] < ctr["threshold"]
    assert ctr["effect"] == pytest.approx(0.15, abs=0.05)
    assert "ctr" not in report.drifted


def test_the_reference_is_the_champions_and_slow_drift_adds_up(lake: Lake) -> None:
    crowd = Crowd(lake, 600)
    falling = (0.16 * (1 - max(0, number - FITTED) / 40) for number in range(50))
    crowd.live_each((number, {"ctr": ctr}) for number, ctr in enumerate(falling))
    as_of = START + 50 * ONE_DAY

    against_champion = compared(lake, as_of)
    against_lately = compared(lake, as_of, Champion("2", as_of))

    assert "ctr" in against_champion.drifted
    assert against_lately.reference == as_of - load_rules().drift.window_days * ONE_DAY


def test_days_are_held_against_the_same_weekdays(lake: Lake) -> None:
    crowd = Crowd(lake, 600)
    of_weekends = [(START + number * ONE_DAY).weekday() >= 5 for number in range(35)]
    ctrs = (0.2 if free else 0.08 for free in of_weekends)
    crowd.live_each((number, {"ctr": ctr}) for number, ctr in enumerate(ctrs))

    found = [compared(lake, START + number * ONE_DAY).drifted for number in range(28, 36)]

    assert found == [{}] * 8


def shown(report: DriftReport) -> list[dict[str, Any]]:
    """The widgets of a page, in the order that a reader meets them."""
    assert report.report is not None
    (data,) = re.findall(r"var metric_\w+ = (\{.*\});$", report.report.read_text(), re.MULTILINE)
    group, *tests = json.loads(data)["widgets"]
    return [*group["widgets"], *tests]


@pytest.mark.parametrize("changed", [{}, {"ctr": 0.04}, {"only": "CL"}])
def test_the_page_says_of_each_column_what_the_table_says(
    lake: Lake, tmp_path: Path, changed: dict[str, Any]
) -> None:
    crowd = Crowd(lake, 400)
    crowd.live(*range(10))
    crowd.live(10, 11, **changed)

    report = compared(lake, START + 12 * ONE_DAY, None, tmp_path)

    verdicts = {
        row["column"].replace("_", " "): row["drifted"] for row in lake.read(t.DRIFT).to_pylist()
    }
    table, *panels, _, tests = shown(report)
    states = {test["title"]: test["state"] for test in tests["params"]["tests"]}
    assert states == {name: "fail" if drifted else "success" for name, drifted in verdicts.items()}
    titles = [panel["title"] for panel in panels[::2]]
    assert sorted(titles) == sorted(
        f"{name}: {'drifted' if drifted else 'steady'}" for name, drifted in verdicts.items()
    )
    drifted = len(report.drifted)
    assert all(title.endswith("drifted") for title in titles[:drifted])
    assert [row[2] for row in table["params"]["data"][:drifted]] == ["drifted"] * drifted
    sides = [{bars["name"] for bars in panel["params"]["data"]} for panel in panels[1::2]]
    assert sides == [{"before", "now"}] * len(titles)


def test_one_user_of_a_new_country_is_no_drift_and_is_not_drawn(lake: Lake, tmp_path: Path) -> None:
    crowd = Crowd(lake, 400)
    crowd.live(*range(10), comes=1.0)
    crowd.comes_from(0, "GR")
    crowd.live(10, 11, comes=1.0)

    report = compared(lake, START + 12 * ONE_DAY, None, tmp_path)

    (country,) = lake.read(t.DRIFT, "\"column\" = 'country'").to_pylist()
    assert not country["drifted"]
    widgets = shown(report)
    (place,) = [n for n, widget in enumerate(widgets) if widget["title"] == "country: steady"]
    panel = widgets[place + 1]
    assert all("GR" not in bars["x"] for bars in panel["params"]["data"])


@pytest.mark.parametrize("simulated", [False, True])
def test_the_page_is_titled_marked_and_loads_nothing(
    lake: Lake, tmp_path: Path, simulated: bool
) -> None:
    crowd = Crowd(lake, 200, simulated=simulated)
    crowd.live(*range(12))

    report = compared(lake, START + 12 * ONE_DAY, None, tmp_path)

    assert report.report == tmp_path / "data_drift" / "2026-01-17.html"
    page = report.report.read_text()
    assert page.rstrip().endswith("</html>")
    assert "<title>Drift, 2026-01-17</title>" in page
    assert "2026-01-15 to 2026-01-16 (2 days) against 2026-01-08 to 2026-01-09 (2 days)." in page
    assert ("Simulated data" in page) is simulated
    assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)\s*=", page) == []
    assert [path.name for path in report.report.parent.iterdir()] == ["2026-01-17.html"]


def test_without_history_nothing_is_said(lake: Lake) -> None:
    crowd = Crowd(lake, 50)
    crowd.live(0)

    report = compared(lake, START + ONE_DAY, None)

    assert (report.rows, report.report) == (0, None)
    assert report.note == "There is no history before these days to compare with."
    assert lake.count(t.DRIFT) == 0


def test_a_repetition_leaves_the_same_figures(lake: Lake) -> None:
    watched(lake, users=200)
    once = lake.fingerprint(t.DRIFT)

    compared(lake, START + timedelta(days=30))

    assert lake.fingerprint(t.DRIFT) == once


def test_days_compared_count_only_the_clicks_of_the_impressions_own_day(story: Story) -> None:
    story.shown("anna", "2026-03-10T23:00", "s", "xyz")
    story.clicked("anna", "2026-03-10T23:01", "s", "x")
    before = draw(story.told(), [date(2026, 3, 10)], max_users=1_000)
    story.clicked("anna", "2026-03-11T00:01", "s", "y")
    after = draw(story.told(), [date(2026, 3, 10)], max_users=1_000)

    for sample in (before, after):
        (row,) = sample.answers.to_dict("records")
        assert (row["shown_ctr"], row["clicked_ctr"]) == (3, 1)


def test_holm_keeps_the_order_and_multiplies_by_what_is_left() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(3))
def test_one_user_on_many_days_is_no_crowd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.normal(size=60)
    users = np.repeat(np.arange(60), 20)
    values = levels[users] + 0.1 * rng.normal(size=len(users))
    half = users < 30

    numbers = compare_numbers(values[half], values[~half], users[half], users[~half])
    names = compare_values((values > 0)[half], (values > 0)[~half], users[half], users[~half])

    assert numbers.p_value > 0.005
    assert names.p_value > 0.005
    assert (numbers.users, numbers.reference_users) == (30, 30)


def test_one_account_makes_no_rate_drift() -> None:
    rng = np.random.default_rng(1)
    clicks, shown = rng.binomial(10, 0.1, 1_000).astype(float), np.full(1_000, 10.0)
    usual = Rate(clicks, shown)
    with_program = Rate(np.append(clicks, 0.0), np.append(shown, 1e7))

    found = compare_rates(usual, with_program)

    assert found.effect > -0.06
    assert found.p_value > 0.2
