"""Model families behind one protocol: the same data in, ranked lists with reasons out."""

from pathlib import Path

from firstchair.models.als import ALS
from firstchair.models.content import Content
from firstchair.models.protocol import Family, LabelledHistory, Lists, Recommender, TrainingData
from firstchair.models.random import Random
from firstchair.models.ranker import Ranker
from firstchair.models.training_data import load_training_data, taken_up
from firstchair.models.trending import Trending

FAMILIES: dict[Family, type[Recommender]] = {
    Family.ALS: ALS,
    Family.XGBOOST: Ranker,
    Family.CONTENT: Content,
    Family.TRENDING: Trending,
    Family.RANDOM: Random,
}


def fit(family: Family, data: TrainingData, *, seed: int) -> Recommender:
    """A model of the family, fitted on `data`; the same seed and data give the same bytes."""
    return FAMILIES[Family(family)]().fit(data, seed=seed)


def load(family: Family, folder: Path) -> Recommender:
    """A model of the family from what its `save` wrote.

    Raises:
        ModelError: A file is missing or of a format that this version does not know.
    """
    return FAMILIES[Family(family)].load(folder)


__all__ = [
    "FAMILIES",
    "Family",
    "LabelledHistory",
    "Lists",
    "Recommender",
    "TrainingData",
    "fit",
    "load",
    "load_training_data",
    "taken_up",
]
