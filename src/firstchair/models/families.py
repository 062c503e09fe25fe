"""The registry of model families: assets, registry tags, titles and lists derive from it.

docs/extending.md shows how to add a family.
"""

import pkgutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstchair.definitions.families import Family

if TYPE_CHECKING:
    from firstchair.models.protocol import Recommender

# The reference that every family is compared with; never registered or served.
POPULARITY = "popularity"


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
        compared: It is evaluated every day, whether it may challenge or not: others are compared
            with it, or it is a fallback. Others are fitted where the setting `contenders` names
            them or a family that they are a part of is fitted.
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
    compared: bool = True
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
        compared=False,
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
        compared=False,
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
    ),
)
FAMILIES: dict[Family, FamilyEntry] = {entry.family: entry for entry in _ENTRIES}


def baselines() -> tuple[Family, ...]:
    """Families whose versions are shown to users as a baseline of others."""
    return tuple(family for family, entry in FAMILIES.items() if entry.baseline)


def fitted_families(contenders: Collection[str]) -> frozenset[Family]:
    """Families that are fitted and evaluated every day, where these may challenge.

    They are the contenders, those that others are compared with, and their parts.
    """
    wanted = {family for family, e in FAMILIES.items() if e.compared or family in contenders}
    return frozenset(wanted.union(*(FAMILIES[family].parts for family in wanted)))


def listed_families(contenders: Sequence[Family]) -> tuple[Family, ...]:
    """Families whose newest version makes each user's list every day, where these may challenge.

    They are those that users are shown or that are compared in shadow. The others are evaluated on
    test days, and get lists once they serve or challenge.
    """
    return tuple(family for family, e in FAMILIES.items() if e.baseline or family in contenders)


def model_name(family: Family) -> str:
    """Name of the asset that fits a family.

    >>> model_name(Family.ITEM_ITEM)
    'item_item_model'
    """
    return f"{family.replace('-', '_')}_model"
