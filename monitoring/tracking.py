"""Log a day's monitoring as one MLflow run: figures as metrics, and pages as artifacts."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from firstchair.definitions.mlflow_pages import (
    NOTE,
    described_run,
    ensure_experiment,
    experiment_tags,
    log_points,
    quieten_mlflow,
)
from firstchair.definitions.segments import ALL
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.errors import RunError
from firstchair.lake import Lake, is_simulated
from firstchair.lake import tables as t

EXPERIMENT = "artist-recommender-monitoring"
ABOUT = (
    "Each day's monitoring: figures over time, and the pages of drift, data quality "
    "and overfitting."
)
COLUMNS = ("ctr", "clicks_per_100", "listen_through", "churn_7_days", "churn_14_days", "users")
# Of a metric's name (mlflow 3.17, `MAX_ENTITY_KEY_LENGTH`); as bytes, it is a file's name too.
LONGEST_NAME = 250
DIGEST_CHARACTERS = 8
PAGES = ("data_drift", "data_quality", "overfit")


@dataclass(frozen=True, slots=True)
class TrackedDay:
    """The MLflow run of a day, and the figures in it by name."""

    run_id: str
    figures: dict[str, float]


def track(
    lake: Lake,
    *,
    as_of: date,
    tracking_uri: str,
    artifact_root: Path,
    report_folder: Path,
    links: Mapping[str, str],
) -> TrackedDay:
    """Write the figures of `as_of` into its run of the experiment; idempotent.

    The run's description has the `links`, by name.

    Raises:
        LakeError: A table cannot be read; nothing is written.
        RunError: MLflow does not answer; the tables stand.
    """
    figures, simulated = _figures(lake, as_of), is_simulated(lake)
    pages = [
        path
        for name in PAGES
        if (path := report_folder.resolve() / name / f"{as_of}.html").exists()
    ]
    quality = (
        report_folder.resolve() / "data_quality" / f"{date.fromordinal(as_of.toordinal() - 1)}.html"
    )
    pages += [quality] if quality.exists() else []
    try:
        return TrackedDay(
            _write(figures, pages, as_of, tracking_uri, artifact_root, links, simulated=simulated),
            figures,
        )
    except Exception as error:  # MLflow's own, SQLAlchemy's, requests' and OSError alike
        raise RunError(
            f"MLflow did not take the monitoring of {as_of}: {' '.join(str(error).split())}.",
            where=f"experiment {EXPERIMENT}",
            data="The gold tables stand.",
            remedy="Bring MLflow back, or check FIRSTCHAIR_MLFLOW_TRACKING_URI, then run again.",
        ) from error


def _figures(lake: Lake, as_of: date) -> dict[str, float]:
    """Metrics by name, as MLflow takes names.

    Engagement is of the newest day whose outcomes are all known at `as_of`.
    """
    day = date.fromordinal(as_of.toordinal() - 1)
    whole = f"segment = '{ALL}' and model_version = '{ALL}'"
    found: dict[str, float | None] = {}
    settled = day - timedelta(days=SLATE_DAYS)
    engagement = lake.read(t.ENGAGEMENT_DAILY, f"event_date = date '{settled}' and {whole}")
    for row in engagement.to_pylist():
        found |= {
            name: row[name]
            for name in ("ctr", "clicks_per_100", "listen_through", "follow_rate", "users")
        }
    for row in lake.read(t.CHURN, f"as_of = date '{as_of}' and {whole}").to_pylist():
        found[f"churn_{row['horizon_days']}_days"] = row["churn_rate"]
    for row in lake.read(t.DRIFT, f"as_of = date '{as_of}'").to_pylist():
        found |= {
            metric_name("drift_effect", row["column"]): row["effect"],
            metric_name("drifted", row["column"]): float(row["drifted"]),
        }
    for row in lake.read(t.OVERFIT, f"as_of = date '{as_of}'").to_pylist():
        found |= {f"train/{row['family']}": row["train"], f"test/{row['family']}": row["test"]}
        found[f"gap/{row['family']}"] = row["gap"]
    for row in lake.read(t.DATA_QUALITY, f"event_date = date '{day}'").to_pylist():
        found[metric_name(row["measure"], row["key"])] = row["value"]
    return {name: float(value) for name, value in found.items() if value is not None}


def _write(
    figures: dict[str, float],
    pages: list[Path],
    as_of: date,
    tracking_uri: str,
    artifact_root: Path,
    links: Mapping[str, str],
    *,
    simulated: bool,
) -> str:
    quieten_mlflow()
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client: Any = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    columns = experiment_tags(ABOUT, COLUMNS, tags=("as_of", "simulated"))
    experiment = ensure_experiment(client, EXPERIMENT, artifact_root=artifact_root, tags=columns)
    about = f"Engagement, churn, drift, overfitting and data quality of the days before {as_of}."
    note = described_run([about], links, simulated=simulated)
    tags = {"as_of": as_of.isoformat(), "simulated": str(simulated).lower(), NOTE: note}
    runs = client.search_runs([experiment], f"tags.as_of = '{as_of}'", max_results=1)
    run = (
        runs[0]
        if runs
        else client.create_run(experiment, run_name=f"monitoring {as_of}", tags=tags)
    )
    now, step = time.time_ns() // 1_000_000, as_of.toordinal()
    points = [Metric(name, value, now, step) for name, value in sorted(figures.items())]
    log_points(client, run.info.run_id, points)
    for page in pages:
        client.log_artifact(run.info.run_id, str(page), page.parent.name)
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def metric_name(group: str, key: str) -> str:
    """Name a figure of `key`, which may be any text, so that MLflow takes it.

    Letters, digits and `_-. ` stay. Where anything else was replaced, or the name was cut, a digest
    of the key follows, so that no two keys share a name.

    >>> metric_name("sequence_gaps", "ios")
    'sequence_gaps/ios'
    >>> metric_name("sequence_gaps", "kafka://eu/app")
    'sequence_gaps/kafka___eu_app-ac21d1f8'
    """
    plain = "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in key)
    room = LONGEST_NAME - len(f"{group}/")
    # A part of dots alone would be read as a folder of the path.
    if plain == key and key.strip(".") and len(key.encode()) <= room:
        return f"{group}/{key}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:DIGEST_CHARACTERS]
    kept = plain.encode()[: room - len(f"-{digest}")].decode(errors="ignore")
    return f"{group}/{kept}-{digest}"
