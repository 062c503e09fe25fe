"""Whether users fell to the arms as planned."""

import numpy as np
import pytest

from firstchair.evaluation.sample_ratio import log_e_sample_ratio


def test_the_golden_value() -> None:
    assert log_e_sample_ratio(9_800, 10_200, share=0.5) == pytest.approx(2.2874, abs=5e-5)


@pytest.mark.parametrize(("control", "treatment", "share", "fails"), [
    (10_000, 10_000, 0.5, False),
    (10_090, 9_910, 0.5, False),
    (10_000, 9_400, 0.5, True),
    (19_000, 1_000, 0.05, False),
    (19_000, 800, 0.05, True),
    (0, 0, 0.5, False),
])  # fmt: skip
def test_what_counts_as_wrongly_assigned(
    control: int, treatment: int, share: float, fails: bool
) -> None:
    assert bool(log_e_sample_ratio(control, treatment, share=share) >= np.log(100)) is fails


def test_looking_every_day_at_fair_arms_seldom_alarms() -> None:
    rng = np.random.default_rng(3)
    daily = rng.binomial(700, 0.5, (1_000, 30)).cumsum(axis=1)
    users = 700 * np.arange(1, 31)

    alarms = sum(
        max(log_e_sample_ratio(n - t, t, share=0.5) for n, t in zip(users, run, strict=True))
        >= np.log(100)
        for run in daily
    )

    assert alarms <= 20
