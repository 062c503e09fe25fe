"""Forest plots as SVG: intervals below each other on one axis."""

from collections.abc import Iterator

from markupsafe import Markup, escape

from firstchair.console.charts.figures import Forest, ForestRow, told
from firstchair.console.charts.line import WIDTH, framed
from firstchair.console.charts.scale import Scale, label, spread

RIGHT, TOP, STEP, BOTTOM = 16, 20, 24, 26
CHARACTER_WIDTH, MOST_CHARACTERS = 6.4, 30


def forest_svg(chart: Forest, name: str) -> Markup:
    """Draw the chart; `name` makes its ids unique on the page."""
    if not chart.rows:
        return Markup('<p class="nothing">Nothing to draw yet.</p>')
    ends = [
        end for row in chart.rows for end in (row.value, row.lower, row.upper) if end is not None
    ]
    low, high, ticks = spread([*ends, *(reference.value for reference in chart.references)])
    longest = min(MOST_CHARACTERS, max(len(row.name) for row in chart.rows))
    x = Scale(low, high, 16 + CHARACTER_WIDTH * longest, WIDTH - RIGHT)
    height = TOP + STEP * len(chart.rows) + BOTTOM
    drawn = "".join(
        (
            *_axis(chart, x, ticks, height),
            *(
                part
                for place, row in enumerate(chart.rows)
                for part in _row(chart, row, TOP + STEP * (place + 0.5), x)
            ),
        )
    )
    return framed(drawn, name, title=chart.title, says=chart.says, height=height, kind="forest")


def _axis(chart: Forest, x: Scale, ticks: list[float], height: float) -> Iterator[str]:
    every = 2 if len(ticks) > 5 else 1
    for tick in ticks[::every]:
        at = x(tick)
        yield f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{height - BOTTOM}"/>'
        written = label(tick, chart.form, ticks)
        yield f'<text class="axis" x="{at}" y="{height - 8}" text-anchor="middle">{written}</text>'
    for reference in chart.references:
        at = x(reference.value)
        yield f'<line class="reference" x1="{at}" x2="{at}" y1="{TOP - 4}" y2="{height - BOTTOM}"/>'
        name = escape(reference.name)
        place = f'x="{at}" y="{TOP - 8}"'
        yield f'<text class="axis reference-name" {place} text-anchor="middle">{name}</text>'


def _row(chart: Forest, row: ForestRow, at: float, x: Scale) -> Iterator[str]:
    name = row.name if len(row.name) <= MOST_CHARACTERS else f"{row.name[: MOST_CHARACTERS - 1]}…"
    yield f'<g class="{row.tone}"><title>{escape(_said(chart, row))}</title>'
    place = f'x="{x.start - 10:.0f}" y="{at + 4}"'
    yield f'<text class="name" {place} text-anchor="end">{escape(name)}</text>'
    if row.lower is not None and row.upper is not None:
        yield f'<line class="whisker" x1="{x(row.lower)}" x2="{x(row.upper)}" y1="{at}" y2="{at}"/>'
        for end in (row.lower, row.upper):
            yield f'<line class="whisker" x1="{x(end)}" x2="{x(end)}" y1="{at - 4}" y2="{at + 4}"/>'
    yield f'<circle class="estimate" cx="{x(row.value)}" cy="{at}" r="4"/></g>'


def _said(chart: Forest, row: ForestRow) -> str:
    interval = ""
    if row.lower is not None and row.upper is not None:
        interval = f" ({told(row.lower, chart.form)} to {told(row.upper, chart.form)})"
    return (
        f"{row.name}: {told(row.value, chart.form)}{interval}{' · ' + row.note if row.note else ''}"
    )
