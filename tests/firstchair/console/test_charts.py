"""Charts: values at their places, names that cannot break out, a description of the picture."""

import itertools
from datetime import date
from xml.etree import ElementTree

import pytest

from firstchair.console.charts import (
    Forest,
    ForestRow,
    Form,
    LineChart,
    Mark,
    Point,
    Reference,
    Series,
    forest_svg,
    line_svg,
)
from firstchair.console.charts.scale import Scale, days_to_write, spread

POINTS = (
    Point(date(2026, 1, 1), 0.02, 0.01, 0.03),
    Point(date(2026, 1, 2), 0.04, 0.03, 0.05, is_open=True),
)


def chart(name: str = "all", says: str = "what it shows") -> LineChart:
    return LineChart("CTR", says, (Series(name, POINTS),), Form.SHARE, (Reference("margin", 0.0),))


def test_a_picture_is_whole_and_says_what_it_shows() -> None:
    svg = ElementTree.fromstring(str(line_svg(chart(), "x")))

    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == "x-t x-d"
    assert [svg[0].text, svg[1].text] == ["CTR", "what it shows"]


def test_names_from_data_cannot_break_out_of_the_picture() -> None:
    evil = '"><script>alert(1)</script>'
    forest = Forest(
        evil,
        evil,
        (ForestRow(evil, 0.1, 0.0, 0.2, note=evil),),
        Form.CHANGE,
        (Reference(evil, 0.0),),
    )

    drawn = str(line_svg(chart(evil, evil), "x")) + str(forest_svg(forest, "y"))

    assert "<script" not in drawn


def test_higher_values_stand_higher_and_later_days_further_right() -> None:
    svg = ElementTree.fromstring(str(line_svg(chart(), "x")))

    early, late = svg.findall("circle")
    assert float(early.get("cy", "")) > float(late.get("cy", ""))
    assert float(early.get("cx", "")) < float(late.get("cx", ""))
    assert [c.get("class") for c in (early, late)] == ["dot c0", "dot open c0"]


def test_an_interval_is_drawn_around_its_estimate() -> None:
    svg = ElementTree.fromstring(
        str(forest_svg(Forest("t", "d", (ForestRow("a", 0.1, 0.0, 0.2),), Form.CHANGE), "x"))
    )

    row = svg.find("g")
    assert row is not None
    whisker, estimate = row.find("line"), row.find("circle")
    assert whisker is not None and estimate is not None
    assert (
        float(whisker.get("x1", "")) < float(estimate.get("cx", "")) < float(whisker.get("x2", ""))
    )


def test_without_points_it_is_said_that_there_are_none() -> None:
    assert "Nothing to draw yet" in line_svg(LineChart("t", "d", (), Form.SHARE), "x")
    assert "Nothing to draw yet" in forest_svg(Forest("t", "d", (), Form.SHARE), "x")


def test_an_axis_holds_all_values_between_round_numbers() -> None:
    for values in ([0.031, 0.058], [-0.2, 0.9], [5.0], [0.0, 0.0], [1e-6, 2e-6]):
        low, high, ticks = spread(values)

        assert low <= min(values) <= max(values) <= high
        assert 2 <= len(ticks) <= 8
    assert spread([0.0, 0.0])[0] == 0
    assert Scale(0, 10, 100, 200)(5) == 150


def test_days_to_write_are_evenly_apart_and_end_at_the_newest() -> None:
    written = days_to_write(1, 28)

    assert written[-1] == 28
    assert len({late - early for early, late in itertools.pairwise(written)}) == 1
    assert days_to_write(1, 1) == [1]


def countries(number: int, *, bounded: bool) -> LineChart:
    """A chart of so many lines."""
    bounds = (0.01, 0.03) if bounded else (None, None)
    lines = tuple(
        Series(f"c{n}", tuple(Point(date(2026, 1, day), 0.02, *bounds) for day in (1, 2)))
        for n in range(number)
    )
    return LineChart("CTR", "by country", lines, Form.SHARE)


@pytest.mark.parametrize("number", [1, 3, 4, 10, 23])
def test_every_line_and_every_interval_is_drawn(number: int) -> None:
    svg = ElementTree.fromstring(str(line_svg(countries(number, bounded=True), "x")))

    assert len(svg.findall("polyline")) == number
    assert len(svg.findall("polygon")) == number
    assert len(svg.findall("circle")) == 2 * number


@pytest.mark.parametrize("number", [8, 9, 23])
def test_lines_that_colours_cannot_tell_apart_have_frames_with_their_names(number: int) -> None:
    found = countries(number, bounded=False)
    svg = ElementTree.fromstring(str(line_svg(found, "x")))

    names = [text.text for text in svg.findall("text") if text.get("class") == "frame-name"]
    assert names == ([] if number == 8 else [f"c{n}" for n in range(number)])
    assert found.keyed is (number == 8)
    heights = [float(text.get("y", "")) for text in svg.findall("text")]
    assert max(heights) <= float(svg.get("viewBox", "").split()[3])


def test_a_release_is_marked_on_its_day_and_said() -> None:
    days = tuple(Point(date(2026, 1, day), 0.02) for day in range(1, 12))
    marks = (Mark(date(2026, 1, 6), "XGBoost 7"), Mark(date(2025, 1, 1), "ALS 1"))
    found = LineChart("CTR", "By day.", (Series("all", days),), Form.SHARE, marks=marks)

    svg = ElementTree.fromstring(str(line_svg(found, "x")))

    (mark,) = (group for group in svg.findall("g") if group.get("class") == "mark")
    line = mark.find("line")
    circles = svg.findall("circle")
    assert line is not None
    assert line.get("x1") == circles[5].get("cx")
    assert svg[1].text == "By day. Releases: XGBoost 7 on 2026-01-06."
