"""Executors of Spark that the session of this process started, and the end of one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import psutil

WORKERS, PATIENCE_SECONDS, ATTEMPTS = 2, 120, 5
Found = TypeVar("Found")


def killed_at_work(compute: Callable[[], Found]) -> tuple[psutil.Process, Found]:
    """An executor that was killed while all of them computed rows, and what was found.

    Where all rows are there before every executor is seen with a task, they are computed again.
    """
    with ThreadPoolExecutor(1) as pool:
        for _ in range(ATTEMPTS):
            computing = pool.submit(compute)
            killed = _killed_during(computing)
            found = computing.result(PATIENCE_SECONDS)
            if killed is not None:
                return killed, found
    raise AssertionError("all rows were there before every executor had a task")


def _killed_during(computing: Future[Found]) -> psutil.Process | None:
    from pyspark import SparkContext

    tracker = SparkContext.getOrCreate().statusTracker()
    workers = executors()
    assert len(workers) == WORKERS
    while not computing.done():
        stages = map(tracker.getStageInfo, tracker.getActiveStageIds())
        if sum(stage.numActiveTasks for stage in stages if stage) == WORKERS:
            killed = workers.pop()
            killed.kill()
            killed.wait(PATIENCE_SECONDS)
            assert not computing.done(), "it was killed too late"
            return killed
    return None


def executors() -> set[psutil.Process]:
    """Processes of executors."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if any(part.endswith("CoarseGrainedExecutorBackend") for part in process.cmdline()):
                found.add(process)
    return found
