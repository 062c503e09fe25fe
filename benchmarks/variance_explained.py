"""How much of what users do in a stage the days before it predict, and what more facts would add.

`python -m benchmarks.variance_explained [--users N] [--seeds N]` prints for each of the audition's
worlds, metric and day: the share of the variance explained and the standard error of the relative
effect, with the metric's own rate of the 28 days before alone, with the gate's facts, and with
facts that evidence does not hold (active days of the last one and two weeks, clicks of the last
week, days since the last activity and the first one). Means over seeds.
"""

import argparse
import os
from collections.abc import Iterator, Mapping

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.adjustment import Covariates, explained
from firstchair.promotion.audition import Effect, simulate_panel
from firstchair.promotion.audition.behaviour import World
from firstchair.promotion.audition.worlds import WORLDS
from firstchair.promotion.experiment.evaluations import Evaluation, Evaluations
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Values
from firstchair.promotion.experiment.facts import Forecast, facts
from firstchair.promotion.experiment.measures import Cells, read
from firstchair.promotion.experiment.planning import Plan, plan
from firstchair.promotion.rules import LiveRules

RULES = LiveRules()
DAYS = (7, 21, 35)
METRICS = (Metric.CLICKS, Metric.LISTEN_THROUGH, Metric.ACTIVE_DAYS)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--users", type=int, default=20_000)
    arguments.add_argument("--seeds", type=int, default=5)
    options = arguments.parse_args()
    rows = [
        row
        for world in WORLDS.values()
        for seed in range(1, options.seeds + 1)
        for row in _rows(world, options.users, seed)
    ]
    keys = ["world", "metric", "day", "facts"]
    found = pd.DataFrame(rows, columns=[*keys, "explained", "se"])
    means = found.groupby(keys, sort=False).mean().unstack("facts")
    print(means.to_string(float_format=lambda value: f"{value:.4f}"))


def _rows(world: World, users: int, seed: int) -> Iterator[tuple[object, ...]]:
    panel = simulate_panel(users, Effect(), seed=seed, world=world)
    cells = Cells(panel)
    fixed = plan(panel, cells.sizes, share=0.5, rules=RULES)
    known = facts(panel.before, panel.segments, RULES)
    wider = np.column_stack([known.columns(), _standardised(_recent(panel.history))])
    own = _own(panel.before)
    for evaluation in Evaluations(panel, RULES):
        if evaluation.day not in DAYS:
            continue
        for metric in METRICS:
            alone = _standardised(own[metric][:, None])
            given = {
                "own rate": Covariates.of_users(alone),
                "gate": known,
                "more": Covariates.of_users(wider),
            }
            for name, covariates in given.items():
                fit = Forecast(covariates, panel.arm)
                yield (
                    world.name,
                    str(metric),
                    evaluation.day,
                    name,
                    *_found(evaluation, metric, cells, fit, fixed),
                )


def _found(
    evaluation: Evaluation, metric: Metric, cells: Cells, fit: Forecast, fixed: Plan
) -> tuple[float, float]:
    found = read(evaluation, cells, fit, fixed, RULES)
    each = found.compared.terms[metric]
    known = each.counted > 0
    rest, predicted = each.wr[known] / each.w[known], each.p[known]
    return explained(rest + predicted, predicted), found.metrics[metric].se


def _own(before: Mapping[str, Values]) -> dict[Metric, Values]:
    """Each metric's own rate of the days before, drawn to the mean where little is known."""
    heard = before["pre_ms_played"].sum() / before["pre_track_ms"].sum()
    prior = RULES.prior_plays * RULES.usual_track_ms
    return {
        Metric.CLICKS: (before["pre_clicks"] + 3) / (before["pre_impressions"] + 50),
        Metric.LISTEN_THROUGH: (before["pre_ms_played"] + prior * heard)
        / (before["pre_track_ms"] + prior),
        Metric.ACTIVE_DAYS: before["pre_active_days"] / BEFORE_DAYS,
    }


def _recent(history: Mapping[str, np.ndarray]) -> np.ndarray:
    active = history["active"] > 0
    ever = active.any(axis=0)
    idle = np.where(ever, active[::-1].argmax(axis=0), BEFORE_DAYS)
    since_first = np.where(ever, BEFORE_DAYS - active.argmax(axis=0), 0)
    shown = history["impressions"][-7:].sum(axis=0)
    return np.column_stack(
        [
            active[-7:].sum(axis=0),
            active[-14:].sum(axis=0),
            (history["clicks"][-7:].sum(axis=0) + 1) / (shown + 15),
            np.log1p(shown),
            np.log1p(idle),
            np.log1p(since_first),
        ]
    ).astype(np.float64)


def _standardised(columns: np.ndarray) -> np.ndarray:
    return np.asarray((columns - columns.mean(axis=0)) / columns.std(axis=0))


if __name__ == "__main__":
    main()
