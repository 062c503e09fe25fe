"""What listeners get: the batch of lists, and one user's list out of it."""

from firstchair.serving.batch import RecommendationsReport, build_recommendations
from firstchair.serving.lists import ListenerList, RecommendedArtist, list_of

__all__ = ["ListenerList", "RecommendationsReport", "RecommendedArtist", "build_recommendations", "list_of"]
