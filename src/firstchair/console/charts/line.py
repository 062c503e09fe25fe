"""Lines over days with their intervals, as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup, escape

from firstchair.console.charts.figures import COLOURS, LineChart, Point, Series, place, told
from firstchair.console.charts.scale import Scale, days_to_write, label, spread

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 26
# Sizes if each line has a frame of its own.
COLUMNS, GAP, NAME, FRAME_HEIGHT = 2, 14, 18, 62
# The names of more marks than this would overlap, so only the table shows them.
MOST_NAMED_MARKS = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of the chart: its scales and the positions of its borders."""

    x: Scale
    y: Scale
    top: float
    bottom: float

    @property
    def left(self) -> float:
        """Position of the first day."""
        return self.x.start

    @property
    def right(self) -> float:
        """Position of the last day."""
        return self.x.end


def line_svg(chart: LineChart, name: str) -> Markup:
    """Draw the chart; `name` makes its ids unique on the page. Points show values on hover."""
    points = [point for line in chart.series for point in line.points]
    if not points:
        return Markup('<p class="nothing">Nothing to draw yet.</p>')
    values = [point.value for point in points]
    values += [
        end
        for point in _telling(chart, points)
        for end in (point.lower, point.upper)
        if end is not None
    ]
    values += [reference.value for reference in chart.references]
    low, high, ticks = spread(values)
    days = sorted((point.on for point in points), key=place)
    first, last = days[0], days[-1]
    if chart.framed_apart:
        drawn, height = _apart(chart, low, high, ticks, first, last)
    else:
        x = Scale(place(first), max(place(last), place(first) + 1), LEFT, WIDTH - RIGHT)
        frame = Frame(x, Scale(low, high, HEIGHT - BOTTOM, TOP), TOP, HEIGHT - BOTTOM)
        drawn, height = "".join(_together(chart, frame, ticks, first, last)), HEIGHT
    return framed(
        drawn, name, title=chart.title, says=_says(chart), height=height, kind="line-chart"
    )


