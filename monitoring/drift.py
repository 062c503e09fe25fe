"""Drift of the users' features: Evidently's report of a day against an earlier one."""

import os
import warnings
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from firstchair.lake import Lake
from firstchair.lake import tables as t

# Left out: clicks_per_200 (twice clicks_per_100), state and city (parts of a country), and what is no scalar.
NUMERIC = (
    "impressions",
    "clicks",
    "clicks_per_100",
    "listen_through",
    "logins_28d",
    "days_since_last_login",
    "tenure_days",
)
CATEGORICAL = ("lifecycle", "age_group", "gender", "country")
REFERENCE_DAYS = 7
MAX_USERS = 20_000


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What Evidently found for one as_of.

    rows: columns compared, each a row of gold/drift. reference: as_of of the features compared with. drifted: score
    of each column that drifted. left_out: columns that could not be compared, and why. report: the page on disk.
    Where nothing could be compared, `reference` or all columns are missing, `report` is None and `note` says why.
    """

    as_of: date
    rows: int
    reference: date | None
    drifted: dict[str, float]
    report: Path | None
    note: str
    left_out: dict[str, str] = field(default_factory=dict)


def build_drift(lake: Lake, *, as_of: date, report_folder: Path) -> DriftReport:
    """Compare gold/user_features at `as_of` with those of a week or more before; keep the page and the scores.

    The reference is the latest partition at least `REFERENCE_DAYS` older, or else the oldest earlier one. Evidently
    chooses the method of a column by its type, distinct values and rows (p-value up to 1,000 users: drifted
    below the threshold; distance above: drifted from the threshold on). Compared are the same at most `MAX_USERS`
    pseudonyms each time. The page is `report_folder`/data_drift/`as_of`.html; it is there whole or not at all, and
    loads nothing from a network.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    reference = _reference(lake.partitions(t.USER_FEATURES), as_of)
    if reference is None:
        return _nothing(lake, as_of, None, "There are no earlier features to compare with.", {})
    then, now = _frame(lake, reference), _frame(lake, as_of)
    left_out = {name: why for name in (*NUMERIC, *CATEGORICAL) if (why := _why_not(then[name], now[name]))}
    if len(left_out) == len(NUMERIC) + len(CATEGORICAL):
        return _nothing(lake, as_of, reference, "No column could be compared.", left_out)
    path = report_folder.resolve() / "data_drift" / f"{as_of}.html"
    measured = _evidently(then.drop(columns=list(left_out)), now.drop(columns=list(left_out)), path)
    found = _scores(measured, as_of, reference, path)
    lake.replace_partition(t.DRIFT, pa.Table.from_pylist(found, schema=t.DRIFT.schema), as_of)
    drifted = {row["column"]: row["score"] for row in found if row["drifted"]}
    note = f"{len(drifted)} of {len(found)} columns drifted since {reference}."
    return DriftReport(as_of, len(found), reference, drifted, path, note, left_out)


def _reference(partitions: list[date], as_of: date) -> date | None:
    earlier = [day for day in partitions if day < as_of]
    old_enough = [day for day in earlier if day <= as_of - timedelta(days=REFERENCE_DAYS)]
    return next(iter(old_enough[-1:] or earlier[:1]), None)


def _nothing(lake: Lake, as_of: date, reference: date | None, note: str, left_out: dict[str, str]) -> DriftReport:
    """A report without scores; those of an earlier build do not stay behind."""
    lake.replace_partition(t.DRIFT, t.DRIFT.schema.empty_table(), as_of)
    return DriftReport(as_of, 0, reference, {}, None, note, left_out)


def _frame(lake: Lake, as_of: date) -> pd.DataFrame:
    """Scalar features of the first `MAX_USERS` by user_key: a keyed hash, so they are a random sample that stays."""
    rows = lake.read(t.USER_FEATURES, f"as_of = date '{as_of}'").select(["user_key", *NUMERIC, *CATEGORICAL])
    frame: pd.DataFrame = rows.sort_by("user_key").slice(0, MAX_USERS).drop(["user_key"]).to_pandas()
    return frame


def _why_not(then: "pd.Series[Any]", now: "pd.Series[Any]") -> str | None:
    """Why Evidently cannot compare a column, or None where it can."""
    if not (then.notna().any() and now.notna().any()):
        return "no value on one side or both"
    return "one value throughout" if pd.concat([then, now]).nunique() == 1 else None


def _evidently(then: pd.DataFrame, now: pd.DataFrame, path: Path) -> dict[str, Any]:
    """Run the preset, write the page whole or not at all, and give back what it measured."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[name for name in NUMERIC if name in then.columns],
        categorical_columns=[name for name in CATEGORICAL if name in then.columns],
    )
    reference, current = (Dataset.from_pandas(frame, data_definition=definition) for frame in (then, now))
    with warnings.catch_warnings():
        # scipy's and numpy's, on columns that hold one value on one side.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        snapshot = Report([DataDriftPreset()]).run(current, reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    snapshot.save_html(str(temporary))
    temporary.replace(path)
    measured: dict[str, Any] = snapshot.dict()
    return measured


def _scores(measured: dict[str, Any], as_of: date, reference: date, path: Path) -> list[dict[str, Any]]:
    """One row a column out of Evidently's ValueDrift metrics."""
    rows = []
    for metric in measured["metrics"]:
        config = metric["config"]
        if not config["type"].endswith("ValueDrift"):
            continue
        score, threshold = float(metric["value"]), float(config["threshold"])
        by_p_value = "p_value" in config["method"]
        rows.append(
            {
                "as_of": as_of,
                "column": config["column"],
                "method": config["method"],
                "score": score,
                "threshold": threshold,
                "drifted": score < threshold if by_p_value else score >= threshold,
                "reference_from": reference,
                "report_path": str(path),
            }
        )
    return sorted(rows, key=lambda row: str(row["column"]))
