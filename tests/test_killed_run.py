"""A run that is killed again and again, and then completed, leaves what one run leaves that nothing interrupted."""

from collections.abc import Callable
from pathlib import Path

from firstchair.lake import tables as t
from tests.service import different, simulated

# A world of its own, so that no other test waits for these runs; with more users they would only take longer.
WORLD = ("--users", 80, "--artists", 60, "--days", 9, "--seed", 3, "--scenario", "imperfect-delivery")


def test_a_run_killed_again_and_again_ends_in_the_same_tables(new_home: Callable[[str], Path]) -> None:
    whole, killed = (simulated(new_home(name), WORLD) for name in ("whole", "killed"))
    whole.run("run")

    for asset in ("landed_events", "silver_events", "xgboost_model", "recommendations"):
        killed.kill_at(asset, "run")
    killed.run("run")

    assert different(whole.contents(), killed.contents()) == []
    for table in (t.EVENTS, t.QUARANTINE_EVENTS, t.RECOMMENDATIONS, t.OFFLINE_EVIDENCE, t.DRIFT, t.CHURN):
        assert whole.lake.count(table) > 0
