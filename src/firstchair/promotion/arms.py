"""Who is in which arm: buckets of user keys under a salt, dealt to roles in nested ranges."""

import hashlib
from dataclasses import dataclass

BUCKETS = 10_000
CHAMPION, CHALLENGER, PREVIOUS, HOLDBACK = "champion", "challenger", "previous", "holdback"


def bucket_of(user_key: bytes, salt: str) -> int:
    """Bucket 0..9999 of a user (16 bytes of key), the same for ever under one salt (GATE section 1).

    >>> bucket_of(bytes(16), "first")
    3243
    """
    return int.from_bytes(hashlib.sha256((salt + user_key.hex()).encode()).digest()[:4]) % BUCKETS


@dataclass(frozen=True, slots=True)
class Arms:
    """Roles by bucket: a user has the first role whose bound is above his bucket.

    Buckets from `open_buckets` on are the yardstick: they see trending for ever, whoever auditions, because they are
    drawn under `yardstick_salt`. All others are dealt anew for each challenger, under `salt`.
    """

    salt: str
    yardstick_salt: str
    open_buckets: int
    bounds: tuple[tuple[str, int], ...]

    def bucket(self, user_key: bytes) -> int:
        """Bucket 0..9999 of a user (16 bytes of key)."""
        fixed = bucket_of(user_key, self.yardstick_salt)
        if fixed >= self.open_buckets:
            return fixed
        return bucket_of(user_key, self.salt) * self.open_buckets // BUCKETS

    def role(self, bucket: int) -> str:
        """Role of a bucket."""
        return next(role for role, bound in self.bounds if bucket < bound)


def deal(*, salt: str, yardstick_salt: str, yardstick_share: float, first: tuple[str, float, str] | None) -> Arms:
    """Arms of a stage.

    Args:
        salt: Of the stage; the same through all its steps, so that a share that grows takes nobody out of his arm.
        yardstick_salt: Of the platform.
        yardstick_share: Share of all users who stay on trending.
        first: Role of the first buckets, its share of those who are not the yardstick, and the role of the others;
            None where nobody auditions.
    """
    open_buckets = BUCKETS - round(yardstick_share * BUCKETS)
    rest = (HOLDBACK, BUCKETS)
    if first is None:
        return Arms(salt, yardstick_salt, open_buckets, ((CHAMPION, open_buckets), rest))
    role, share, others = first
    bounds = ((role, round(share * open_buckets)), (others, open_buckets), rest)
    return Arms(salt, yardstick_salt, open_buckets, bounds)
