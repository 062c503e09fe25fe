"""Registered versions: whole, without pickle, the same however often they are asked for."""

import json
import pickletools
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from firstchair.errors import ModelError
from firstchair.models import Family, Recommender
from firstchair.promotion import NAME, Registry, Stage, Training, Version
from tests.firstchair.models.toys import AS_OF, checkerboard


def entered(registry: Registry, model: Recommender, as_of: date = AS_OF, data: str = "one") -> Version:
    return registry.register(
        model, as_of=as_of, data_fingerprint=data, metrics={"test_ndcg_at_10": 0.25}, seed=1, simulated=False
    )


def test_a_version_recommends_what_the_model_did(registry: Registry, fitted: dict[Family, Recommender]) -> None:
    data, rows = checkerboard(), np.arange(60)

    for family, model in fitted.items():
        kept = registry.load(entered(registry, model))
        assert kept.family == family
        before, after = model.recommend(data, rows, 10), kept.recommend(data, rows, 10)
        np.testing.assert_array_equal(before.artists, after.artists)
        np.testing.assert_array_equal(before.scores, after.scores)


def test_a_version_carries_its_tags_and_metrics(registry: Registry, fitted: dict[Family, Recommender]) -> None:
    version = entered(registry, fitted[Family.ALS])

    assert (version.version, version.family, version.as_of) == ("1", "als", AS_OF)
    assert (version.data_fingerprint, version.stage) == ("one", Stage.CANDIDATE)
    assert registry.metrics(version) == {"test_ndcg_at_10": 0.25}


def test_the_same_day_and_data_give_the_version_there_is(registry: Registry, fitted: dict[Family, Recommender]) -> None:
    model = fitted[Family.TRENDING]

    numbers = [entered(registry, model, data=data).version for data in ("one", "one", "two", "one")]

    assert numbers == ["1", "1", "2", "1"]


def test_versions_are_found_by_day_and_family(registry: Registry, fitted: dict[Family, Recommender]) -> None:
    for day in (date(2026, 2, 1), date(2026, 2, 2)):
        for family in (Family.RANDOM, Family.TRENDING):
            entered(registry, fitted[family], as_of=day)

    assert [v.version for v in registry.versions()] == ["1", "2", "3", "4"]
    assert [v.version for v in registry.versions(as_of=date(2026, 2, 2))] == ["3", "4"]
    assert [v.version for v in registry.versions(as_of=date(2026, 2, 2), family="trending")] == ["4"]


def test_an_alias_points_where_it_was_put(registry: Registry, fitted: dict[Family, Recommender]) -> None:
    assert registry.alias("champion") is None
    one, two = (entered(registry, fitted[family]) for family in (Family.RANDOM, Family.TRENDING))
    assert registry.alias("champion") is None

    registry.set_alias("champion", one.version)
    registry.set_alias("champion", two.version)

    champion = registry.alias("champion")
    assert champion is not None
    assert champion.version == two.version


def test_nothing_in_the_artefacts_is_a_pickle(
    registry: Registry, fitted: dict[Family, Recommender], tmp_path: Path
) -> None:
    for model in fitted.values():
        entered(registry, model)

    files = [path for path in (tmp_path / "ml").rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if path.suffix in {".pkl", ".pickle", ".joblib"} or is_pickle(path)] == []


def is_pickle(path: Path) -> bool:
    try:
        operations = [operation.name for operation, *_ in pickletools.genops(path.read_bytes())]
    except Exception:
        return False
    return operations[:1] == ["PROTO"]


def test_mlflow_itself_opens_a_version_and_predicts(registry: Registry, fitted: dict[Family, Recommender]) -> None:
    version = entered(registry, fitted[Family.ALS])
    mlflow.set_tracking_uri(registry.tracking_uri)
    listeners = pd.DataFrame({"country": ["CL", "SE"], "age_group": ["25-34"] * 2, "artist_ids": ["a000 a002", ""]})

    served = mlflow.pyfunc.load_model(f"models:/artist-recommender/{version.version}")
    lists = served.predict(listeners)

    first = lists["artist_ids"][0].split()
    assert len(first) == 20
    assert {int(artist[1:]) % 2 for artist in first[:10]} == {0}
    assert served.metadata.signature is not None


def test_a_registry_out_of_reach_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(ModelError) as raised:
        Registry("http://127.0.0.1:9", tmp_path).alias("champion")

    assert "read alias champion" in raised.value.what
    assert "FIRSTCHAIR_MLFLOW_TRACKING_URI" in raised.value.remedy


def test_mlflows_pages_say_what_a_version_is_why_it_was_fitted_and_what_was_decided(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    registry.console = "http://console"
    version = registry.register(
        fitted[Family.XGBOOST],
        as_of=AS_OF,
        data_fingerprint="one",
        metrics={"test_ndcg_at_10": 0.25},
        seed=1,
        simulated=True,
        training=Training("drift of country", "http://dagster/runs/7"),
        curves={"watched_ndcg_at_20": [0.1, 0.2, 0.15]},
    )
    for sequence, sentence in ((3, "It is undecided."), (4, "It becomes champion.")):
        registry.describe_decision(version.version, sequence=sequence, decision_id=f"d{sequence}", sentence=sentence)

    client = mlflow.MlflowClient(registry.tracking_uri, registry.tracking_uri)
    described = client.get_model_version(NAME, version.version)
    run = client.get_run(version.run_id)
    assert described.description == (
        "**Simulated data: no figure here is of a real service.**\n\n"
        f"XGBoost, fitted on everything before {AS_OF}.\n\n"
        "Cause of the training: drift of country.\n\n"
        "test_ndcg_at_10 0.2500.\n\n"
        "[Dagster run](http://dagster/runs/7)\n\n"
        "Newest decision: [Entry 4 of the ledger](http://console/decisions/d4): It becomes champion."
    )
    assert run.data.tags["mlflow.note.content"] == described.description.partition("\n\nNewest")[0]
    for tags in (run.data.tags, described.tags):
        assert (tags["simulated"], tags["cause"]) == ("true", "drift of country")
    curve = client.get_metric_history(version.run_id, "watched_ndcg_at_20")
    assert [(point.step, point.value) for point in curve] == [(0, 0.1), (1, 0.2), (2, 0.15)]
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(experiment.tags["mlflow.sharedViewState.figures"])
    assert "metrics.`test_ndcg_at_10`" in view["selectedColumns"]
    runs = f"#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=figures"
    assert runs in client.get_registered_model(NAME).description
