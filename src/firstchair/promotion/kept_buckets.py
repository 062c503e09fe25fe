"""Buckets of the arms that users keep when their pseudonym changes."""

from collections.abc import Iterable
from functools import lru_cache

import pyarrow as pa

from firstchair.definitions.arms import RAMP_SHARES, Arms, Kept, bucket_between, bucket_of
from firstchair.lake import Lake
from firstchair.lake import tables as t

# Shares of a treatment that a stage may have beside its own: in the ramp, and in probation.
SHARES = (*RAMP_SHARES, 0.50, 0.80, 0.90)


def kept_buckets(lake: Lake) -> Kept:
    """Buckets by salt and user_key of the users who keep one; empty before any rotation.

    Read anew only where the table has a new version.
    """
    return _kept_buckets(lake, lake.version(t.KEPT_BUCKETS))


@lru_cache(maxsize=1)
def _kept_buckets(lake: Lake, _version: int) -> Kept:
    columns = lake.read(t.KEPT_BUCKETS).to_pydict()
    keys = map(bytes.fromhex, columns["user_key"])
    return dict(zip(zip(columns["salt"], keys, strict=True), columns["bucket"], strict=True))


def keep_buckets(
    lake: Lake, arms: Arms, pairs: Iterable[tuple[str, str]], *, shares: Iterable[float]
) -> int:
    """Keep every user in their role under the salts of `arms`, before their pseudonym changes.

    A user gets a bucket between the same two ends of roles, drawn by their new pseudonym: the
    bucket itself would tell by the old key who they are. Nothing is done where it was done.

    Args:
        lake: Holds the table.
        arms: Of today, with the buckets that are kept by the old pseudonyms.
        pairs: Old and new pseudonym of each user, 32 hex digits each.
        shares: Shares of a treatment that the stage of today may come to, beside `SHARES`.

    Returns:
        Rows of silver/kept_buckets.
    """
    both = [(bytes.fromhex(old), bytes.fromhex(new)) for old, new in pairs]
    known = {key for _, key in arms.kept}
    if known & {new for _, new in both}:
        return lake.count(t.KEPT_BUCKETS)
    rows: dict[str, list[object]] = {"user_key": [], "salt": [], "bucket": []}
    for salt, edges in arms.edges([*SHARES, *shares]).items():
        rows["user_key"] += [new.hex() for _, new in both]
        rows["salt"] += [salt] * len(both)
        rows["bucket"] += [
            bucket_between(arms.under(salt, old), edges, spread=bucket_of(new, salt))
            for old, new in both
        ]
    lake.overwrite(t.KEPT_BUCKETS, pa.table(rows, schema=t.KEPT_BUCKETS.schema))
    return len(rows["salt"])
