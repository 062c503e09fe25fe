"""The registry of model families: assets, registry tags, titles and lists derive from it.

docs/extending.md shows how to add a family.
"""

import pkgutil
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstchair.models.protocol import Recommender

# The reference that every family is compared with; never registered or served.
POPULARITY = "popularity"


class Family(StrEnum):
    """Model families by their registry tag."""

    ALS = "als"
    ITEM_ITEM = "item-item"
    GRAPH_FILTER = "graph-filter"
    BLEND = "blend"
    XGBOOST = "xgboost"
    CONTENT = "content"
    DECAYED_POPULARITY = "decayed-popularity"
    TRENDING = "trending"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """Everything that the platform needs to know of a model family.

    Attributes:
        family: Its registry tag.
        path: Module and name of its class; it is imported when a model is fitted or loaded, so
            that to list families costs no library.
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

    family: Family
    path: str
    title: str
    description: str
    libraries: frozenset[str]
    contends: bool = False
    baseline: bool = False
    tuned: bool = False
    parts: tuple[Family, ...] = ()
    needs: str = ""

    @property
    def model(self) -> "type[Recommender]":
        """Its class."""
        found: type[Recommender] = pkgutil.resolve_name(f"firstchair.models.{self.path}")
        return found


_ENTRIES = (
    FamilyEntry(
        Family.ALS,
        "als:ALS",
        "ALS",
        "Champion's family: implicit ALS on the user-item matrix.",
        frozenset({"implicit"}),
        contends=True,
        tuned=True,
    ),
    FamilyEntry(
        Family.ITEM_ITEM,
        "item_item:ItemItem",
        "Item-item",
        "Strongest simple model: damped similarities of artists.",
        frozenset({"scipy"}),
        tuned=True,
    ),
    FamilyEntry(
        Family.GRAPH_FILTER,
        "graph_filter:GraphFilter",
        "Graph filter",
        "Training-free: a low-pass filter on the graph of artists that share listeners.",
        frozenset({"scipy"}),
    ),
    FamilyEntry(
        Family.BLEND,
        "blend:Blend",
        "Blend",
        "ALS and item-item added, the weight chosen on later days.",
        frozenset({"scipy", "implicit"}),
        parts=(Family.ALS, Family.ITEM_ITEM),
    ),
    FamilyEntry(
        Family.XGBOOST,
        "ranker:Ranker",
        "XGBoost",
        "Challenger's family: XGBoost ranker over candidates.",
        frozenset({"xgboost"}),
        contends=True,
        parts=(Family.ALS, Family.ITEM_ITEM),
    ),
    FamilyEntry(
        Family.CONTENT,
        "content:Content",
        "Content",
        "Baseline: genres and era of what a user plays.",
        frozenset({"scikitlearn"}),
        needs="the genres and the era of each artist",
    ),
    FamilyEntry(
        Family.DECAYED_POPULARITY,
        "decayed_popularity:DecayedPopularity",
        "Decayed popularity",
        "Baseline: what a country and an age group like, older signals counting less.",
        frozenset({"scipy"}),
    ),
    FamilyEntry(
        Family.TRENDING,
        "trending:Trending",
        "Trending",
        "Baseline and fallback: what is played now, by country and age group.",
        frozenset({"python"}),
        baseline=True,
        needs="the days on which artists were played",
    ),
    FamilyEntry(
        Family.RANDOM,
        "random:Random",
        "Random",
        "Baseline: a seeded random list, the floor of every comparison.",
        frozenset({"python"}),
        baseline=True,
    ),
)
FAMILIES: dict[Family, FamilyEntry] = {entry.family: entry for entry in _ENTRIES}
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
