"""A day on which an arm loses its impressions is a gap, whoever sees how many lists."""

from collections.abc import Mapping

import numpy as np
import pytest

from firstchair.promotion.experiment.evaluations import Evaluations
from firstchair.promotion.experiment.evidence import MEASURES
from firstchair.promotion.rules import LiveRules

USERS = 4_000


class OneDay:
    """A stage of one day on which the control group has no impression."""

    days, users = 1, USERS
    segments: Mapping[str, object] = {}

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.arm = (rng.permutation(USERS) % 2).astype(np.int8)
        self.before = {"pre_impressions": rng.poisson(20, USERS).astype(np.float64)}
        shown = rng.poisson(3, USERS) * (self.arm == 1)
        shown[np.flatnonzero(self.arm)[:3]] = (5_000, 3_000, 4_000)
        self.shown = shown.astype(np.float64)

    def day(self, _day: int, *, today: int) -> dict[str, np.ndarray]:
        assert today == 0
        return {name: np.zeros(USERS) for name in MEASURES} | {"impressions": self.shown}

    def labels(self, _day: int, _name: str) -> tuple[np.ndarray, np.ndarray]:
        return np.array([], dtype=np.int64), np.array([])


@pytest.mark.parametrize("seed", range(20))
def test_an_empty_arm_is_found_where_the_weight_of_users_is_bounded(seed: int) -> None:
    (found,) = Evaluations(OneDay(seed), LiveRules())  # type: ignore[arg-type]

    assert found.gaps == ("On day 1 one arm has no impression at all.",)
    assert found.data_days == 0
