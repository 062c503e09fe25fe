"""Fit and load models of any family."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from firstchair.definitions.families import Family
from firstchair.models.chosen import chosen_settings
from firstchair.models.families import FAMILIES
from firstchair.models.protocol import Recommender, TrainingData, WithChoices
from firstchair.models.shared import fitted
from firstchair.models.sources import MODELS


def fit(
    family: Family,
    data: TrainingData,
    *,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    like: Recommender | None = None,
) -> Recommender:
    """Fit a model of the family; the same arguments give the same bytes.

    Args:
        family: A family of the registry.
        data: Training data.
        seed: Seed of everything random.
        settings: Arguments of the family's class; None for those of the platform's study.
        like: A fitted model of the family. What it chose on validation data is kept, so that the
            result is that model on other data.
    """
    known = dict(chosen_settings(Family(family)) if settings is None else settings)
    if isinstance(like, WithChoices):
        known |= like.choices()
    model: Any = FAMILIES[Family(family)].model
    if model in MODELS.values():
        return cast("Recommender", fitted(model, data, seed=seed, settings=known))
    return cast("Recommender", model(**known).fit(data, seed=seed))


def load(family: Family, folder: Path) -> Recommender:
    """Load a model of the family from what its `save` wrote.

    Raises:
        ModelError: A file is missing or of a format that this version does not know.
    """
    return FAMILIES[Family(family)].model.load(folder)
