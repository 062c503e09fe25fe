"""Draws the components and their connections, and writes docs/components.md.

`make reference` runs it. All of it comes from components.toml.
"""

import math
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from docs.scripts.reference import NOTE, code, table

DOCS = Path(__file__).parents[1]
DATA = Path(__file__).with_suffix(".toml")
Point: TypeAlias = tuple[float, float]

# Units of the drawing. It is as wide as three boxes, so that a phone shows its letters at some 10
# px.
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 178, 78, 38, 62
# Beside the boxes: for a connection that passes one by, and for none.
WIDE_MARGIN, MARGIN = 36, 4
BADGE = 12.5
OUTWARDS: Mapping[str, Point] = {"top": (0, -1), "bottom": (0, 1), "left": (-1, 0), "right": (1, 0)}
# Fill and line of a kind of component, by day and by night.
COLOURS = {
    "outside": ("#ffffff", "#6b7280", "#1f2430", "#9ca3af"),
    "process": ("#e0e7ff", "#4f46e5", "#272b5c", "#a5b4fc"),
    "store": ("#dcfce7", "#15803d", "#153a26", "#86efac"),
    "database": ("#fef3c7", "#b45309", "#45300d", "#fcd34d"),
    "asset": ("#e0f2fe", "#0369a1", "#123549", "#7dd3fc"),
    "sensor": ("#fce7f3", "#be185d", "#4a1532", "#f9a8d4"),
}
KINDS = {
    "outside": "outside firstchair",
    "process": "process or job",
    "store": "files or tables",
    "database": "Postgres",
    "asset": "Dagster asset",
    "sensor": "sensor or schedule",
}
STYLE = """
text { font-family: system-ui, sans-serif; fill: #111827; text-anchor: middle }
.name { font-weight: 600 } .note { font-size: 14.5px }
.number { font-size: 15px; font-weight: 600 }
rect { stroke-width: 1.6 } .flow { fill: none; stroke: #6b7280; stroke-width: 1.8 }
.badge { fill: #ffffff; stroke: #6b7280; stroke-width: 1.4 } marker path { fill: #6b7280 }
"""
NIGHT = """
text { fill: #f3f4f6 } .flow { stroke: #9ca3af } marker path { fill: #9ca3af }
.badge { fill: #1f2430; stroke: #9ca3af }
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A component where it stands in a picture."""

    id: str
    name: str
    kind: str
    at: Sequence[int]
    note: Sequence[str] = ()
    margin: float = MARGIN

    @property
    def corner(self) -> Point:
        """Its upper left corner."""
        column, row = self.at
        return self.margin + column * (BOX_WIDTH + GAP_X), 4 + row * (BOX_HEIGHT + GAP_Y)

    def point(self, side: str, part: float) -> Point:
        """A point of a side, `part` of the way along it."""
        left, top = self.corner
        if side in {"left", "right"}:
            return left + (BOX_WIDTH if side == "right" else 0), top + part * BOX_HEIGHT
        return left + part * BOX_WIDTH, top + (BOX_HEIGHT if side == "bottom" else 0)


def views() -> list[dict[str, Any]]:
    """The pictures as the data file has them."""
    found: list[dict[str, Any]] = tomllib.loads(DATA.read_text())["view"]
    return found


def sides(source: Box, target: Box, around: str | None) -> tuple[str, str]:
    """The sides at which a connection leaves and arrives."""
    if around:
        return around, around
    if source.at[1] == target.at[1]:
        return ("right", "left") if source.at[0] < target.at[0] else ("left", "right")
    return ("bottom", "top") if source.at[1] < target.at[1] else ("top", "bottom")


def curves(view: Mapping[str, Any], boxes: Mapping[str, Box]) -> list[list[Point]]:
    """Four points of a cubic curve for each connection; those of one side are spread along it."""
    ends: dict[tuple[str, str], list[tuple[float, int, int]]] = defaultdict(list)
    chosen = []
    for number, flow in enumerate(view["flow"]):
        pair = boxes[flow["from"]], boxes[flow["to"]]
        chosen.append((pair, sides(*pair, flow.get("around"))))
        for end in (0, 1):
            side, other = chosen[-1][1][end], pair[1 - end]
            along = other.at[1] if side in {"left", "right"} else other.at[0]
            ends[pair[end].id, side].append((along, number, end))
    parts = {}
    for found in ends.values():
        for place, (_, number, end) in enumerate(sorted(found)):
            parts[number, end] = (place + 1) / (len(found) + 1)
    return [
        _curve(pair, both, (parts[number, 0], parts[number, 1]))
        for number, (pair, both) in enumerate(chosen)
    ]


def _curve(pair: tuple[Box, Box], both: tuple[str, str], parts: tuple[float, float]) -> list[Point]:
    start, end = (box.point(side, part) for box, side, part in zip(pair, both, parts, strict=True))
    bend = 25.0 if both[0] == both[1] else min(0.45 * math.dist(start, end), 0.6 * GAP_Y)
    (x0, y0), (x1, y1) = OUTWARDS[both[0]], OUTWARDS[both[1]]
    return [
        start,
        (start[0] + bend * x0, start[1] + bend * y0),
        (end[0] + bend * x1, end[1] + bend * y1),
        end,
    ]


