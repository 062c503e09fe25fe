"""Model families behind one protocol: the same data in, ranked lists with reasons out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstchair.models.als import ALS
from firstchair.models.blend import Blend
from firstchair.models.chosen import chosen_settings
from firstchair.models.content import Content
from firstchair.models.item_item import ItemItem
from firstchair.models.protocol import Explanations, Family, LabelledHistory, Lists, Recommender, Slates, TrainingData
from firstchair.models.random import Random
from firstchair.models.ranker import Ranker
from firstchair.models.training_data import load_training_data, taken_up
from firstchair.models.trending import Trending

FAMILIES: dict[Family, type[Recommender]] = {
    Family.ALS: ALS,
    Family.ITEM_ITEM: ItemItem,
    Family.BLEND: Blend,
    Family.XGBOOST: Ranker,
    Family.CONTENT: Content,
    Family.TRENDING: Trending,
    Family.RANDOM: Random,
}


def fit(family: Family, data: TrainingData, *, seed: int, settings: Mapping[str, Any] | None = None) -> Recommender:
    """A model of the family, fitted on `data`; the same seed, settings and data give the same bytes.

    `settings` are arguments of the family's class; None for those that the study of the platform chose.
    """
    known = chosen_settings(Family(family)) if settings is None else settings
    return FAMILIES[Family(family)](**known).fit(data, seed=seed)


def load(family: Family, folder: Path) -> Recommender:
    """A model of the family from what its `save` wrote.

    Raises:
        ModelError: A file is missing or of a format that this version does not know.
    """
    return FAMILIES[Family(family)].load(folder)


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
