"""Draws docs/images/intervals.svg: the confidence sequence of the effect on clicks over days, in three worlds."""

from datetime import date
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from firstchair.promotion.audition import Effect, simulate_panel
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial import Trial

WORLDS = {
    "no effect": Effect(),
    "clicks +5 %": Effect(0.05),
    "+8 % that turns to −4 %": Effect(0.08, later_clicks=-0.04),
}
SEED = 4

mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "firstchair"
figure, axes = plt.subplots(1, len(WORLDS), figsize=(10, 2.8), sharey=True)
for axis, (name, effect) in zip(axes, WORLDS.items(), strict=True):
    trial = Trial(simulate_panel(20_000, effect, seed=SEED), date(2026, 1, 1), LiveRules())
    found = [(d.days, d.metrics[0], d.decision) for d in trial.decisions()]
    days = [day for day, _, _ in found]
    axis.fill_between(
        days,
        [100 * m.lower for _, m, _ in found],
        [100 * m.upper for _, m, _ in found],
        color="#4477aa",
        alpha=0.25,
    )
    axis.plot(days, [100 * m.relative_difference for _, m, _ in found], color="#4477aa")
    axis.axhline(0, color="black", linewidth=0.8)
    ends = next(
        ((day, decision) for day, _, decision in found if decision != "hold"), (days[-1], "hold")
    )
    axis.axvline(ends[0], color="#aa3377", linestyle="--", linewidth=1)
    axis.set_title(f"{name}: {ends[1]} on day {ends[0]}", fontsize=9)
    axis.set_xlabel("day of the stage", fontsize=8)
    axis.set_ylim(-20, 20)
    axis.tick_params(labelsize=7)
axes[0].set_ylabel("effect on clicks, %", fontsize=8)
figure.tight_layout()
figure.savefig(Path(__file__).parents[1] / "images" / "intervals.svg", metadata={"Date": None})
