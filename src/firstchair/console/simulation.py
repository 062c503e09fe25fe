"""Whether the pages show simulated data."""

from functools import lru_cache

from firstchair.console.sources import Sources, rows
from firstchair.lake import Lake
from firstchair.lake import tables as t


def is_simulated(sources: Sources) -> bool:
    """Whether any event that the lists or the figures are made of is simulated."""
    published = sources.published()
    if published is not None and published.simulated:
        return True
    return _engaged(sources.lake, sources.lake.version(t.ENGAGEMENT_DAILY))


@lru_cache(maxsize=4)
def _engaged(lake: Lake, _version: int) -> bool:
    found = rows(
        "select coalesce(bool_or(simulated), false) as simulated "
        f"from {lake.scan(t.ENGAGEMENT_DAILY)}"
    )
    return bool(found[0]["simulated"])
