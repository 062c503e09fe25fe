"""Model families by name: settings, models and the gate's rules all name them."""

from collections.abc import Sequence
from enum import StrEnum


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


# Families that may challenge where the setting `contenders` names no others.
CONTENDERS = (Family.ALS, Family.XGBOOST)


def families_in(names: str) -> tuple[Family, ...]:
    """Families of a list of names, apart by blanks or commas; each once, in their order.

    Raises:
        ValueError: A name is no family's, or there is none; the text lists the families.

    >>> [str(family) for family in families_in("xgboost, als xgboost")]
    ['xgboost', 'als']
    """
    found = dict.fromkeys(names.replace(",", " ").split())
    if unknown := [name for name in found if name not in set(Family)]:
        raise ValueError(f"{', '.join(unknown)}: no model family; {_choice()}")
    if not found:
        raise ValueError(f"no model family is named; {_choice()}")
    return tuple(Family(name) for name in found)


def listing(families: Sequence[str]) -> str:
    """Names of families as `families_in` reads them."""
    return " ".join(families)


def _choice() -> str:
    return f"choose from {', '.join(Family)}"