def on_curve(curve: Sequence[Point], part: float) -> Point:
    """A point of a cubic Bézier curve."""
    rest = 1 - part
    weights = (rest**3, 3 * rest**2 * part, 3 * rest * part**2, part**3)
    x = sum(weight * point[0] for weight, point in zip(weights, curve, strict=True))
    return x, sum(weight * point[1] for weight, point in zip(weights, curve, strict=True))


def badges(lines: Iterable[Sequence[Point]]) -> Iterator[Point]:
    """Where the number of each curve stands: near its middle, on no other number."""
    placed: list[Point] = []
    for curve in lines:
        tried = [on_curve(curve, part) for part in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)]
        free = (
            point for point in tried if all(math.dist(point, o) > 2 * BADGE + 1 for o in placed)
        )
        placed.append(next(free, tried[0]))
        yield placed[-1]


def drawing(view: Mapping[str, Any]) -> str:
    """The picture as SVG; its colours follow the reader's choice of light or dark."""
    margin = WIDE_MARGIN if any("around" in flow for flow in view["flow"]) else MARGIN
    boxes = {box["id"]: Box(**box, margin=margin) for box in view["box"]}
    lines = curves(view, boxes)
    rows = 1 + max(box.at[1] for box in boxes.values())
    width = 2 * margin + 3 * BOX_WIDTH + 2 * GAP_X
    height = 8 + rows * BOX_HEIGHT + (rows - 1) * GAP_Y
    kinds = {name: values for name, values in COLOURS.items()}
    day = "".join(f".{k} {{ fill: {v[0]}; stroke: {v[1]} }} " for k, v in kinds.items())
    night = "".join(f".{k} {{ fill: {v[2]}; stroke: {v[3]} }} " for k, v in kinds.items())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(view['title'])}</title>",
        f"<style>{STYLE}{day}\n@media (prefers-color-scheme: dark) {{{NIGHT}{night}}}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    for curve in lines:
        (start, *rest), pairs = curve, " ".join
        bends = pairs(f"{x:.1f},{y:.1f}" for x, y in rest)
        parts.append(
            '<path class="flow" marker-end="url(#tip)" '
            f'd="M{start[0]:.1f},{start[1]:.1f} C{bends}"/>'
        )
    parts += chain.from_iterable(map(_drawn_box, boxes.values()))
    for number, (x, y) in enumerate(badges(lines), 1):
        parts.append(f'<circle class="badge" cx="{x:.1f}" cy="{y:.1f}" r="{BADGE}"/>')
        parts.append(f'<text class="number" x="{x:.1f}" y="{y + 5.2:.1f}">{number}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _drawn_box(box: Box) -> Iterator[str]:
    left, top = box.corner
    middle = left + BOX_WIDTH / 2
    yield (
        f'<rect class="{box.kind}" x="{left}" y="{top}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="9"/>'
    )
    first = top + BOX_HEIGHT / 2 + 6 - 10 * len(box.note)
    size = min(17.5, 276 / len(box.name))
    yield (
        f'<text class="name" font-size="{size:.1f}" x="{middle}" y="{first}">'
        f"{escape(box.name)}</text>"
    )
    for number, note in enumerate(box.note, 1):
        y = first + 3 + 18 * number
        yield f'<text class="note" x="{middle}" y="{y}">{escape(note)}</text>'


def page() -> str:
    """The page: each picture with the table of its connections."""
    legend = ", ".join(f'<span class="kind {kind}">{text}</span>' for kind, text in KINDS.items())
    parts = [
        f"{NOTE}# Components and connections\n",
        "Every process, store, database, asset and sensor, and what flows along every connection. "
        "The number in a picture is the row of the table under it.\n",
        f"Colours: {legend}.\n",
    ]
    for view in views():
        names = {box["id"]: box["name"] for box in view["box"]}
        rows = [
            (
                str(number),
                f"{names[flow['from']]} → {names[flow['to']]}",
                flow["what"],
                f"{flow['how']}; {flow['when']}<br>"
                + code(flow["code"].removeprefix("src/firstchair/")),
            )
            for number, flow in enumerate(view["flow"], 1)
        ]
        said = f"{view['title']}: the connections are in the table below"
        parts += [
            f"## {view['title']}\n",
            f"{view['text'].strip()}\n",
            f"![{said}](images/components-{view['id']}.svg)\n",
            table(("", "connection", "what flows", "how, when, code"), rows),
        ]
    return "\n".join(parts)


def files() -> dict[Path, str]:
    """Everything that this script writes, by path."""
    drawn = {DOCS / f"images/components-{view['id']}.svg": drawing(view) for view in views()}
    return {DOCS / "components.md": page(), **drawn}


def main() -> None:
    """Write the page and its pictures."""
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
