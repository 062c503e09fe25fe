"""Draws docs/images/assets.svg: every Dagster asset as defined now (`make reference` runs it).

Assets that are made from the same and read by the same stand in one box.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

PICTURE = Path(__file__).parents[1] / "images" / "assets.svg"
BOX_WIDTH, LINE, PAD, GAP_X, GAP_Y, COLUMNS = 196, 20, 9, 18, 44, 4
WIDTH = COLUMNS * (BOX_WIDTH + GAP_X) + GAP_X
# Fill and line by day, then by night.
COLOURS = {
    "ingestion": ("#dcfce7", "#15803d", "#153a26", "#86efac"),
    "validation": ("#fef3c7", "#b45309", "#45300d", "#fcd34d"),
    "features": ("#e0f2fe", "#0369a1", "#123549", "#7dd3fc"),
    "models": ("#e0e7ff", "#4f46e5", "#272b5c", "#a5b4fc"),
    "recommendations": ("#fce7f3", "#be185d", "#4a1532", "#f9a8d4"),
    "monitoring": ("#f3f4f6", "#6b7280", "#2b303b", "#d1d5db"),
}


@dataclass(frozen=True, slots=True)
class Node:
    """Assets that the picture shows in one box."""

    group: str
    names: tuple[str, ...]
    parents: frozenset[str]

    @property
    def height(self) -> int:
        """Of its box."""
        return 2 * PAD + LINE * len(self.names)


def nodes() -> list[Node]:
    """The assets of the code location, together where nothing tells them apart."""
    from dagster_project.definitions import defs

    graph = defs().resolve_asset_graph()
    alike: dict[tuple[str, frozenset[str], frozenset[str]], list[str]] = defaultdict(list)
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        around = (
            frozenset(found.to_user_string() for found in keys)
            for keys in (node.parent_keys, node.child_keys)
        )
        parents, children = around
        alike[node.group_name or "", parents, children].append(key.to_user_string())
    return [Node(key[0], tuple(names), key[1]) for key, names in alike.items()]


def rows_of(found: Iterable[Node]) -> list[list[Node]]:
    """The boxes from top to bottom, each under all that it is made from, a few a row."""
    left, done, rows = list(found), set(), []
    while left:
        ready = [node for node in left if node.parents <= done][:COLUMNS]
        rows.append(ready)
        left = [node for node in left if node not in ready]
        done |= {name for node in ready for name in node.names}
    return rows


def drawing() -> str:
    """The picture as SVG, in the reader's choice of light or dark."""
    corners: dict[str, tuple[float, float]] = {}
    heights: dict[str, int] = {}
    boxes: list[str] = []
    top = 8.0
    for row in rows_of(nodes()):
        free = WIDTH - len(row) * BOX_WIDTH
        for place, node in enumerate(row):
            x = free / (len(row) + 1) * (place + 1) + place * BOX_WIDTH
            corners |= dict.fromkeys(node.names, (x, top))
            heights |= dict.fromkeys(node.names, node.height)
            boxes += _drawn(node, x, top)
        top += max(node.height for node in row) + GAP_Y
    lines = sorted(
        {
            _line(corners[parent], heights[parent], corners[node.names[0]])
            for node in nodes()
            for parent in node.parents
        }
    )
    legend = _legend(top)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 24:.0f}">',
            f"<title>The assets in Dagster</title><style>{_style()}</style>",
            *lines,
            *boxes,
            *legend,
            "</svg>\n",
        )
    )


def _drawn(node: Node, x: float, top: float) -> list[str]:
    shape = f'x="{x:.1f}" y="{top:.1f}" width="{BOX_WIDTH}" height="{node.height}" rx="7"'
    texts = (
        f'<text x="{x + BOX_WIDTH / 2:.1f}" y="{top + PAD + LINE * (at + 0.72):.1f}">'
        f"{escape(name)}</text>"
        for at, name in enumerate(node.names)
    )
    return [f'<rect class="{node.group}" {shape}/>', *texts]


def _line(above: tuple[float, float], height: int, below: tuple[float, float]) -> str:
    x0, y0 = above[0] + BOX_WIDTH / 2, above[1] + height
    x1, y1 = below[0] + BOX_WIDTH / 2, below[1]
    bend = GAP_Y * 0.8
    return (
        f'<path class="flow" d="M{x0:.1f},{y0:.1f} C{x0:.1f},{y0 + bend:.1f} '
        f'{x1:.1f},{y1 - bend:.1f} {x1:.1f},{y1:.1f}"/>'
    )


def _legend(top: float) -> list[str]:
    step = WIDTH / len(COLOURS)
    return [
        f'<rect class="{group}" x="{step * at + 14:.1f}" y="{top - 8:.1f}" width="13" height="13"/>'
        f'<text class="legend" x="{step * at + 33:.1f}" y="{top + 3:.1f}">{group}</text>'
        for at, group in enumerate(COLOURS)
    ]


def _style() -> str:
    def of(colours: Mapping[str, tuple[str, ...]], first: int) -> str:
        return " ".join(
            f".{group} {{ fill: {values[first]}; stroke: {values[first + 1]} }}"
            for group, values in colours.items()
        )

    return (
        "text { font: 14.5px system-ui, sans-serif; text-anchor: middle; fill: #111827 } "
        ".legend { text-anchor: start; font-size: 13px } "
        ".flow { fill: none; stroke: #9ca3af; stroke-width: 1.3 } "
        f"{of(COLOURS, 0)} @media (prefers-color-scheme: dark) {{ text {{ fill: #f3f4f6 }} "
        f".flow {{ stroke: #6b7280 }} {of(COLOURS, 2)} }}"
    )


if __name__ == "__main__":
    PICTURE.write_text(drawing())
