"""Running one suite over one frame, and naming the rows that fail with their stable reason."""

import json
import logging
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstchair.errors import LakeError

if TYPE_CHECKING:
    import pandas as pd

SHOWN_CHARACTERS = 60
# In a checkout the suites stand at the top; in a wheel they are packed beside this file.
FOLDERS = (Path(__file__).parents[3] / "expectations", Path(__file__).parent / "suites")


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that broke an expectation: its position (0-based), reason code, what was found."""

    row: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """Outcome of a suite over a frame.

    failures: in the order of the suite, so the first one of a row is the one that its owner
    reports.
    by_expectation: failing rows by "type(column)"; only of expectations that failed.
    """

    passed: bool
    rows: int
    failures: tuple[Failure, ...]
    by_expectation: dict[str, int]


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule of a suite on one value of a row, as SQL.

    fails: SQL condition that is true for a value that breaks the rule; null passes.
    """

    column: str
    fails: str
    reason: str


@cache
def row_rules(suite: str, columns: tuple[str, ...]) -> tuple[RowRule, ...]:
    """The rules of `expectations/<suite>.json` on `columns`, in its order.

    For single records that cannot wait for the seconds that the library takes to start.

    Raises:
        LakeError: The suite is missing, or has a rule on these columns of a type not known here.
    """
    expectations = json.loads(_path(suite).read_text())["expectations"]
    of_columns = [item for item in expectations if item["kwargs"].get("column") in columns]
    return tuple(
        RowRule(item["kwargs"]["column"], _fails(item, suite), item["meta"]["reason"])
        for item in of_columns
    )


def may_fail(suite: str, columns: Collection[str]) -> str:
    """SQL condition that is true for each row that breaks a rule of a suite, and for few others.

    The library takes far longer for a row than the engine does, so it gets only the rows in doubt.
    They are all rows where a rule is of a type not known here, or not on one of the columns.

    Raises:
        LakeError: The suite is missing.
    """
    expectations = json.loads(_path(suite).read_text())["expectations"]
    if any(item["kwargs"].get("column") not in columns for item in expectations):
        return "true"
    try:
        rules = [f"coalesce({_fails(item, suite)}, false)" for item in expectations]
    except LakeError:
        return "true"
    return " or ".join(["false", *rules])


def _fails(expectation: dict[str, Any], suite: str) -> str:
    kwargs = expectation["kwargs"]
    column = f'"{kwargs["column"]}"'
    if expectation["type"] == "expect_column_values_to_be_null":
        return f"{column} is not null"
    if expectation["type"] == "expect_column_values_to_be_in_set":
        values = ", ".join(f"'{value}'" for value in kwargs["value_set"])
        return f"{column} not in ({values})"
    if expectation["type"] == "expect_column_values_to_be_between":
        below = "<=" if kwargs.get("strict_min") else "<"
        above = ">=" if kwargs.get("strict_max") else ">"
        bounds = ((below, kwargs.get("min_value")), (above, kwargs.get("max_value")))
        return " or ".join(
            f"{column} {sign} {bound}" for sign, bound in bounds if bound is not None
        )
    raise LakeError(
        f"A rule of the type {expectation['type']} cannot be asked of a single record.",
        where=str(_path(suite)),
        data="Nothing was accepted.",
        remedy="Use a set or a range, or teach `row_rules` the type.",
    )


def validate(frame: "pd.DataFrame", suite: str) -> ValidationReport:
    """Run `expectations/<suite>.json` over `frame`; nulls pass unless the expectation is on nulls.

    Raises:
        LakeError: The suite is missing, or an expectation could not be computed.
    """
    frame = frame.reset_index(drop=True)
    batch = _definition().get_batch({"dataframe": frame})
    text = _path(suite).read_text()
    result = batch.validate(_suite(suite, text), result_format={"result_format": "COMPLETE"})
    failures: list[Failure] = []
    by_expectation: dict[str, int] = {}
    # The library groups its results by column.
    order = [
        (item["type"], item["kwargs"].get("column")) for item in json.loads(text)["expectations"]
    ]
    for outcome in sorted(result.results, key=lambda outcome: order.index(_identity(outcome))):
        if not outcome.success or _fault(outcome.exception_info):
            found = _failures(outcome, suite, frame)
            name = "{}({})".format(*_identity(outcome))
            by_expectation[name] = by_expectation.get(name, 0) + len(found)
            failures += found
    return ValidationReport(bool(result.success), len(frame), tuple(failures), by_expectation)


def _identity(outcome: Any) -> tuple[str, str | None]:
    return outcome.expectation_config.type, outcome.expectation_config.kwargs.get("column")


def _failures(outcome: Any, suite: str, frame: "pd.DataFrame") -> list[Failure]:
    config = outcome.expectation_config
    if (fault := _fault(outcome.exception_info)) is not None:
        raise LakeError(
            f"{config.type} of suite {suite} could not be computed: {fault}.",
            where=str(_path(suite)),
            data="Nothing was written.",
            remedy="Correct the expectation's kwargs.",
        )
    rows = outcome.result.get("unexpected_index_list") or []
    column = config.kwargs.get("column")
    # The library lists every failing row, but the values of the first 200 only.
    values = frame[column].iloc[rows].tolist() if column in frame else [None] * len(rows)
    reason = str(config.meta["reason"])
    return [
        Failure(int(row), reason, _shown(column, value))
        for row, value in zip(rows, values, strict=True)
    ]


def _fault(exception_info: dict[str, Any]) -> str | None:
    """Why an expectation could not be computed; the library reports it once, or per metric."""
    for info in (exception_info, *exception_info.values()):
        if isinstance(info, dict) and info.get("raised_exception"):
            return str(info["exception_message"])
    return None


def _shown(column: str | None, value: Any) -> str:
    if column is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of integers with nulls is one of floats in pandas
    return f"{column}: {str(value)[:SHOWN_CHARACTERS]}"


def _path(suite: str) -> Path:
    for folder in FOLDERS:
        if (path := folder / f"{suite}.json").exists():
            return path
    raise LakeError(
        f"There is no expectation suite {suite}.",
        where=" or ".join(map(str, FOLDERS)),
        data="Nothing was written.",
        remedy="Restore the file from the repository.",
    )


@contextmanager
def _no_spark_connect() -> Iterator[None]:
    """Let no import reach Spark Connect, which Great Expectations 1.24 imports where it can.

    pyspark 4.3 ends a process with exit code 0 there, where the packages of its own extra `connect`
    are missing and the main module is neither a file nor a module: `python -c`, and what
    multiprocessing spawns.
    """
    names = ("pyspark.sql.connect", "pyspark.sql.connect.dataframe")
    hidden = {name: None for name in names if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@cache
def _definition() -> Any:
    """A batch definition over the frame it is given, in a context that keeps nothing on disk."""
    with _no_spark_connect():
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("all")
    )


@cache
def _suite(name: str, document: str) -> Any:
    from great_expectations.core.expectation_suite import ExpectationSuite

    return ExpectationSuite(name=name, expectations=json.loads(document)["expectations"])
