"""What publishing would deal: roles by bucket, told without writing anything."""

from datetime import date

from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.operations.platform import Platform
from firstchair.promotion import Alias

CHAMPION = "champion"
Dealt = tuple[tuple[str, int], ...]


def would_deal(platform: Platform, as_of: date) -> Dealt | None:
    """Roles by bucket that publishing the lists of a day would serve: a role without lists is the champion's.

    None where nothing can be published: there is no champion, no list of his for the day, or no trending.
    """
    registry = platform.registry
    playing = {str(alias): registry.alias(alias) for alias in Alias} | {
        "holdback": registry.newest(as_of).get(Family.TRENDING)
    }
    listed = _listed(platform, as_of)
    dealt = {role for role, version in playing.items() if version is not None and version.version in listed}
    if CHAMPION not in dealt or playing["holdback"] is None:
        return None
    return tuple((role if role in dealt else CHAMPION, end) for role, end in platform.arms().bounds)


def _listed(platform: Platform, as_of: date) -> set[str]:
    """Versions with lists of the day."""
    with connect() as connection:
        rows = connection.execute(
            f"select distinct model_version from {platform.lake.scan(t.RECOMMENDATIONS)} where as_of = date '{as_of}'"
        ).fetchall()
    return {version for (version,) in rows}
