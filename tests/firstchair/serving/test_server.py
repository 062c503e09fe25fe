"""The running API: lean at start, and correct while lists change and workers die."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.login_chaos.chaos import Chaos, K
from benchmarks.logins.lists import Catalogue

HEAVY = (
    "dagster",
    "duckdb",
    "evidently",
    "ibis",
    "mlflow",
    "pandas",
    "pyarrow",
    "scipy",
    "sqlalchemy",
    "xgboost",
)


@pytest.mark.parametrize("entry", ["http.server", "hosts.lambda_handler", "hosts.sagemaker"])
def test_what_answers_logins_imports_nothing_that_only_the_batch_needs(entry: str) -> None:
    program = (
        f"import sys, firstchair.{entry}; print([name for name in {HEAVY} if name in sys.modules])"
    )

    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert imported.strip() == "[]"


@pytest.mark.parametrize(("workers", "kills"), [(1, 1), (3, 4)])
def test_no_login_fails_is_mixed_or_is_lost_while_workers_are_killed(
    tmp_path: Path, workers: int, kills: int
) -> None:
    catalogue = Catalogue(200, 400, 20, datetime.now(UTC).date(), b"a benchmark's key")

    found = Chaos(tmp_path, catalogue, workers=workers, rate=150).run(publications=4, kills=kills)

    assert found["answered"] > 0
    assert (found["failed"], found["wrong_or_mixed_lists"], found["lost"]) == (0, 0, 0), found
    assert found["publications_seen"] > 1
    assert found["impressions_in_store"] == found["impressions_in_silver"]
    assert (
        found["impressions_in_silver"]
        == found["impressions_answered"] + K * found["slates_never_answered"]
    )
