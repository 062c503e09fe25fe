"""The audition: every scenario many times, the rates of each decision, and whether they are as they should be."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from firstchair.promotion.audition.hearing import Hearing, hear
from firstchair.promotion.audition.scenarios import SCENARIOS, Scenario, accepted
from firstchair.promotion.rules import LiveRules

PROCESSES = 2
DECISIONS = ("promote", "hold", "reject")

Progress = Callable[[str, int, int], None]
Task = tuple[Scenario, int, LiveRules]


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
        return (self.least is None or self.count >= self.least) and (self.most is None or self.count <= self.most)


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """Rates over the runs of a scenario, 0..1 by decision; `bare` and `t_test` those of two naive rules.

    median_day: of the decisions. codes: runs by reason code. detectable: median minimum detectable effect.
    """

    name: str
    planted: str
    expected: str
    users: int
    runs: int
    rates: dict[str, float]
    bare: dict[str, float]
    t_test: dict[str, float]
    median_day: float
    codes: dict[str, int]
    detectable: float | None
    limits: tuple[Limit, ...]
    passes: bool


@dataclass(frozen=True, slots=True)
class AuditionReport:
    """Every scenario; `passes` where all counts are accepted. Seeds are 1 to `seeds`."""

    seeds: int
    passes: bool
    scenarios: tuple[ScenarioResult, ...]


def audition(
    *,
    seeds: int,
    rules: LiveRules | None = None,
    processes: int = PROCESSES,
    progress: Progress | None = None,
) -> AuditionReport:
    """Play every scenario with the seeds 1 to `seeds` (large worlds a fifth of them)."""
    tasks = [
        (scenario, seed, rules or LiveRules())
        for scenario in sorted(SCENARIOS, key=lambda s: -s.users)
        for seed in range(1, scenario.seeds(seeds) + 1)
    ]
    heard: dict[str, list[Hearing]] = {scenario.name: [] for scenario in SCENARIOS}
    for done, hearing in enumerate(_all(tasks, processes), 1):
        heard[hearing.scenario].append(hearing)
        if progress is not None and (done % 20 == 0 or done == len(tasks)):
            progress(hearing.scenario, done, len(tasks))
    results = tuple(_result(scenario, heard[scenario.name]) for scenario in SCENARIOS)
    return AuditionReport(seeds, all(result.passes for result in results), results)


def _all(tasks: Sequence[Task], processes: int) -> Iterator[Hearing]:
    if processes == 1:
        yield from map(_hear, tasks)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_hear, tasks, chunksize=4)


def _hear(task: Task) -> Hearing:
    scenario, seed, rules = task
    return hear(scenario, seed=seed, rules=rules)


def _result(scenario: Scenario, heard: Sequence[Hearing]) -> ScenarioResult:
    limits = tuple(_limits(scenario, heard))
    return ScenarioResult(
        name=scenario.name,
        planted=scenario.planted,
        expected=scenario.expected,
        users=scenario.users,
        runs=len(heard),
        rates=_rates([hearing.decision for hearing in heard]),
        bare=_rates([hearing.bare for hearing in heard]),
        t_test=_rates([hearing.t_test for hearing in heard]),
        median_day=float(np.median([hearing.day for hearing in heard])),
        codes=dict(Counter(code for hearing in heard for code in hearing.codes).most_common()),
        detectable=_median([hearing.detectable for hearing in heard]),
        limits=limits,
        passes=all(limit.passes for limit in limits),
    )


def _limits(scenario: Scenario, heard: Sequence[Hearing]) -> Iterator[Limit]:
    for decision, rate in scenario.at_most.items():
        count = sum(hearing.decision == decision for hearing in heard)
        yield Limit(f"{decision} <= {rate:.0%}", count, None, accepted(rate, len(heard), at_most=True))
    for decision, rate in scenario.at_least.items():
        in_time = [h for h in heard if scenario.reject_by is None or h.day <= scenario.reject_by]
        count = sum(hearing.decision == decision for hearing in in_time)
        yield Limit(f"{decision} >= {rate:.0%}", count, accepted(rate, len(heard), at_most=False), None)
    if scenario.hold_code is not None:
        held = [hearing for hearing in heard if hearing.decision == "hold"]
        said = sum(scenario.hold_code in h.codes and (h.every_look or not scenario.every_look) for h in held)
        yield Limit(f"holds that say {scenario.hold_code}", said, int(np.ceil(scenario.hold_share * len(held))), None)


def _rates(decisions: Sequence[str]) -> dict[str, float]:
    return {name: decisions.count(name) / len(decisions) for name in DECISIONS}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
