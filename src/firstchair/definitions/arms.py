"""Which arm a user is in: buckets of user keys, the roles that have them, the shares of each stage.

Login workers import this module, so it imports nothing outside the standard library.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

# A share of users is exact to one part in so many.
BUCKETS = 10_000

# Whose list a user sees: the champion's, the challenger's (in canary), the previous champion's (the
# control group of probation), or trending for good, whatever is served to the others (the holdout).
CHAMPION, CHALLENGER, PREVIOUS, HOLDOUT = "champion", "challenger", "previous", "holdout"

# Shares of the challenger before the decision stage, ascending; up to the largest one only safety
# is tested.
RAMP_SHARES = (0.05, 0.20)
# (least users of the population, share of them): how many keep the previous champion in probation.
# With a smaller control group harm would not be found in time (docs/reference/gate.md,
# section 4).
PROBATION_CONTROL_SHARES = ((100_000, 0.10), (50_000, 0.20), (0, 0.50))

# Roles with the bucket at which each ends (exclusive), ascending; the last one ends at `BUCKETS`.
Bounds: TypeAlias = tuple[tuple[str, int], ...]
# Buckets by salt and user_key (16 bytes), of users who keep one that is not their hash.
Kept: TypeAlias = Mapping[tuple[str, bytes], int]


def bucket_of(user_key: bytes, salt: str) -> int:
    """Bucket 0..9999 of a user (16 bytes of key), the same for ever under one salt.

    >>> bucket_of(bytes(16), "first")
    6745
    """
    return int.from_bytes(hashlib.sha256((salt + user_key.hex()).encode()).digest()[:4]) % BUCKETS


def bucket_between(bucket: int, edges: Collection[int], *, spread: int) -> int:
    """Another bucket between the same two edges, so that its role is the same.

    Args:
        bucket: 0..9999.
        edges: Buckets at which a role may end or begin.
        spread: 0..9999, which of the buckets between them.

    >>> bucket_between(700, [500, 2_000], spread=5_000)
    1250
    """
    ends = sorted({0, *edges, BUCKETS})
    place = bisect_right(ends, bucket)
    low, high = ends[place - 1], ends[place]
    return low + spread * (high - low) // BUCKETS


def role_at(bounds: Bounds, bucket: int) -> str:
    """Role of a bucket: the first one that ends above it.

    >>> role_at((("challenger", 500), ("champion", 9_900), ("holdout", 10_000)), 500)
    'champion'
    """
    for role, end in bounds:
        if bucket < end:
            return role
    raise ValueError(f"Bucket {bucket} lies at or after the end of the last role of {bounds}.")


def next_canary_share(share: float, *, decision_share: float) -> float:
    """Share of the challenger after a step of the ramp that raised no alarm.

    >>> [next_canary_share(share, decision_share=0.5) for share in (0.05, 0.20)]
    [0.2, 0.5]
    """
    steps = (*RAMP_SHARES, decision_share)
    return next((step for step in steps if step > share), decision_share)


def probation_control_share(users: int) -> float:
    """Share of users who keep the previous champion during probation, by size of the population.

    >>> [probation_control_share(users) for users in (2_000, 50_000, 200_000)]
    [0.5, 0.2, 0.1]
    """
    return next(share for least, share in PROBATION_CONTROL_SHARES if users >= least)


@dataclass(frozen=True, slots=True)
class Arms:
    """Roles by bucket, and how users are assigned to buckets.

    Holdout users have the buckets from `holdout_start` on. They are drawn under `holdout_salt`,
    which no stage changes, so they are the same users in every stage. All other users are assigned
    anew for each challenger, under `salt`. The treatment has the first buckets, so a share that
    grows takes nobody out of it. Users in `kept` keep the bucket that they have there.
    """

    salt: str
    holdout_salt: str
    holdout_start: int
    bounds: Bounds
    kept: Kept = field(default_factory=dict, compare=False)

    @classmethod
    def without_stage(
        cls, *, holdout_salt: str, holdout_share: float, kept: Kept | None = None
    ) -> "Arms":
        """Arms where no stage with traffic is under way: the champion, and the holdout.

        Args:
            holdout_salt: Of the platform, setting `arm_salt`.
            holdout_share: Share of all users, 0..1, setting `holdout_share`.
            kept: Buckets of users who keep one.
        """
        start = BUCKETS - round(holdout_share * BUCKETS)
        bounds = ((CHAMPION, start), (HOLDOUT, BUCKETS))
        return cls(holdout_salt, holdout_salt, start, bounds, kept or {})

    def in_canary(self, share: float, *, salt: str) -> "Arms":
        """Arms of a canary with the same holdout.

        Args:
            share: Of the challenger, 0..1 of the users outside the holdout.
            salt: Of the stage, the same in all its steps and in the probation after it.
        """
        return self._split(CHALLENGER, share, CHAMPION, salt)

    def in_probation(self, share: float, *, salt: str) -> "Arms":
        """Arms of a probation with the same holdout.

        Args:
            share: Of the new champion, 0..1 of the users outside the holdout; the others are the
                control group.
            salt: That of the canary before it.
        """
        return self._split(CHAMPION, share, PREVIOUS, salt)

    def _split(self, treatment: str, share: float, control: str, salt: str) -> "Arms":
        start = self.holdout_start
        bounds = ((treatment, round(share * start)), (control, start), (HOLDOUT, BUCKETS))
        return replace(self, salt=salt, bounds=bounds)

    def among(self, roles: Collection[str]) -> "Arms":
        """The same arms where only these roles have lists; other users see the champion's."""
        bounds = tuple((role if role in roles else CHAMPION, end) for role, end in self.bounds)
        return replace(self, bounds=bounds)

    def bucket(self, user_key: bytes) -> int:
        """Bucket 0..9999 of a user (16 bytes of key)."""
        fixed = self.under(self.holdout_salt, user_key)
        if fixed >= self.holdout_start:
            return fixed
        return self.under(self.salt, user_key) * self.holdout_start // BUCKETS

    def under(self, salt: str, user_key: bytes) -> int:
        """Bucket 0..9999 of a user under one salt: the one that is kept, or their hash."""
        kept = self.kept.get((salt, user_key))
        return bucket_of(user_key, salt) if kept is None else kept

    def edges(self, shares: Collection[float]) -> dict[str, set[int]]:
        """By salt, the buckets under it at which a role ends with any of these shares.

        Args:
            shares: Shares of a treatment, 0..1 of the users outside the holdout.
        """
        start = self.holdout_start
        # The first bucket that `bucket` maps to an end of a treatment or beyond it.
        of_stage = {-(-round(share * start) * BUCKETS // max(1, start)) for share in shares}
        found = {self.salt: of_stage}
        found.setdefault(self.holdout_salt, set()).add(start)
        return found

    def role(self, bucket: int) -> str:
        """Role of a bucket."""
        return role_at(self.bounds, bucket)
