"""Run scenarios in worlds many times, and compare the rate of each decision with its limits."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from firstchair.promotion.audition.behaviour import DAYS
from firstchair.promotion.audition.scenarios import SCENARIOS, Scenario, accepted
from firstchair.promotion.audition.simulation_run import SimulationRun, run_scenario
from firstchair.promotion.audition.worlds import WORLDS
from firstchair.promotion.rules import LiveRules

PROCESSES = 2
DECISIONS = ("promote", "hold", "reject")

Progress = Callable[[str, int, int], None]
# Scenario, name of the world, seed, rules.
Task = tuple[Scenario, str, int, LiveRules]


@dataclass(frozen=True, slots=True)
class Limit:
    """One count and the counts that are accepted."""

    what: str
    count: int
    least: int | None
    most: int | None

    @property
    def passes(self) -> bool:
        """Whether the count is accepted."""
        enough = self.least is None or self.count >= self.least
        return enough and (self.most is None or self.count <= self.most)


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The decisions of the gate about a scenario in a world.

    Attributes:
        world: Name of the world.
        name: Name of the scenario.
        planted: The effect in words.
        expected: The right decision, in words.
        users: Number of users.
        runs: Number of seeds.
        rates: Rate of each decision, 0..1.
        errors: Monte Carlo standard error of each rate.
        bare: Rates of a rule that takes the higher mean on day 14.
        t_test: Rates of a rule that takes the first day with p < 0.05.
        median_day: Median day of the decisions.
        codes: Runs by reason code.
        detectable: Median minimum detectable effect, relative; None if none is known.
        limits: Counts and what is accepted.
        passes: Whether all counts are accepted.
    """

    world: str
    name: str
    planted: str
    expected: str
    users: int
    runs: int
    rates: dict[str, float]
    errors: dict[str, float]
    bare: dict[str, float]
    t_test: dict[str, float]
    median_day: float
    codes: dict[str, int]
    detectable: float | None
    limits: tuple[Limit, ...]
    passes: bool


@dataclass(frozen=True, slots=True)
class AuditionReport:
    """Every scenario in every world.

    Attributes:
        seeds: Seeds 1 to this were used.
        worlds: What each world assumes, by its name.
        passes: Whether all counts are accepted.
        scenarios: World by world.
    """

    seeds: int
    worlds: dict[str, str]
    passes: bool
    scenarios: tuple[ScenarioResult, ...]


def audition(
    *,
    seeds: int,
    worlds: Sequence[str] = tuple(WORLDS),
    scenarios: Sequence[Scenario] = SCENARIOS,
    rules: LiveRules | None = None,
    processes: int = PROCESSES,
    progress: Progress | None = None,
) -> AuditionReport:
    """Run scenarios in worlds.

    Args:
        seeds: Seeds 1 to this are used; a fifth of them for large populations.
        worlds: Names out of `WORLDS`, each once.
        scenarios: Each once.
        rules: Rules of the gate; the defaults if none are given.
        processes: Number of processes.
        progress: Called with world and scenario, runs done, and runs in all.
    """
    tasks = [
        (scenario, world, seed, rules or LiveRules())
        for scenario in sorted(scenarios, key=lambda s: -s.users)
        for world in worlds
        for seed in range(1, scenario.seeds(seeds) + 1)
    ]
    runs: dict[tuple[str, str], list[SimulationRun]] = {
        (world, scenario.name): [] for world in worlds for scenario in scenarios
    }
    for done, run in enumerate(_all(tasks, processes), 1):
        runs[run.world, run.scenario].append(run)
        if progress is not None and (done % 20 == 0 or done == len(tasks)):
            progress(f"{run.world} {run.scenario}", done, len(tasks))
    by_name = {scenario.name: scenario for scenario in scenarios}
    results = tuple(_result(world, by_name[name], found) for (world, name), found in runs.items())
    assumed = {world: WORLDS[world].assumes for world in worlds}
    return AuditionReport(seeds, assumed, all(result.passes for result in results), results)


def _all(tasks: Sequence[Task], processes: int) -> Iterator[SimulationRun]:
    if processes == 1:
        yield from map(_run, tasks)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_run, tasks, chunksize=4)


def _run(task: Task) -> SimulationRun:
    scenario, world, seed, rules = task
    return run_scenario(scenario, seed=seed, rules=rules, world=WORLDS[world])


def _result(world: str, scenario: Scenario, runs: Sequence[SimulationRun]) -> ScenarioResult:
    limits = tuple(_limits(scenario, runs))
    rates = _rates([run.decision for run in runs])
    return ScenarioResult(
        world=world,
        name=scenario.name,
        planted=scenario.planted,
        expected=scenario.expected,
        users=scenario.users,
        runs=len(runs),
        rates=rates,
        errors={name: monte_carlo_error(rate, len(runs)) for name, rate in rates.items()},
        bare=_rates([run.bare for run in runs]),
        t_test=_rates([run.t_test for run in runs]),
        median_day=float(np.median([run.day for run in runs])),
        codes=dict(Counter(code for run in runs for code in run.codes).most_common()),
        detectable=_median([run.detectable for run in runs]),
        limits=limits,
        passes=all(limit.passes for limit in limits),
    )


def monte_carlo_error(rate: float, runs: int) -> float:
    """Standard error of a rate over runs.

    The rate is shrunk towards 1/2 by one run (Jeffreys' prior), so that a rate of 0 has an error.

    >>> round(monte_carlo_error(0.5, 400), 3), round(monte_carlo_error(0.0, 400), 3)
    (0.025, 0.002)
    """
    drawn = (rate * runs + 0.5) / (runs + 1)
    return float(np.sqrt(drawn * (1 - drawn) / runs))


def _limits(scenario: Scenario, runs: Sequence[SimulationRun]) -> Iterator[Limit]:
    for decision, rate in scenario.at_most.items():
        count = sum(run.decision == decision for run in runs)
        most = accepted(rate, len(runs), at_most=True)
        yield Limit(f"{decision} <= {rate:.0%}", count, None, most)
    for decision, rate in scenario.at_least.items():
        by = scenario.reject_by or DAYS
        count = sum(run.decision == decision and run.day <= by for run in runs)
        least = accepted(rate, len(runs), at_most=False)
        yield Limit(f"{decision} >= {rate:.0%}", count, least, None)
    if scenario.hold_code is not None:
        held = [run for run in runs if run.decision == "hold"]
        saying = [run for run in held if scenario.hold_code in run.codes]
        given = sum(run.every_evaluation or not scenario.every_evaluation for run in saying)
        least = int(np.ceil(scenario.hold_share * len(held)))
        yield Limit(f"holds for {scenario.hold_code}", given, least, None)


def _rates(decisions: Sequence[str]) -> dict[str, float]:
    return {name: decisions.count(name) / len(decisions) for name in DECISIONS}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
