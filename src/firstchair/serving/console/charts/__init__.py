"""Charts as inline SVG, made on the server: lines with their intervals, and forests of intervals."""

from firstchair.serving.console.charts.figures import (
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
from firstchair.serving.console.charts.forest import forest_svg
from firstchair.serving.console.charts.line import line_svg

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
