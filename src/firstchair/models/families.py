"""The registry of model families: assets, registry tags, titles and lists derive from it.

docs/extending.md shows how to add a family.
"""

from dataclasses import dataclass

from firstchair.models.als import ALS
from firstchair.models.blend import Blend
from firstchair.models.content import Content
from firstchair.models.decayed_popularity import DecayedPopularity
from firstchair.models.graph_filter import GraphFilter
from firstchair.models.item_item import ItemItem
from firstchair.models.protocol import Family, Recommender
from firstchair.models.random import Random
from firstchair.models.ranker import Ranker
from firstchair.models.trending import Trending


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """Everything that the platform needs to know of a model family.

    Attributes:
        model: Its class, which names the family.
        title: What people call it.
        description: One sentence for the asset that fits it.
        libraries: What it is built with, as the Dagster UI shows it.
        contends: The gate may make it champion. The others are there to be compared with, or are
            parts of another.
        baseline: Its versions are shown to users whom no contender serves.
        tuned: Its settings are chosen by a study (`firstchair.models.chosen`).
        parts: Families whose settings its class takes, each under its own name.
        needs: What it needs that a public split (ids of users and items) does not hold.
    """

    model: type[Recommender]
    title: str
    description: str
    libraries: frozenset[str]
    contends: bool = False
    baseline: bool = False
    tuned: bool = False
    parts: tuple[Family, ...] = ()
    needs: str = ""


_ENTRIES = (
    FamilyEntry(
        ALS,
        "ALS",
        "Champion's family: implicit ALS on the user-item matrix.",
        frozenset({"implicit"}),
        contends=True,
        tuned=True,
    ),
    FamilyEntry(
        ItemItem,
        "Item-item",
        "Strongest simple model: damped similarities of artists.",
        frozenset({"scipy"}),
        tuned=True,
    ),
    FamilyEntry(
        GraphFilter,
        "Graph filter",
        "Training-free: a low-pass filter on the graph of artists that share listeners.",
        frozenset({"scipy"}),
    ),
    FamilyEntry(
        Blend,
        "Blend",
        "ALS and item-item added, the weight chosen on later days.",
        frozenset({"scipy", "implicit"}),
        parts=(Family.ALS, Family.ITEM_ITEM),
    ),
    FamilyEntry(
        Ranker,
        "XGBoost",
        "Challenger's family: XGBoost ranker over candidates.",
        frozenset({"xgboost"}),
        contends=True,
        parts=(Family.ALS, Family.ITEM_ITEM),
    ),
    FamilyEntry(
        Content,
        "Content",
        "Baseline: genres and era of what a user plays.",
        frozenset({"scikitlearn"}),
        needs="the genres and the era of each artist",
    ),
    FamilyEntry(
        DecayedPopularity,
        "Decayed popularity",
        "Baseline: what a country and an age group like, older signals counting less.",
        frozenset({"scipy"}),
    ),
    FamilyEntry(
        Trending,
        "Trending",
        "Baseline and fallback: what is played now, by country and age group.",
        frozenset({"python"}),
        baseline=True,
        needs="the days on which artists were played",
    ),
    FamilyEntry(
        Random,
        "Random",
        "Baseline: a seeded random list, the floor of every comparison.",
        frozenset({"python"}),
        baseline=True,
    ),
)
FAMILIES: dict[Family, FamilyEntry] = {entry.model.family: entry for entry in _ENTRIES}
# The family of the first champion, with which the first challenger is compared.
FIRST_CHAMPION = Family.ALS


def contenders() -> tuple[Family, ...]:
    """Families that the gate may make champion, in the order of the registry."""
    return tuple(family for family, entry in FAMILIES.items() if entry.contends)


def baselines() -> tuple[Family, ...]:
    """Families whose versions are shown to users as a baseline of others."""
    return tuple(family for family, entry in FAMILIES.items() if entry.baseline)


def listed_families() -> tuple[Family, ...]:
    """Families whose newest version makes each user's list every day.

    They are those that users are shown or that are compared in shadow. The others are evaluated on
    test days, and get lists once they serve or challenge.
    """
    return tuple(family for family, e in FAMILIES.items() if e.contends or e.baseline)


def model_name(family: Family) -> str:
    """Name of the asset that fits a family.

    >>> model_name(Family.ITEM_ITEM)
    'item_item_model'
    """
    return f"{family.replace('-', '_')}_model"
