"""Reports of the domain as Dagster metadata."""

import dataclasses
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from firstchair.definitions.mlflow_pages import model_page
from firstchair.platform.platform import Platform
from firstchair.promotion import NAME, Candidate
from firstchair.settings import Settings


def described(report: Any, /, **more: Any) -> dict[str, Any]:
    """Fields of a report (a dataclass) and `more`, as what the UI can show; others are left out."""
    fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    shown = {name: shown_as(value) for name, value in {**fields, **more}.items()}
    return {_ui_name(name): value for name, value in shown.items() if value is not None}


def candidate_metadata(candidate: Candidate | None, platform: Platform) -> dict[str, Any]:
    """A candidate's version with its page and metrics; without one, that none was needed."""
    if candidate is None:
        return {"fitted_now": False, "why_not": "It may not challenge (setting contenders)."}
    version = candidate.version
    page = f"{platform.settings.mlflow_address}/{model_page(NAME, version.version)}"
    return described(version, mlflow=page, fitted_now=candidate.fitted_now, **candidate.metrics)


def version_of(candidate: Candidate | None, family: str) -> dg.DataVersion:
    """The data version of a family's asset: that of the data that it was fitted on."""
    fitted_on = "not fitted" if candidate is None else candidate.version.data_fingerprint
    return dg.DataVersion(f"{fitted_on}-{family}")


def report_page(path: Path | None, settings: Settings) -> str | None:
    """Address in the console of a page that monitoring wrote; None without one."""
    return None if path is None else settings.page(f"reports/{path.parent.name}/{path.stem}")


def run_page(context: dg.AssetExecutionContext, settings: Settings) -> str:
    """Address of this run in Dagster's pages."""
    return f"{settings.dagster_address}/runs/{context.run_id}"


def cause_of(context: dg.AssetExecutionContext) -> str:
    """Why this run is, in words, from the tags that started it."""
    tags = context.run.tags
    if causes := tags.get("firstchair/causes"):
        return causes.replace("_", " ").replace(",", ", ")
    if schedule := tags.get("dagster/schedule_name"):
        return f"the schedule `{schedule}`"
    if sensor := tags.get("dagster/sensor_name"):
        return f"the sensor `{sensor}`"
    return "a run that a person started"


def shown_as(value: Any) -> Any:
    """The metadata value of a number, text, address, day, path, picture or counts, or None."""
    match value:
        case str():
            return _text(value)
        case bool() | int() | float():
            return value
        case date():
            return value.isoformat()
        case Path():
            return dg.MetadataValue.path(str(value))
        case Mapping():
            return dg.MetadataValue.json({str(key): item for key, item in value.items()})
    return None


def _text(value: str) -> Any:
    if value.startswith("!["):
        return dg.MetadataValue.md(value)
    return dg.MetadataValue.url(value) if value.startswith("http") else value


def _ui_name(name: str) -> str:
    return "dagster/partition_row_count" if name == "rows" else name
