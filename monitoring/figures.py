"""Small plots as Markdown pictures, for the metadata of assets."""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

SIZE_INCHES, DOTS_PER_INCH = (6, 2.6), 90
# The palette of Okabe and Ito, which colour-blind readers can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Margins of a line plot. Its labels are short, and fitting a layout costs as much as drawing.
LINE_MARGINS = {"left": 0.12, "right": 0.98, "bottom": 0.11, "top": 0.88}
MAX_TICKS = 6
# More bars cannot be read at this size.
MAX_BARS = 15
MARGIN = timedelta(days=1)


def line_plot(
    series: Mapping[str, Sequence[tuple[date, float]]],
    *,
    title: str,
    ylabel: str,
    releases: Mapping[date, str] | None = None,
) -> str:
    """Plot lines over days by name (at most `len(COLOURS)`) as a Markdown picture.

    `title` is the alternative text. A single day is a dot; without points the picture says so.
    `releases` are vertical lines with a name, on days of the axis.
    """
    import matplotlib.dates as mdates

    figure, axes = _axes(title, margins=LINE_MARGINS)
    drawn = [(name, sorted(points)) for name, points in series.items() if points]
    for colour, (name, points) in zip(COLOURS, drawn, strict=False):
        axes.plot(
            *zip(*points, strict=True),
            color=colour,
            label=name,
            linewidth=1.6,
            marker="o",
            markersize=3,
        )
    if not drawn:
        return _without_data(figure, axes, title)
    shown = [day for _, points in drawn for day, _ in points]
    axes.set_xlim(min(shown) - MARGIN, max(shown) + MARGIN)
    for day, name in (releases or {}).items():
        if min(shown) <= day <= max(shown):
            axes.axvline(mdates.date2num(day), color="#7b2233", linewidth=1, linestyle=":")
            axes.annotate(
                name,
                (mdates.date2num(day), 1),
                xycoords=("data", "axes fraction"),
                fontsize=7,
                color="#7b2233",
            )
    axes.set_xticks(_ticks(min(shown), max(shown)))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b %Y"))
    axes.set_ylabel(ylabel, fontsize=8)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    if len(drawn) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure_markdown(figure, title)


def _ticks(first: date, last: date) -> list[date]:
    """Days at equal distances from the first on, at most `MAX_TICKS`."""
    distance = -(-((last - first).days + 1) // MAX_TICKS)
    return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, distance)]


def bar_plot(values: Mapping[str, float], *, title: str, xlabel: str) -> str:
    """Plot horizontal bars, the first on top (at most `MAX_BARS`), as a Markdown picture."""
    figure, axes = _axes(title)
    if not values:
        return _without_data(figure, axes, title)
    names = list(values)[:MAX_BARS][::-1]
    bars = axes.barh(names, [values[name] for name in names], color=COLOURS[0])
    axes.bar_label(bars, fmt="{:,.4g}", padding=3, fontsize=7)
    axes.set_xlabel(xlabel, fontsize=8)
    axes.margins(x=0.12)
    return figure_markdown(figure, title)


def by_day(
    rows: Sequence[Mapping[str, Any]],
    day: str,
    lines: Mapping[str, str],
    *,
    title: str,
    ylabel: str,
    releases: Mapping[date, str] | None = None,
) -> str:
    """Plot columns of rows over their column `day`; `lines` names them; nulls are gaps.

    The title says if any row is simulated.
    """
    series = {
        name: [(row[day], row[column]) for row in rows if row[column] is not None]
        for name, column in lines.items()
    }
    return line_plot(series, title=title + simulated_mark(rows), ylabel=ylabel, releases=releases)


def simulated_mark(rows: Sequence[Mapping[str, Any]]) -> str:
    """The end of a title: a mark if any of the rows is simulated."""
    return " (simulated)" if any(row["simulated"] for row in rows) else ""


def figure_markdown(figure: Any, alt: str) -> str:
    """A matplotlib figure as a Markdown picture with its PNG inside; deterministic."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return f"![{alt}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"


def _axes(title: str, *, margins: Mapping[str, float] | None = None) -> tuple[Any, Any]:
    """Axes with these margins (shares of the figure), or with margins that fit the labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH)
    if margins is None:
        figure.set_layout_engine("constrained")
    else:
        figure.subplots_adjust(**margins)
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _without_data(figure: Any, axes: Any, title: str) -> str:
    axes.set_axis_off()
    axes.text(
        0.5,
        0.5,
        "nothing to show yet",
        ha="center",
        va="center",
        transform=axes.transAxes,
        fontsize=9,
    )
    return figure_markdown(figure, title)
