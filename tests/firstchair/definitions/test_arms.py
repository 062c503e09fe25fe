"""Arms: nested buckets, exact shares, and a holdout that no stage touches."""

import subprocess
import sys
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair.definitions.arms import BUCKETS, RAMP_SHARES, Arms, bucket_of, next_canary_share

KEYS = [number.to_bytes(16) for number in range(400)]
SHARES = st.floats(0, 1)
SALTS = st.text(min_size=1, max_size=12)


def without_stage(holdout_share: float, holdout_salt: str = "first") -> Arms:
    return Arms.without_stage(holdout_salt=holdout_salt, holdout_share=holdout_share)


def users(arms: Arms, role: str) -> set[bytes]:
    return {key for key in KEYS if arms.role(arms.bucket(key)) == role}


def holds(arms: Arms, role: str) -> int:
    """Buckets of a role."""
    return sum(arms.role(bucket) == role for bucket in range(BUCKETS))


@given(user_key=st.binary(min_size=16, max_size=16), salt=SALTS)
def test_a_bucket_is_the_hash_of_salt_and_key_as_specified(user_key: bytes, salt: str) -> None:
    expected = int(sha256((salt + user_key.hex()).encode()).hexdigest()[:8], 16) % 10_000

    assert bucket_of(user_key, salt) == expected


@given(
    shares=st.lists(SHARES, min_size=2, max_size=5).map(sorted), holdout_share=SHARES, salt=SALTS
)
def test_a_share_that_grows_takes_nobody_out_of_the_treatment(
    shares: list[float], holdout_share: float, salt: str
) -> None:
    arms = without_stage(holdout_share)
    steps = [users(arms.in_canary(share, salt=salt), "challenger") for share in shares]
    probation = users(arms.in_probation(shares[-1], salt=salt), "champion")

    assert all(earlier <= later for earlier, later in pairwise(steps))
    assert steps[-1] == probation


@given(
    holdout_share=SHARES,
    stages=st.lists(st.tuples(SHARES, SALTS), min_size=1, max_size=4),
    salt=SALTS,
)
def test_holdout_users_see_no_other_list_whatever_the_stage_its_salt_and_its_share(
    holdout_share: float, stages: list[tuple[float, str]], salt: str
) -> None:
    arms = without_stage(holdout_share, salt)
    holdout = users(arms, "holdout")

    for share, own in stages:
        assert users(arms.in_canary(share, salt=own), "holdout") == holdout
        assert users(arms.in_probation(share, salt=own), "holdout") == holdout


@given(share=SHARES, holdout_share=SHARES, salt=SALTS)
def test_every_user_has_one_role_and_shares_are_exact_to_a_bucket(
    share: float, holdout_share: float, salt: str
) -> None:
    canary = without_stage(holdout_share).in_canary(share, salt=salt)
    open_to_stages = BUCKETS - holds(canary, "holdout")

    assert abs(holds(canary, "holdout") - holdout_share * BUCKETS) <= 0.5
    assert abs(holds(canary, "challenger") - share * open_to_stages) <= 0.5
    assert holds(canary, "champion") == open_to_stages - holds(canary, "challenger")
    assert all(0 <= canary.bucket(key) < BUCKETS for key in KEYS[:20])


def test_another_salt_assigns_users_anew_but_for_the_holdout() -> None:
    arms = without_stage(0.1)
    one, other = (
        users(arms.in_canary(0.5, salt=salt), "challenger") for salt in ("first/7", "first/8")
    )

    assert one != other
    assert 0.3 < len(one & other) / len(one) < 0.7


def test_a_bucket_past_the_last_role_is_a_fault() -> None:
    with pytest.raises(ValueError, match="Bucket 10000"):
        without_stage(0.01).role(BUCKETS)


def test_the_ramp_leads_to_the_share_of_the_decision_stage() -> None:
    assert [next_canary_share(share, decision_share=0.4) for share in (*RAMP_SHARES, 0.4)] == [
        0.2,
        0.4,
        0.4,
    ]


def test_login_workers_get_the_arms_without_a_database_or_mlflow() -> None:
    heavy = "{'mlflow', 'sqlalchemy', 'numpy', 'pydantic', 'firstchair.promotion'}"
    program = f"import sys, firstchair.definitions.arms; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
