"""Point-in-time features and the user–item matrix; nothing at or after `as_of` is read."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.features.artists import artist_statistics
    from firstchair.features.builds import (
        FeaturesReport,
        InteractionsReport,
        build_interactions,
        build_user_features,
    )
    from firstchair.features.confidence import ConfidenceSettings
    from firstchair.features.history import History, open_history, open_views, over_history
    from firstchair.features.matrix import interactions
    from firstchair.features.profile import NESTED, user_features, user_scalars
    from firstchair.features.signals import first_taken
    from firstchair.features.slates import slate_items

__all__ = [
    "NESTED",
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
    "open_views",
    "over_history",
    "slate_items",
    "user_features",
    "user_scalars",
]

__getattr__ = deferred(
    __name__,
    __all__,
    ("confidence", "artists", "builds", "history", "matrix", "profile", "signals", "slates"),
)
