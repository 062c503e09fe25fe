"""What MLflow's pages show of our experiments: kind, description, first metric, view columns."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Tags that MLflow's pages read (3.17.2); the last is where their `Share` button keeps the state of
# a table.
KIND, NOTE = "mlflow.experimentKind", "mlflow.note.content"
PRIMARY = "mlflow.experiment.primaryMetric.name"
VIEW = "figures"
# Without it the pages open for chat traces: no menu leads to models, and an experiment shows its
# usage.
FOR_MODELS = "workflowType=machine_learning"
SHARED_VIEW = f"mlflow.sharedViewState.{VIEW}"
# MLflow takes no more in one call.
METRICS_A_CALL = 1_000


def quieten_mlflow() -> None:
    """Have MLflow and its migrations log errors alone."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def experiment_tags(
    description: str, metrics: Sequence[str], *, tags: Sequence[str] = ()
) -> dict[str, str]:
    """Tags of an experiment.

    Args:
        description: Markdown.
        metrics: Columns of the table of runs, the one that charts begin with first.
        tags: Further columns, before the metrics.
    """
    columns = [*(f"tags.`{name}`" for name in tags), *(f"metrics.`{name}`" for name in metrics)]
    view = {"selectedColumns": ["attributes.`Description`", *columns]}
    return {
        KIND: "custom_model_development",
        NOTE: description,
        PRIMARY: metrics[0],
        SHARED_VIEW: json.dumps(view),
    }


def log_points(client: Any, run_id: str, points: Sequence[Any]) -> None:
    """Log points of metrics (`mlflow.entities.Metric`) in as few calls as MLflow takes them."""
    for start in range(0, len(points), METRICS_A_CALL):
        client.log_batch(run_id, metrics=points[start : start + METRICS_A_CALL])


def ensure_experiment(
    client: Any, name: str, *, artifact_root: Path, tags: Mapping[str, str]
) -> str:
    """Number of an experiment; made where there is none, restored where MLflow deleted it."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
    artifact_root.mkdir(parents=True, exist_ok=True)
    location = artifact_root.absolute().as_uri()
    return str(client.create_experiment(name, artifact_location=location, tags=dict(tags)))


def view_of_runs(experiment: str) -> str:
    """Path within MLflow's pages of an experiment's table of runs, with the columns of its tags.

    >>> view_of_runs("1")
    '#/experiments/1/runs?viewStateShareKey=figures&workflowType=machine_learning'
    """
    return f"#/experiments/{experiment}/runs?viewStateShareKey={VIEW}&{FOR_MODELS}"


def model_page(model: str, version: str | None = None) -> str:
    """Path within MLflow's pages of a registered model, or of one of its versions.

    >>> model_page("artist-recommender", "7")
    '#/models/artist-recommender/versions/7?workflowType=machine_learning'
    """
    of_version = "" if version is None else f"/versions/{version}"
    return f"#/models/{model}{of_version}?{FOR_MODELS}"


def described_run(sentences: Sequence[str], links: Mapping[str, str], *, simulated: bool) -> str:
    """Description of a run or a version as Markdown; tables show its beginning.

    >>> described_run(["ALS."], {}, simulated=True)
    'ALS. Simulated data: no figure here is of a real service.'
    """
    first, *others = sentences
    mark = " Simulated data: no figure here is of a real service." if simulated else ""
    named = [" · ".join(f"[{name}]({address})" for name, address in links.items())] if links else []
    return "\n\n".join([f"{first}{mark}", *others, *named])
