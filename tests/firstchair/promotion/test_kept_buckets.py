"""Users stay in their arms under a new pseudonym, in every step that their stage may come to."""

from datetime import date

import numpy as np

from firstchair.definitions.arms import bucket_of
from firstchair.lake import Lake
from firstchair.promotion import Phase, Stage, arms_of
from firstchair.promotion.kept_buckets import SHARES, keep_buckets, kept_buckets

HOLDOUT_SHARE = 0.1


def phase(stage: Stage, share: float) -> Phase:
    return Phase(stage, "2", "1", share, "first/2", date(2026, 2, 1), date(2026, 2, 1))


def test_no_user_changes_their_role_in_any_step_of_a_stage(lake: Lake) -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.bytes(16).hex(), rng.bytes(16).hex()) for _ in range(400)]
    now = phase(Stage.CANARY, 0.05)
    arms = arms_of(now, salt="first", holdout_share=HOLDOUT_SHARE)

    assert keep_buckets(lake, arms, pairs, shares=[0.4]) == 2 * len(pairs)
    assert keep_buckets(lake, arms, pairs, shares=[0.4]) == 2 * len(pairs)

    kept = kept_buckets(lake)
    for stage in (Stage.CANARY, Stage.PROBATION):
        for share in (*SHARES, 0.4):
            step = phase(stage, share)
            old = arms_of(step, salt="first", holdout_share=HOLDOUT_SHARE)
            new = arms_of(step, salt="first", holdout_share=HOLDOUT_SHARE, kept=kept)
            assert [old.role(old.bucket(bytes.fromhex(key))) for key, _ in pairs] == [
                new.role(new.bucket(bytes.fromhex(key))) for _, key in pairs
            ]
    # The old bucket itself would tell who is who by the old key.
    same = [
        kept["first", bytes.fromhex(b)] == bucket_of(bytes.fromhex(a), "first") for a, b in pairs
    ]
    assert sum(same) < 10
