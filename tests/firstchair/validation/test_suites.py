"""Suites as data: which rows fail, with which reason, in which order."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from firstchair.errors import LakeError
from firstchair.validation import may_fail, suites, validate

POSITION = {
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "position", "min_value": 1},
    "meta": {"reason": "out_of_range"},
}
KIND = {
    "type": "expect_column_values_to_be_in_set",
    "kwargs": {"column": "kind", "value_set": ["click"]},
    "meta": {"reason": "unknown_event_type"},
}
LISTED = {
    "type": "expect_column_values_to_be_in_set",
    "kwargs": {"column": "position", "value_set": [0, 1, 2]},
    "meta": {"reason": "too_far_down"},
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts expectations into a suite `own` in a folder of its own."""
    monkeypatch.setattr(suites, "FOLDERS", (tmp_path,))

    def put(*expectations: dict[str, Any]) -> None:
        (tmp_path / "own.json").write_text(
            json.dumps({"name": "own", "expectations": expectations})
        )

    return put


def test_a_sound_frame_passes(write: Any) -> None:
    write(POSITION, KIND)

    report = validate(pd.DataFrame({"position": [1, 2], "kind": ["click", "click"]}), "own")

    assert (report.passed, report.rows, report.failures, report.by_expectation) == (True, 2, (), {})


def test_a_failing_row_is_named_by_its_position_whatever_the_index(write: Any) -> None:
    write(POSITION)

    report = validate(pd.DataFrame({"position": [1, -5, None]}, index=[7, 7, 9]), "own")

    failure = report.failures[0]
    assert (len(report.failures), report.passed) == (1, False)
    assert (failure.row, failure.reason, failure.detail) == (1, "out_of_range", "position: -5")


def test_a_row_that_breaks_several_fails_in_the_order_of_the_suite(write: Any) -> None:
    write(POSITION, KIND, LISTED)

    report = validate(pd.DataFrame({"position": [-99, 0], "kind": ["zap", "click"]}), "own")

    assert [(failure.row, failure.reason) for failure in report.failures] == [
        (0, "out_of_range"),
        (1, "out_of_range"),
        (0, "unknown_event_type"),
        (0, "too_far_down"),
    ]


def test_every_failing_row_is_named_with_its_value_however_many(write: Any) -> None:
    write(POSITION)

    report = validate(pd.DataFrame({"position": [-n for n in range(5_000)]}), "own")

    assert [(f.row, f.detail) for f in report.failures] == [
        (n, f"position: {-n}") for n in range(5_000)
    ]
    assert report.by_expectation == {"expect_column_values_to_be_between(position)": 5_000}


def test_a_suite_that_changed_on_disk_is_read_anew(write: Any) -> None:
    frame = pd.DataFrame({"position": [0]})
    write(POSITION)
    assert not validate(frame, "own").passed

    write({**POSITION, "kwargs": {"column": "position", "min_value": 0}})

    assert validate(frame, "own").passed


def test_a_column_that_is_not_there_is_a_fault_of_the_suite(write: Any) -> None:
    write(POSITION)

    with pytest.raises(LakeError, match="could not be computed"):
        validate(pd.DataFrame({"kind": ["click"]}), "own")


def test_a_suite_that_is_not_there_is_named() -> None:
    with pytest.raises(LakeError, match="no expectation suite nowhere"):
        validate(pd.DataFrame({"a": [1]}), "nowhere")


@pytest.mark.parametrize("suite", ["events", "users", "user_features"])
def test_every_expectation_of_the_project_has_a_reason(suite: str) -> None:
    document = json.loads(
        (Path(__file__).parents[3] / "expectations" / f"{suite}.json").read_text()
    )

    assert document["name"] == suite
    assert all(expectation["meta"]["reason"] for expectation in document["expectations"])


def test_the_engine_picks_the_rows_that_the_library_refuses(write: Any) -> None:
    null = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "kind"}, "meta": {}}
    write(POSITION, KIND)
    frame = pd.DataFrame({"position": [1, 0, None, 2], "kind": ["click", "click", None, "skip"]})

    picked = duckdb.query(f"from frame where {may_fail('own', frame.columns)}").df()
    write(POSITION, null)
    with_a_text = duckdb.query(f"from frame where {may_fail('own', frame.columns)}").df()

    assert picked["kind"].tolist() == ["click", "skip"]
    assert with_a_text["kind"].tolist() == ["click", "click", "skip"]


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}, "meta": {}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "kind"}, "meta": {}},
    ],
)
def test_all_rows_are_in_doubt_under_a_rule_that_the_engine_cannot_ask(
    write: Any, rule: dict[str, Any]
) -> None:
    write(POSITION, rule)

    assert may_fail("own", ("position", "kind")) == "true"


def test_a_spark_that_would_end_the_process_is_not_imported(tmp_path: Path) -> None:
    """As pyspark 4.3 does in `python -c` without the packages of its extra `connect`."""
    connect = tmp_path / "pyspark" / "sql" / "connect"
    connect.mkdir(parents=True)
    for folder in (connect.parents[1], connect.parent):
        (folder / "__init__.py").write_text("class DataFrame: ...\n")
    (connect / "__init__.py").write_text("import sys\nsys.exit(0)\n")
    program = """
import pandas as pd
from firstchair.validation import validate
columns = ("age_group", "country", "created", "created_after_reading", "gender")
columns += ("repeated_user_id", "user_key")
validate(pd.DataFrame(columns=columns), "users")
print("validated")
"""

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines()[-1:] == ["validated"], done.stderr[-2000:]
