"""Model families behind one protocol: training data go in, ranked lists with reasons come out."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.definitions.families import Family
    from firstchair.models.chosen import chosen_settings
    from firstchair.models.families import (
        FAMILIES,
        POPULARITY,
        FamilyEntry,
        baselines,
        fitted_families,
        listed_families,
        model_name,
    )
    from firstchair.models.fitting import fit, load
    from firstchair.models.protocol import (
        Explanations,
        LabelledHistory,
        Lists,
        Recommender,
        Slates,
        TrainingData,
        WithCurves,
    )
    from firstchair.models.training_data import (
        PositiveInteractions,
        load_training_data,
        positive_interactions,
        versions_read,
    )

__all__ = [
    "FAMILIES",
    "POPULARITY",
    "Explanations",
    "Family",
    "FamilyEntry",
    "LabelledHistory",
    "Lists",
    "PositiveInteractions",
    "Recommender",
    "Slates",
    "TrainingData",
    "WithCurves",
    "baselines",
    "chosen_settings",
    "fit",
    "fitted_families",
    "listed_families",
    "load",
    "load_training_data",
    "model_name",
    "positive_interactions",
    "versions_read",
]

__getattr__ = deferred(
    __name__, __all__, ("families", "protocol", "chosen", "training_data", "fitting")
)
