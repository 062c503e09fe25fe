"""Executors of Spark that the session of this process started, and the end of one."""

from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import psutil

WORKERS, PATIENCE_SECONDS = 2, 120


def killed_at_work(computing: Future[Any]) -> psutil.Process:
    """An executor that was killed while all of them computed rows; it is gone."""
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
    raise AssertionError("all rows were there before every executor had a task")


def executors() -> set[psutil.Process]:
    """Processes of executors."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if any(part.endswith("CoarseGrainedExecutorBackend") for part in process.cmdline()):
                found.add(process)
    return found
