"""Model families behind one protocol: the same data in, ranked lists with reasons out."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.models.chosen import chosen_settings
    from firstchair.models.families import FAMILIES, fit, load
    from firstchair.models.protocol import (
        Explanations,
        Family,
        LabelledHistory,
        Lists,
        Recommender,
        Slates,
        TrainingData,
    )
    from firstchair.models.training_data import load_training_data, taken_up

__all__ = [
    "FAMILIES",
    "Explanations",
    "Family",
    "LabelledHistory",
    "Lists",
    "Recommender",
    "Slates",
    "TrainingData",
    "chosen_settings",
    "fit",
    "load",
    "load_training_data",
    "taken_up",
]

__getattr__ = deferred(__name__, __all__, ("protocol", "chosen", "training_data", "families"))
