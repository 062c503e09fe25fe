"""Whether what a lake holds is of a real service."""

from functools import lru_cache

from firstchair.lake import tables as t
from firstchair.lake.delta import Lake


def is_simulated(lake: Lake) -> bool:
    """Whether some accepted event is simulated: then no figure of the lake is of a real service."""
    return _holds_simulated(lake, lake.version(t.EVENTS))


@lru_cache(maxsize=8)
def _holds_simulated(lake: Lake, _version: int) -> bool:
    """It opens the files of every day, so once for a version of the table, not at each tick."""
    return lake.count(t.EVENTS, "simulated") > 0
