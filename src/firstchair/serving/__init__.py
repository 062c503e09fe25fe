"""What listeners get: the batch of lists, and one user's list out of it.

The names below are imported when they are first asked for: a worker of the API, which lives in this room too, then
starts in a second and holds no library that only the batch needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstchair.serving.batch import RecommendationsReport, build_recommendations
    from firstchair.serving.lists import ListenerList, RecommendedArtist, list_of
    from firstchair.serving.publishing import PublishReport, publish

__all__ = [
    "ListenerList",
    "PublishReport",
    "RecommendationsReport",
    "RecommendedArtist",
    "build_recommendations",
    "list_of",
    "publish",
]


def __getattr__(name: str) -> Any:
    for module in ("lists", "batch", "publishing") if name in __all__ else ():
        found = import_module(f"{__name__}.{module}")
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
