"""Lines over days with their intervals, as SVG."""

from collections.abc import Iterator, Sequence
from datetime import date

from markupsafe import Markup, escape

from firstchair.serving.console.charts.figures import LineChart, Point, Series, place, told
from firstchair.serving.console.charts.scale import Scale, days_to_write, label, spread

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 26
# More bands than these hide one another.
MOST_BANDS = 3
COLOURS = 8


def line_svg(chart: LineChart, name: str) -> Markup:
    """The picture; `name` makes its ids unique on the page. Values are written at the points for who hovers."""
    points = [point for line in chart.series for point in line.points]
    if not points:
        return Markup('<p class="nothing">Nothing to draw yet.</p>')
    bands = len(chart.series) <= MOST_BANDS
    values = [point.value for point in points]
    values += [
        end for point in _telling(chart, points) if bands for end in (point.lower, point.upper) if end is not None
    ]
    values += [reference.value for reference in chart.references]
    low, high, ticks = spread(values)
    days = sorted((point.on for point in points), key=place)
    x = Scale(place(days[0]), max(place(days[-1]), place(days[0]) + 1), LEFT, WIDTH - RIGHT)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP)
    drawn = "".join(
        (
            *_grid(chart, y, ticks),
            *_days(x, days[0], days[-1]),
            *_references(chart, y),
            *(part for at, line in enumerate(chart.series) for part in _band(line, at, x, y, bands)),
            *(part for at, line in enumerate(chart.series) for part in _line(chart, line, at, x, y)),
        )
    )
    return framed(drawn, name, title=chart.title, says=chart.says, height=HEIGHT, kind="line-chart")


def framed(drawn: str, name: str, *, title: str, says: str, height: float, kind: str) -> Markup:
    """An SVG element that says what it shows."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(says)}</desc>{drawn}</svg>'
    )


def _telling(chart: LineChart, points: Sequence[Point]) -> Sequence[Point]:
    """Points whose intervals the axis holds."""
    newer = sorted(points, key=lambda point: place(point.on))[len(points) // 2 :]
    return newer if chart.narrows else points


def _grid(chart: LineChart, y: Scale, ticks: list[float]) -> Iterator[str]:
    for tick in ticks:
        at = y(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        written = label(tick, chart.form, ticks)
        yield f'<text class="axis" x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{written}</text>'


def _days(x: Scale, first: date | int, last: date | int) -> Iterator[str]:
    for day in days_to_write(place(first), place(last)):
        anchor = "end" if day == place(last) and first != last else "middle"
        written = f"day {day}" if isinstance(last, int) else f"{(on := date.fromordinal(day)).day} {on:%b}"
        yield f'<text class="axis" x="{x(day)}" y="{HEIGHT - 6}" text-anchor="{anchor}">{written}</text>'


def _references(chart: LineChart, y: Scale) -> Iterator[str]:
    for reference in chart.references:
        at = y(reference.value)
        yield f'<line class="reference" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        name = escape(reference.name)
        yield f'<text class="axis reference-name" x="{WIDTH - RIGHT}" y="{at - 4}" text-anchor="end">{name}</text>'


def _band(line: Series, number: int, x: Scale, y: Scale, bands: bool) -> Iterator[str]:
    known = [(p.on, p.lower, p.upper) for p in line.points if p.lower is not None and p.upper is not None]
    if bands and len(known) > 1:
        above = [f"{x(place(on))},{y(upper)}" for on, _, upper in known]
        below = [f"{x(place(on))},{y(lower)}" for on, lower, _ in reversed(known)]
        yield f'<polygon class="band c{number % COLOURS}" points="{" ".join([*above, *below])}"/>'


def _line(chart: LineChart, line: Series, number: int, x: Scale, y: Scale) -> Iterator[str]:
    final = [p for p in line.points if not p.is_open]
    pending = [*final[-1:], *(p for p in line.points if p.is_open)]
    for points, kind in ((final, "line"), (pending, "line open")):
        if len(points) > 1:
            places = " ".join(f"{x(place(p.on))},{y(p.value)}" for p in points)
            yield f'<polyline class="{kind} c{number % COLOURS}" points="{places}"/>'
    for point in line.points:
        kind = "dot open" if point.is_open else "dot"
        yield (
            f'<circle class="{kind} c{number % COLOURS}" cx="{x(place(point.on))}" cy="{y(point.value)}" r="2.6">'
            f"<title>{escape(_said(chart, line, point))}</title></circle>"
        )


def _said(chart: LineChart, line: Series, point: Point) -> str:
    interval = ""
    if point.lower is not None and point.upper is not None:
        interval = f" ({told(point.lower, chart.form)} to {told(point.upper, chart.form)})"
    return f"{line.name}, {point.on}: {told(point.value, chart.form)}{interval}{', not final' if point.is_open else ''}"
