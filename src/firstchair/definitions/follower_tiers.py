"""Follower tiers: how known artists are (docs/reference/contract.md, section 5).

The rule stands here twice, for tables and for arrays; tests hold the two to the same answers.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class FollowerTier(StrEnum):
    """An artist's followers ÷ the catalogue's median; 0.1 and 1 are in `0.1-1`, 10 in `1-10`."""

    UNDER_A_TENTH = "<0.1"
    UP_TO_MEDIAN = "0.1-1"
    UP_TO_TENFOLD = "1-10"
    OVER_TENFOLD = ">10"
    UNKNOWN = "unknown"


# Tiers by their names in columns and metrics.
KNOWN_TIERS = {
    tier.name.lower(): str(tier) for tier in FollowerTier if tier is not FollowerTier.UNKNOWN
}
# The tiers of artists who count as small.
SMALL = (FollowerTier.UNDER_A_TENTH, FollowerTier.UP_TO_MEDIAN)


def follower_tier_sql(followers: str) -> str:
    """DuckDB SQL of an artist's tier, over rows that are the catalogue.

    The median is over the artists whose followers are known; only the others are `unknown`.

    Args:
        followers: SQL of their number, null where it is not known.
    """
    median = f"median({followers}) over ()"
    # Ten times a bigint may be over the largest bigint.
    tenfold = f"10 * ({followers})::hugeint"
    return f"""case
        when {followers} is null then '{FollowerTier.UNKNOWN}'
        when {tenfold} < {median} then '{FollowerTier.UNDER_A_TENTH}'
        when {followers} <= {median} then '{FollowerTier.UP_TO_MEDIAN}'
        when {followers} <= 10 * {median} then '{FollowerTier.UP_TO_TENFOLD}'
        else '{FollowerTier.OVER_TENFOLD}' end"""


def follower_tiers_of(followers: "npt.NDArray[np.float64]") -> "npt.NDArray[np.str_]":
    """Tier of each artist of a catalogue.

    Args:
        followers: float64 (n_artists,), NaN where unknown.

    >>> import numpy as np
    >>> print(*follower_tiers_of(np.array([1.0, 99.0, 100.0, 5000.0, 101.0, np.nan])))
    <0.1 0.1-1 0.1-1 >10 1-10 unknown
    """
    # Imported on call: segments are named where no array is made.
    import numpy as np

    known = ~np.isnan(followers)
    median = np.median(followers[known]) if known.any() else np.nan
    tiers = {
        FollowerTier.UNKNOWN: ~known,
        FollowerTier.UNDER_A_TENTH: 10 * followers < median,
        FollowerTier.UP_TO_MEDIAN: followers <= median,
        FollowerTier.UP_TO_TENFOLD: followers <= 10 * median,
    }
    names = [str(tier) for tier in tiers]
    return np.select(list(tiers.values()), names, default=str(FollowerTier.OVER_TENFOLD))
