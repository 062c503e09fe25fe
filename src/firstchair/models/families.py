"""The registry of model families: what each is, and how one is fitted and loaded by its tag."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstchair.models.als import ALS
from firstchair.models.blend import Blend
from firstchair.models.chosen import chosen_settings
from firstchair.models.content import Content
from firstchair.models.item_item import ItemItem
from firstchair.models.protocol import Family, Recommender, TrainingData
from firstchair.models.random import Random
from firstchair.models.ranker import Ranker
from firstchair.models.trending import Trending


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """What the platform needs to know of a model family; every list of families is derived from it.

    model: its class. title: what people call it. description: one sentence for the asset that fits it.
    libraries: what it is built with, as the Dagster UI shows it. contends: the gate may make it
    champion; the others are there to be compared with, or are parts of another. baseline: versions of it
    are shown to users whom no contender serves.
    """

    model: type[Recommender]
    title: str
    description: str
    libraries: frozenset[str]
    contends: bool = False
    baseline: bool = False


FAMILIES: dict[Family, FamilyEntry] = {
    Family.ALS: FamilyEntry(
        ALS,
        "ALS",
        "Champion's family: implicit ALS on the user-item matrix.",
        frozenset({"implicit"}),
        contends=True,
    ),
    Family.ITEM_ITEM: FamilyEntry(
        ItemItem,
        "Item-item",
        "Strongest simple model: damped similarities of artists.",
        frozenset({"scipy"}),
    ),
    Family.BLEND: FamilyEntry(
        Blend,
        "Blend",
        "ALS and item-item added, the weight chosen on later days.",
        frozenset({"scipy", "implicit"}),
    ),
    Family.XGBOOST: FamilyEntry(
        Ranker,
        "XGBoost",
        "Challenger's family: XGBoost ranker over candidates.",
        frozenset({"xgboost"}),
        contends=True,
    ),
    Family.CONTENT: FamilyEntry(
        Content,
        "Content",
        "Baseline: genres and era of what a user plays.",
        frozenset({"scikitlearn"}),
    ),
    Family.TRENDING: FamilyEntry(
        Trending,
        "Trending",
        "Baseline and fallback: what is played now, by country and age group.",
        frozenset({"python"}),
        baseline=True,
    ),
    Family.RANDOM: FamilyEntry(
        Random,
        "Random",
        "Baseline: a seeded random list, the floor of every comparison.",
        frozenset({"python"}),
        baseline=True,
    ),
}
# It serves first; a platform without a champion has nothing to compare a challenger with.
FIRST_CHAMPION = Family.ALS


def contenders() -> tuple[Family, ...]:
    """Families that the gate may make champion, in the order of the registry."""
    return tuple(family for family, entry in FAMILIES.items() if entry.contends)


def baselines() -> tuple[Family, ...]:
    """Families whose versions others are compared with where users were shown both."""
    return tuple(family for family, entry in FAMILIES.items() if entry.baseline)


def model_name(family: Family) -> str:
    """Name of the asset that fits a family.

    >>> model_name(Family.ITEM_ITEM)
    'item_item_model'
    """
    return f"{family.replace('-', '_')}_model"


def fit(
    family: Family, data: TrainingData, *, seed: int, settings: Mapping[str, Any] | None = None
) -> Recommender:
    """A model of the family, fitted on `data`; the same seed, settings and data give the same bytes.

    `settings` are arguments of the family's class; None for those that the study of the platform chose.
    """
    known = chosen_settings(Family(family)) if settings is None else settings
    return FAMILIES[Family(family)].model(**known).fit(data, seed=seed)


def load(family: Family, folder: Path) -> Recommender:
    """A model of the family from what its `save` wrote.

    Raises:
        ModelError: A file is missing or of a format that this version does not know.
    """
    return FAMILIES[Family(family)].model.load(folder)
