"""Log a study to MLflow: one run for the study, with a nested run for each trial."""

from typing import Any

from firstchair.evaluation.tuning import Study

# MLflow's tag that nests a run.
PARENT = "mlflow.parentRunId"


def log_study(
    study: Study, *, tracking_uri: str, experiment: str, fingerprint: str, simulated: bool
) -> str:
    """Log the study and its trials to an existing experiment; return the id of its run.

    `simulated`, whether some event behind it is, is a tag of every run.
    """
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri)
    where = client.get_experiment_by_name(experiment).experiment_id
    tags = {"family": study.family, "data_fingerprint": fingerprint, "kind": "study"}
    tags["simulated"] = str(simulated).lower()
    parent = client.create_run(where, run_name=f"study {study.family}", tags=tags).info.run_id
    for trial in study.trials:
        nested = {**tags, "kind": "trial", PARENT: parent}
        run = client.create_run(
            where, run_name=f"{study.family} trial {trial.number}", tags=nested
        ).info.run_id
        _log(
            client,
            run,
            trial.settings,
            {"train_ndcg": trial.train_ndcg, "validation_ndcg": trial.validation_ndcg},
        )
    best = {"validation_ndcg": study.best.validation_ndcg, "train_ndcg": study.best.train_ndcg}
    _log(
        client,
        parent,
        {**study.best.settings, "seed": study.seed, "trials": len(study.trials)},
        best,
    )
    return str(parent)


def _log(client: Any, run_id: str, parameters: dict[str, Any], metrics: dict[str, float]) -> None:
    from mlflow.entities import Metric, Param

    client.log_batch(
        run_id,
        metrics=[Metric(name, value, 0, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in parameters.items()],
    )
    client.set_terminated(run_id)
