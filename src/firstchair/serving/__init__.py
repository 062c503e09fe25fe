"""What listeners get: the batch of lists, and one user's list out of it.

The names below are imported when they are first asked for: a worker of the API, which lives in this room too, then
starts in a second and holds no library that only the batch needs.
"""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.serving.batch import RecommendationsReport, build_recommendations
    from firstchair.serving.preview import Preview, preview
    from firstchair.serving.publishing import PublishReport, publish, publish_day, would_assign
    from firstchair.serving.served import Served, serves

__all__ = [
    "Preview",
    "PublishReport",
    "RecommendationsReport",
    "Served",
    "build_recommendations",
    "preview",
    "publish",
    "publish_day",
    "serves",
    "would_assign",
]

__getattr__ = deferred(__name__, __all__, ("preview", "served", "batch", "publishing"))
