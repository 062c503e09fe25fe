"""Point-in-time features and the user–item matrix: every one takes `as_of` and reads nothing from it on."""

from firstchair.features.artists import artist_statistics
from firstchair.features.builds import (
    FeaturesReport,
    InteractionsReport,
    build_interactions,
    build_user_features,
)
from firstchair.features.history import History, open_history
from firstchair.features.matrix import ConfidenceSettings, interactions
from firstchair.features.profile import user_features
from firstchair.features.signals import first_taken
from firstchair.features.slates import slate_items

__all__ = [
    "ConfidenceSettings",
    "FeaturesReport",
    "History",
    "InteractionsReport",
    "artist_statistics",
    "build_interactions",
    "build_user_features",
    "first_taken",
    "interactions",
    "open_history",
    "slate_items",
    "user_features",
]
