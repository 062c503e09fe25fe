"""Roles that monitoring asks for: the champion of a day, and the versions that are baselines."""

from datetime import date

from firstchair import models, promotion
from firstchair.platform.platform import Platform
from monitoring import Champion


def champion_before(platform: Platform, as_of: date) -> Champion | None:
    """The champion that the decisions on earlier as_of left; None where there was none.

    Those of `as_of` itself do not count, so the answer is the same before and after them.
    """
    entry = next((entry for entry in platform.ledger.entries() if entry.as_of < as_of), None)
    if entry is None or entry.champion_after is None:
        return None
    return Champion(entry.champion_after, platform.registry.version(entry.champion_after).as_of)


def releases(platform: Platform) -> dict[date, str]:
    """Days from which on another version served, and its name."""
    entries = platform.ledger.entries()
    return promotion.releases(entries, promotion.families_of(entries))


def baselines(platform: Platform) -> dict[str, str]:
    """Family of every version that others are compared with."""
    return {
        version.version: version.family
        for family in models.baselines()
        for version in platform.registry.versions(family=family)
    }
