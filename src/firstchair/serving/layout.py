"""How a published version lies on disk: names, units and the bucket of a user, for its writer and its readers."""

import hashlib

POINTER, VERSIONS, MANIFEST = "CURRENT", "versions", "manifest.json"
FORMAT = 3
# Scores are published with four decimals, as whole numbers of this unit.
SCORE_UNITS = 10_000
NOBODY = -1
BUCKETS = 10_000


def bucket_of(user_key: bytes, salt: str) -> int:
    """Bucket 0..9999 of a user (16 bytes of key), the same for ever under one salt (GATE section 1).

    >>> bucket_of(bytes(16), "first")
    3243
    """
    return int.from_bytes(hashlib.sha256((salt + user_key.hex()).encode()).digest()[:4]) % BUCKETS