def framed(drawn: str, name: str, *, title: str, says: str, height: float, kind: str) -> Markup:
    """An SVG element with a title and a description of what it shows."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(says)}</desc>{drawn}</svg>'
    )


def _says(chart: LineChart) -> str:
    released = "; ".join(f"{mark.name} on {mark.on}" for mark in chart.shown_marks)
    return f"{chart.says} Releases: {released}." if released else chart.says


def _together(
    chart: LineChart, frame: Frame, ticks: list[float], first: date | int, last: date | int
) -> Iterator[str]:
    """All lines in one frame."""
    yield from _grid(chart, frame, ticks)
    yield from _days(frame, first, last)
    yield from _marks(chart, frame, named=True)
    yield from _references(chart, frame, named=True)
    for number, line in enumerate(chart.series):
        yield from _band(line, number, frame)
    for number, line in enumerate(chart.series):
        yield from _line(chart, line, number, frame)


def _apart(
    chart: LineChart,
    low: float,
    high: float,
    ticks: list[float],
    first: date | int,
    last: date | int,
) -> tuple[str, float]:
    """Draw each line in a frame of its own, all with the same axes; the drawing and its height."""
    width = (WIDTH - LEFT - RIGHT - GAP * (COLUMNS - 1)) / COLUMNS
    parts: list[str] = []
    top = 0.0
    for number, line in enumerate(chart.series):
        column, row = number % COLUMNS, number // COLUMNS
        left, top = LEFT + column * (width + GAP), row * (NAME + FRAME_HEIGHT + GAP)
        x = Scale(place(first), max(place(last), place(first) + 1), left, left + width)
        bottom = top + NAME + FRAME_HEIGHT
        frame = Frame(x, Scale(low, high, bottom, top + NAME), top + NAME, bottom)
        parts += _grid(chart, frame, [ticks[0], ticks[-1]], written=column == 0)
        parts += _marks(chart, frame, named=False)
        parts += _references(chart, frame, named=False)
        parts += _band(line, number, frame)
        parts += _line(chart, line, number, frame)
        words = escape(line.name.replace("_", " "))
        parts.append(f'<text class="frame-name" x="{left:g}" y="{top + NAME - 6:g}">{words}</text>')
        if number + COLUMNS >= len(chart.series):
            parts += _days(frame, first, last, most=2)
    return "".join(parts), top + NAME + FRAME_HEIGHT + BOTTOM


def _telling(chart: LineChart, points: Sequence[Point]) -> Sequence[Point]:
    """The points whose intervals determine the axis."""
    newer = sorted(points, key=lambda point: place(point.on))[len(points) // 2 :]
    return newer if chart.narrows else points


def _grid(
    chart: LineChart, frame: Frame, ticks: list[float], *, written: bool = True
) -> Iterator[str]:
    for tick in ticks:
        at = frame.y(tick)
        yield f'<line class="grid" x1="{frame.left:g}" x2="{frame.right:g}" y1="{at}" y2="{at}"/>'
        if written:
            text = label(tick, chart.form, ticks)
            place_of = f'x="{frame.left - 6:g}" y="{at + 4}"'
            yield f'<text class="axis" {place_of} text-anchor="end">{text}</text>'


def _days(frame: Frame, first: date | int, last: date | int, *, most: int = 5) -> Iterator[str]:
    for day in days_to_write(place(first), place(last), most=most):
        anchor = "end" if day == place(last) and first != last else "middle"
        anchor = "start" if day == place(first) and first != last else anchor
        written = (
            f"day {day}"
            if isinstance(last, int)
            else f"{(on := date.fromordinal(day)).day} {on:%b}"
        )
        at = frame.bottom + BOTTOM - 6
        place_of = f'x="{frame.x(day)}" y="{at:g}"'
        yield f'<text class="axis" {place_of} text-anchor="{anchor}">{written}</text>'


def _marks(chart: LineChart, frame: Frame, *, named: bool) -> Iterator[str]:
    marks = chart.shown_marks
    for number, mark in enumerate(marks):
        at, text = frame.x(place(mark.on)), escape(f"{mark.name}, from {mark.on} on")
        yield f'<g class="mark"><title>{text}</title>'
        yield f'<line x1="{at}" x2="{at}" y1="{frame.top:g}" y2="{frame.bottom:g}"/></g>'
        if named and len(marks) <= MOST_NAMED_MARKS:
            end = at > (frame.left + frame.right) / 2
            place_of = f'x="{at + (-4 if end else 4):g}" y="{frame.top + 10 + 12 * number:g}"'
            anchor = "end" if end else "start"
            name = escape(mark.name)
            yield f'<text class="axis mark-name" {place_of} text-anchor="{anchor}">{name}</text>'


def _references(chart: LineChart, frame: Frame, *, named: bool) -> Iterator[str]:
    for reference in chart.references:
        at = frame.y(reference.value)
        ends = f'x1="{frame.left:g}" x2="{frame.right:g}" y1="{at}" y2="{at}"'
        yield f'<line class="reference" {ends}/>'
        if named:
            name = escape(reference.name)
            place_of = f'x="{frame.right:g}" y="{at - 4}"'
            yield f'<text class="axis reference-name" {place_of} text-anchor="end">{name}</text>'


def _band(line: Series, number: int, frame: Frame) -> Iterator[str]:
    known = [
        (p.on, p.lower, p.upper) for p in line.points if p.lower is not None and p.upper is not None
    ]
    if len(known) > 1:
        above = [f"{frame.x(place(on))},{frame.y(upper)}" for on, _, upper in known]
        below = [f"{frame.x(place(on))},{frame.y(lower)}" for on, lower, _ in reversed(known)]
        yield f'<polygon class="band c{number % COLOURS}" points="{" ".join([*above, *below])}"/>'
    elif known:
        on, lower, upper = known[0]
        at = frame.x(place(on))
        ends = f'x1="{at}" x2="{at}" y1="{frame.y(lower)}" y2="{frame.y(upper)}"'
        yield f'<line class="bar c{number % COLOURS}" {ends}/>'


def _line(chart: LineChart, line: Series, number: int, frame: Frame) -> Iterator[str]:
    final = [p for p in line.points if not p.is_open]
    pending = [*final[-1:], *(p for p in line.points if p.is_open)]
    for points, kind in ((final, "line"), (pending, "line open")):
        if len(points) > 1:
            places = " ".join(f"{frame.x(place(p.on))},{frame.y(p.value)}" for p in points)
            yield f'<polyline class="{kind} c{number % COLOURS}" points="{places}"/>'
    for point in line.points:
        kind = "dot open" if point.is_open else "dot"
        yield (
            f'<circle class="{kind} c{number % COLOURS}" cx="{frame.x(place(point.on))}" '
            f'cy="{frame.y(point.value)}" r="{1.8 if chart.framed_apart else 2.6}">'
            f"<title>{escape(_said(chart, line, point))}</title></circle>"
        )


def _said(chart: LineChart, line: Series, point: Point) -> str:
    interval = ""
    if point.lower is not None and point.upper is not None:
        interval = f" ({told(point.lower, chart.form)} to {told(point.upper, chart.form)})"
    return (
        f"{line.name}, {point.on}: "
        f"{told(point.value, chart.form)}{interval}{', not final' if point.is_open else ''}"
    )
