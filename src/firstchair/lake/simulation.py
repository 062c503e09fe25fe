"""Whether what a lake holds is of a real service."""

from firstchair.lake import tables as t
from firstchair.lake.delta import Lake


def is_simulated(lake: Lake) -> bool:
    """Whether some accepted event is simulated: then no figure of the lake is of a real service."""
    return lake.count(t.EVENTS, "simulated") > 0
