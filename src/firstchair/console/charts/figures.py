"""The data of charts and the format of numbers; the table beside a chart shows the same values."""

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

# More bands than these in one frame hide one another; more colours than these look alike.
MOST_BANDS, COLOURS = 3, 8


class Form(StrEnum):
    """How a number is written."""

    SHARE = "share"
    CHANGE = "change"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a day, or of a number of days, and its interval, if any.

    is_open: whether the value can still change.
    """

    on: date | int
    value: float
    lower: float | None = None
    upper: float | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One line, its points by day ascending."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that others are compared with."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An event of a day, such as a release, drawn as a vertical line with its name, if any."""

    on: date
    name: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over days.

    Few lines share one frame. Many lines with intervals, or more lines than colours, get a frame
    each, so that no line and no interval is hidden. says: a sentence about what the chart shows.
    narrows: intervals shrink with time, so the newer half sets the axis; values beyond it are drawn
    at the border. marks: events of days; those outside of the axis are not drawn.
    """

    title: str
    says: str
    series: tuple[Series, ...]
    form: Form
    references: tuple[Reference, ...] = ()
    narrows: bool = False
    marks: tuple[Mark, ...] = ()

    @property
    def framed_apart(self) -> bool:
        """Whether each line has a frame of its own."""
        bounded = any(point.lower is not None for line in self.series for point in line.points)
        return len(self.series) > (MOST_BANDS if bounded else COLOURS)

    @property
    def shown_marks(self) -> tuple[Mark, ...]:
        """The marks on days of the axis."""
        days = [
            point.on for line in self.series for point in line.points if isinstance(point.on, date)
        ]
        return tuple(mark for mark in self.marks if days and min(days) <= mark.on <= max(days))

    @property
    def keyed(self) -> bool:
        """Whether the lines need a legend; a single line that the title names does not."""
        if self.framed_apart:
            return False
        return len(self.series) > 1 or any(
            line.name.casefold() not in self.title.casefold() for line in self.series
        )

    @property
    def rows(self) -> list[tuple[str, Point]]:
        """Every point with its line's name, newest first."""
        found = [(line.name, point) for line in self.series for point in line.points]
        return sorted(found, key=lambda row: place(row[1].on), reverse=True)


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One interval. tone: `good`, `bad` or `plain`. note: its note in the table."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    tone: str = "plain"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Forest:
    """A forest plot: intervals below each other on one axis."""

    title: str
    says: str
    rows: tuple[ForestRow, ...]
    form: Form
    references: tuple[Reference, ...] = ()


def place(on: date | int) -> int:
    """A day, or a number of days, as a whole number."""
    return on if isinstance(on, int) else on.toordinal()


def told(value: float | None, form: str, *, digits: int | None = None) -> str:
    """A number as text for people; `–` for None.

    >>> told(0.0421, Form.SHARE), told(0.031, Form.CHANGE), told(None, Form.SHARE)
    ('4.21 %', '+3.1 %', '–')
    >>> told(1234.5, Form.NUMBER, digits=1)
    '1,234.5'
    """
    if value is None or not math.isfinite(value):
        return "–"
    match form:
        case Form.SHARE:
            return f"{100 * value:.{2 if digits is None else digits}f} %".replace("-", "−")
        case Form.CHANGE:
            return f"{100 * value:+.{1 if digits is None else digits}f} %".replace("-", "−")
    return f"{value:,.{2 if digits is None else digits}f}".replace("-", "−")
