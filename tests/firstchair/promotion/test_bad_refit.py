"""A bad refit on real assets is held, named and alerted, and a better challenger still passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.service import Service

WORLD = (
    "--users", 700, "--artists", 400, "--days", 20, "--seed", 2, "--scenario", "better-challenger",
)  # fmt: skip
# One process for all days. ALS has eight factors alone, so that the ranker is better than it. On
# the first day too few users are tested for a proof; on the second only ALS is fitted, and spoilt.
SCRIPT = """
import os
from datetime import date
from benchmarks.faults import spoil_newest_als
from firstchair.commands import run as runs
from firstchair.models import chosen
from firstchair.platform import open_platform
from firstchair.platform.assets import HISTORY, LISTS, MODELS, MONITORING

NEEDED = {
    "silver_events", "data_quality", "evidence", "user_features", "interactions", "als_model",
    "xgboost_model", "trending_model", "popularity_reference", *LISTS,
}
SPARED = {*HISTORY, *MODELS, *LISTS, *MONITORING} - NEEDED
families = chosen._documents()["platform"]["families"]
families["als"]["settings"]["factors"] = 8
families["xgboost"]["settings"]["objective"] = "binary:logistic"

def build(day, *, least_users, without=()):
    os.environ["FIRSTCHAIR_MIN_TEST_USERS"] = str(least_users)
    runs.run(open_platform(), first=day, last=day, without={*SPARED, *without})

build(date(2026, 1, 18), least_users=100_000)
build(date(2026, 1, 19), least_users=100_000, without={*MODELS, *LISTS} - {"als_model"})
spoil_newest_als()
build(date(2026, 1, 20), least_users=50)
"""


# What a world of so few users can show in a day: wide intervals, and lists that must keep alike.
SETTINGS = {
    "alpha": "0.4",
    "list_length": "10",
    "min_test_users": "50",
    "refresh_max_test_days": "1",
    "refresh_min_overlap": "0.7",
}


@pytest.fixture(scope="module")
def after(new_home: Callable[[str], Path]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The ledger, newest first, and the status after the day of a bad refit's verdict."""
    service = Service(new_home("bad-refit"), SETTINGS)
    service.json("simulate", *WORLD)
    done = forks.script(SCRIPT, env=service.environment(), cwd=service.home.parent)
    assert done.returncode == 0, done.stderr[-6000:]
    return service.ask("decisions"), service.ask("status")


def of_kind(ledger: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The newest entry of a kind."""
    return next(entry for entry in ledger if entry["evidence"]["kind"] == kind)


def test_the_bad_refit_is_held_and_the_entry_names_what_fell(after: Any) -> None:
    refresh = of_kind(after[0], "refresh")

    fitted = refresh["evidence"]["fitted"][refresh["challenger"]]["as_of"]
    days = (fitted, refresh["evidence"]["test_from"], refresh["as_of"])
    assert (refresh["decision"], refresh["stage_after"]) == ("hold", "rejected")
    assert {"refresh_overlap"} < set(refresh["reason_codes"]), refresh["reasons"]
    assert days == ("2026-01-20", "2026-01-20", "2026-01-21")


def test_the_serving_version_stays_and_an_alert_says_so(after: Any) -> None:
    ledger, status = after

    held = next(alert for alert in status["alerts"] if alert["code"] == "refresh_held")
    assert str(status["roles"]["champion"]["version"]) == ledger[-1]["champion_after"]
    assert "NDCG@10" in held["text"]


def test_a_better_challenger_gets_through_to_canary_against_the_version_that_serves(
    after: Any,
) -> None:
    ledger, status = after
    challenge = of_kind(ledger, "challenge")

    assert challenge["reason_codes"] == ["shadow_passed", "superior"], json.dumps(
        challenge["evidence"]["metrics"]
    )
    assert challenge["evidence"]["phase"]["standing"] == str(status["roles"]["champion"]["version"])
    assert status["roles"]["phase"]["stage"] == "canary"
