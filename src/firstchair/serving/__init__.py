"""What listeners get: the batch of lists, and one user's list out of it."""

from firstchair.serving.batch import RecommendationsReport, build_recommendations
from firstchair.serving.lists import ListenerList, RecommendedArtist, list_of
from firstchair.serving.publish import PublishReport, publish
from firstchair.serving.served import Served, serves

__all__ = [
    "ListenerList",
    "PublishReport",
    "RecommendationsReport",
    "RecommendedArtist",
    "Served",
    "build_recommendations",
    "list_of",
    "publish",
    "serves",
]
