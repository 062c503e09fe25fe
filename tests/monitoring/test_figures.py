import base64
import struct
from datetime import date

from monitoring.figures import bar_plot, by_day, line_plot

DAYS = [date(2026, 3, n) for n in range(1, 6)]


def png_of(markdown: str, alt: str) -> bytes:
    opening = f"![{alt}](data:image/png;base64,"
    assert markdown.startswith(opening)
    return base64.b64decode(markdown.removeprefix(opening).removesuffix(")"))


def size_of(png: bytes) -> tuple[int, ...]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def test_a_plot_is_a_small_picture_inside_the_text() -> None:
    series = {
        "champion": [(day, 0.05) for day in DAYS],
        "challenger": [(day, 0.06) for day in DAYS],
    }
    lines = line_plot(series, title="CTR", ylabel="clicks ÷ impressions")
    bars = bar_plot({"als": 0.3, "trending": 0.1}, title="Recall", xlabel="recall@20")

    assert size_of(png_of(lines, "CTR")) == size_of(png_of(bars, "Recall")) == (540, 234)
    assert len(lines) < 60_000


def test_the_same_figures_give_the_same_picture_in_any_order() -> None:
    points = [(day, float(n)) for n, day in enumerate(DAYS)]

    plots = {line_plot({"x": order}, title="T", ylabel="y") for order in (points, points[::-1])}

    assert len(plots) == 1


def test_a_single_day_leaves_a_mark() -> None:
    alone = line_plot({"x": [(DAYS[0], 1.0)]}, title="T", ylabel="y")

    assert alone != line_plot({"x": []}, title="T", ylabel="y")
    assert alone != line_plot({}, title="T", ylabel="y")


def test_without_figures_there_is_still_a_picture() -> None:
    assert size_of(png_of(line_plot({}, title="T", ylabel="y"), "T")) == (540, 234)
    assert size_of(png_of(bar_plot({}, title="T", xlabel="x"), "T")) == (540, 234)


def test_a_title_says_where_rows_are_simulated_and_nulls_are_gaps() -> None:
    rows = [
        {"day": day, "ctr": None if n == 2 else 0.1, "simulated": n == 4}
        for n, day in enumerate(DAYS)
    ]

    assert by_day(rows, "day", {"all": "ctr"}, title="CTR", ylabel="share").startswith(
        "![CTR (simulated)]("
    )
    assert by_day(rows[:4], "day", {"all": "ctr"}, title="CTR", ylabel="share").startswith(
        "![CTR]("
    )


def test_a_release_within_the_days_is_drawn() -> None:
    points = {"all": [(day, 0.1) for day in DAYS]}
    plain = line_plot(points, title="T", ylabel="y")

    assert line_plot(points, title="T", ylabel="y", releases={DAYS[1]: "XGBoost 7"}) != plain
    assert line_plot(points, title="T", ylabel="y", releases={date(1999, 1, 1): "ALS 1"}) == plain
