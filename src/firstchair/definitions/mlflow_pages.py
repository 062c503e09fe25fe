"""What MLflow's pages show of our experiments: kind, description, first metric, columns of a view."""

import json
from collections.abc import Mapping, Sequence

# Tags that MLflow's pages read (3.17.2); the first keeps an experiment of models from opening as one of
# traces, the last is where its `Share` button keeps the state of a table.
KIND, NOTE = "mlflow.experimentKind", "mlflow.note.content"
PRIMARY = "mlflow.experiment.primaryMetric.name"
VIEW = "figures"
SHARED_VIEW = f"mlflow.sharedViewState.{VIEW}"


def experiment_tags(description: str, metrics: Sequence[str], *, tags: Sequence[str] = ()) -> dict[str, str]:
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


def view_of_runs(experiment: str) -> str:
    """Path within MLflow's pages of an experiment's table of runs, with the columns of its tags.

    >>> view_of_runs("1")
    '#/experiments/1/runs?viewStateShareKey=figures'
    """
    return f"#/experiments/{experiment}/runs?viewStateShareKey={VIEW}"


def described_run(sentences: Sequence[str], links: Mapping[str, str], *, simulated: bool) -> str:
    """Description of a run or a version as Markdown.

    >>> described_run(["ALS."], {"Dagster run": "http://d/runs/1"}, simulated=True).splitlines()[0]
    '**Simulated data: no figure here is of a real service.**'
    """
    mark = ["**Simulated data: no figure here is of a real service.**"] if simulated else []
    named = [" · ".join(f"[{name}]({address})" for name, address in links.items())] if links else []
    return "\n\n".join([*mark, *sentences, *named])
