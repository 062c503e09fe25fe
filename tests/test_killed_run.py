"""A run that is killed again and again leaves, once completed, what an uninterrupted one leaves."""

from collections.abc import Callable
from pathlib import Path

from firstchair.lake import tables as t
from tests.service import different, simulated

# Of its own, so that no other test waits for these runs; with more users they only take longer.
WORLD = (
    "--users", 80, "--artists", 60, "--days", 9, "--seed", 3, "--scenario", "imperfect-delivery",
)  # fmt: skip


def test_a_run_killed_again_and_again_ends_in_the_same_tables(
    new_home: Callable[[str], Path],
) -> None:
    whole, killed = (simulated(new_home(name), WORLD) for name in ("whole", "killed"))
    whole.run("run")

    for asset in ("landed_events", "silver_events", "xgboost_model", "recommendations"):
        killed.kill_at(asset, "run")
    killed.run("run")

    assert different(whole.contents(), killed.contents()) == []
    filled = (t.EVENTS, t.QUARANTINE_EVENTS, t.RECOMMENDATIONS, t.OFFLINE_EVIDENCE, t.CHURN)
    for table in filled:
        assert whole.lake.count(table) > 0
