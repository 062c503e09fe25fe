"""Draws the pictures of docs/promotion.md from a run of the gate.

    firstchair audition --seeds 12 --worlds steady --json > audition.json
    python -m docs.scripts.promotion audition.json

`intervals.svg`: what the gate sees day by day, in three simulated stages. `audition.svg`: how often
it decided what, by scenario.
"""

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from firstchair.promotion.audition import Effect, simulate_panel
from firstchair.promotion.audition.panel import DAYS
from firstchair.promotion.experiment import Experiment
from firstchair.promotion.rules import LiveRules

IMAGES = Path(__file__).parents[1] / "images"
STAGES = {
    "clicks +8 %": Effect(0.08),
    "no effect": Effect(),
    "clicks +8 %, listen-through −6 %": Effect(0.08, listen_through=-0.06),
}
SEED = 4
DATES = [date(2026, 1, 1) + timedelta(days=day) for day in range(DAYS)]
# Replaced by the colour of the page's text, which a style in the drawing sets for light and dark.
INK = "#010203"
STYLE = (
    "<style>svg { color: #1f2937 } "
    "@media (prefers-color-scheme: dark) { svg { color: #e5e7eb } }</style>"
)
COLOURS = {"promote": "#16a34a", "hold": "#9ca3af", "reject": "#dc2626"}
METRICS = {
    "clicks_per_100": ("clicks", "#3b82f6"),
    "listen_through": ("listen-through", "#d97706"),
    "active_days": ("active days", "#8b5cf6"),
}

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "firstchair",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
        ),
    }
)


def save(figure: Figure, name: str) -> None:
    """Write a figure without a background, in the colours of the page that shows it."""
    path = IMAGES / name
    figure.savefig(path, metadata={"Date": None}, transparent=True)
    drawn = path.read_text().replace(INK, "currentColor")
    path.write_text(drawn.replace("<defs>", f"{STYLE}<defs>", 1))


def draw_stages() -> None:
    """Effect and interval of each metric by day of the stage, to the day of the decision."""
    figure, axes = plt.subplots(
        len(STAGES), 1, figsize=(4.8, 7.2), sharex=True, layout="constrained"
    )
    for axis, (name, effect) in zip(axes, STAGES.items(), strict=True):
        panel = simulate_panel(20_000, effect, seed=SEED)
        _draw_stage(axis, name, Experiment(panel, DATES, LiveRules()))
    axes[0].legend(loc="upper right", fontsize=8, frameon=False)
    axes[-1].set_xlabel("day of the stage")
    save(figure, "intervals.svg")


def _draw_stage(axis: Axes, name: str, experiment: Experiment) -> None:
    evaluations = list(experiment.decisions())
    last = next(
        (at for at, evaluation in enumerate(evaluations) if evaluation.decision != "hold"),
        len(evaluations) - 1,
    )
    for metric, (label, colour) in METRICS.items():
        found = [
            (evaluation.days, m)
            for evaluation in evaluations[: last + 1]
            for m in evaluation.metrics
            if m.name == metric
        ]
        known = [(day, m) for day, m in found if m.lower is not None]
        days = [day for day, _ in known]
        lower, upper = ([100 * getattr(m, side) for _, m in known] for side in ("lower", "upper"))
        axis.fill_between(days, lower, upper, color=colour, alpha=0.2, linewidth=0)
        estimates = [100 * m.relative_difference for _, m in known]
        axis.plot(days, estimates, color=colour, linewidth=1.6, label=label)
    decided = evaluations[last]
    axis.axhline(0, color=INK, linewidth=0.7)
    axis.axvline(decided.days, color=INK, linestyle=":", linewidth=1)
    codes = ", ".join(decided.reason_codes[:2])
    axis.set_title(
        f"{name}: {decided.decision} on day {decided.days}\n{codes}", fontsize=9, loc="left"
    )
    axis.set_ylim(-11, 17)
    axis.set_ylabel("effect, %")


def draw_audition(report: dict[str, Any]) -> None:
    """Share of each decision by scenario, beside that of a rule that takes the higher mean."""
    scenarios = report["scenarios"]
    figure, axis = plt.subplots(figsize=(4.8, 0.28 * len(scenarios) + 1.2), layout="constrained")
    for row, scenario in enumerate(scenarios):
        left = 0.0
        for decision, colour in COLOURS.items():
            share = scenario["rates"].get(decision, 0.0)
            label = decision if row == 0 else None
            axis.barh(row, share, left=left, color=colour, height=0.7, label=label)
            left += share
        bare = scenario["bare"].get("promote", 0.0)
        label = "promoted by the higher mean on day 14" if row == 0 else None
        axis.plot(
            [bare],
            [row],
            marker="D",
            markersize=4,
            color=INK,
            linestyle="",
            clip_on=False,
            label=label,
        )
    axis.set_yticks(range(len(scenarios)), [scenario["name"] for scenario in scenarios])
    axis.set_ylim(len(scenarios) - 0.4, -0.6)
    axis.set_xlim(0, 1)
    axis.set_xlabel("share of the runs of a scenario")
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    save(figure, "audition.svg")


if __name__ == "__main__":
    draw_stages()
    draw_audition(json.loads(Path(sys.argv[1]).read_text()))
