"""Small plots as Markdown pictures, for the metadata of assets."""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

# Okabe and Ito's palette: told apart by everybody.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def line_plot(series: Mapping[str, Sequence[tuple[date, float]]], *, title: str, ylabel: str) -> str:
    """Lines over days, one a name."""
    figure, axes = _axes(title)
    for colour, (name, points) in zip(COLOURS, series.items(), strict=False):
        axes.plot([day for day, _ in points], [value for _, value in points], color=colour, label=name, lw=1.6)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, fontsize=8)
    figure.autofmt_xdate(rotation=30)
    return _markdown(figure, title)


def bar_plot(values: Mapping[str, float], *, title: str, xlabel: str) -> str:
    """Horizontal bars, the first on top."""
    figure, axes = _axes(title)
    names = list(values)[::-1]
    axes.barh(names, [values[name] for name in names], color=COLOURS[0])
    axes.set_xlabel(xlabel)
    axes.tick_params(axis="y", labelsize=8)
    return _markdown(figure, title)


def _axes(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), dpi=90, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _markdown(figure: Any, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return f"![{alt}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
