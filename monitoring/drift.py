"""Drift of the users' features: Evidently's report of a day against an earlier one."""

import os
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from firstchair.lake import Lake
from firstchair.lake import tables as t

NUMERIC = ("impressions", "clicks", "clicks_per_100", "listen_through", "logins_28d", "days_since_last_login",
           "tenure_days")  # fmt: skip
CATEGORICAL = ("lifecycle", "age_group", "gender", "country")
REFERENCE_DAYS = 7
MAX_USERS = 20_000


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What Evidently found for one as_of.

    reference: as_of of the features compared with; None, with a note, where there are no earlier ones.
    columns: compared; drifted: those that drifted. report: the page on disk.
    """

    as_of: date
    reference: date | None
    columns: int
    drifted: dict[str, float]
    report: Path | None
    note: str


def build_drift(lake: Lake, *, as_of: date, report_folder: Path) -> DriftReport:
    """Compare gold/user_features at `as_of` with those of a week or more before; keep the page and the scores.

    The reference is the latest partition at least `REFERENCE_DAYS` older, or the oldest earlier one.
    Columns that hold nothing, or one value on both sides, are left out.
    """
    earlier = [day for day in lake.partitions(t.USER_FEATURES) if day < as_of]
    old_enough = [day for day in earlier if day <= as_of - timedelta(days=REFERENCE_DAYS)]
    chosen = old_enough[-1:] or earlier[:1]
    if not chosen:
        lake.replace_partition(t.DRIFT, t.DRIFT.schema.empty_table(), as_of)
        return DriftReport(as_of, None, 0, {}, None, "There are no earlier features to compare with.")
    reference = chosen[0]
    frames = [_frame(lake, day) for day in (reference, as_of)]
    compared = [name for name in (*NUMERIC, *CATEGORICAL) if _is_comparable(frames, name)]
    path = report_folder / "data_drift" / f"{as_of}.html"
    found = _scores(_evidently(frames, compared, path), as_of, reference, path)
    lake.replace_partition(t.DRIFT, pa.Table.from_pylist(found, schema=t.DRIFT.schema), as_of)
    drifted = {row["column"]: row["score"] for row in found if row["drifted"]}
    return DriftReport(as_of, reference, len(found), drifted, path, f"{len(drifted)} of {len(found)} columns drifted.")


def _frame(lake: Lake, as_of: date) -> pd.DataFrame:
    """Scalar features, by user_key; the first `MAX_USERS` of a keyed hash are a random sample that stays."""
    rows = lake.read(t.USER_FEATURES, f"as_of = date '{as_of}'").select(["user_key", *NUMERIC, *CATEGORICAL])
    frame: pd.DataFrame = rows.sort_by("user_key").slice(0, MAX_USERS).drop(["user_key"]).to_pandas()
    return frame


def _is_comparable(frames: list[pd.DataFrame], name: str) -> bool:
    return all(frame[name].notna().any() for frame in frames) and pd.concat(frames)[name].nunique() > 1


def _evidently(frames: list[pd.DataFrame], compared: list[str], path: Path) -> dict[str, Any]:
    """Run the preset, write the page whole or not at all, and give back what it measured."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[name for name in NUMERIC if name in compared],
        categorical_columns=[name for name in CATEGORICAL if name in compared],
    )
    reference, current = (Dataset.from_pandas(frame[compared], data_definition=definition) for frame in frames)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, on columns with ties and zeros
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
