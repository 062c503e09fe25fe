"""Charts as inline SVG, made on the server: lines with intervals, and forest plots."""

from firstchair.console.charts.figures import (
    Forest,
    ForestRow,
    Form,
    LineChart,
    Mark,
    Point,
    Reference,
    Series,
    told,
)
from firstchair.console.charts.forest import forest_svg
from firstchair.console.charts.line import line_svg

__all__ = [
    "Forest",
    "ForestRow",
    "Form",
    "LineChart",
    "Mark",
    "Point",
    "Reference",
    "Series",
    "forest_svg",
    "line_svg",
    "told",
]
