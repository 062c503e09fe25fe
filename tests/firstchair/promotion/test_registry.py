"""Registered versions: whole, without pickle, the same however often they are asked for."""

import json
import pickletools
import shutil
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from firstchair.databases import to_driver
from firstchair.errors import ModelError
from firstchair.models import Family, Recommender
from firstchair.promotion import NAME, Registry, Stage, Training, Version
from firstchair.promotion.artifact_paths import follow_home
from tests.firstchair.models.toys import AS_OF, checkerboard
from tests.firstchair.promotion.conftest import registry_at


def entered(
    registry: Registry, model: Recommender, as_of: date = AS_OF, data: str = "one"
) -> Version:
    return registry.register(
        model,
        as_of=as_of,
        data_fingerprint=data,
        metrics={"test_ndcg_at_10": 0.25},
        seed=1,
        simulated=False,
    )


def test_a_version_recommends_what_the_model_did(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    data, rows = checkerboard(), np.arange(60)

    for family, model in fitted.items():
        kept = registry.load(entered(registry, model))
        assert kept.family == family
        before, after = model.recommend(data, rows, 10), kept.recommend(data, rows, 10)
        np.testing.assert_array_equal(before.artists, after.artists)
        np.testing.assert_array_equal(before.scores, after.scores)


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty", "gone"])
@pytest.mark.parametrize("file", ["model.json", "arrays.safetensors"])
def test_a_version_with_a_damaged_file_is_not_loaded(
    registry: Registry, fitted: dict[Family, Recommender], file: str, harm: str
) -> None:
    version = entered(registry, fitted[Family.TRENDING])
    (path,) = registry.artifact_root.rglob(f"data/**/{file}")
    content = path.read_bytes()
    damaged = {
        "flipped": content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
        "cut": content[: len(content) // 2],
        "empty": b"",
    }
    if harm in damaged:
        path.write_bytes(damaged[harm])
    else:
        path.unlink()

    with pytest.raises(ModelError, match="version 1 is damaged"):
        registry.load(version)


def test_a_version_carries_its_tags_and_metrics(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    version = entered(registry, fitted[Family.ALS])

    assert (version.version, version.family, version.as_of) == ("1", "als", AS_OF)
    assert (version.data_fingerprint, version.stage) == ("one", Stage.CANDIDATE)
    assert registry.metrics(version) == {"test_ndcg_at_10": 0.25}


def test_the_same_day_and_data_give_the_version_there_is(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    model = fitted[Family.TRENDING]

    numbers = [entered(registry, model, data=data).version for data in ("one", "one", "two", "one")]

    assert numbers == ["1", "1", "2", "1"]


def test_versions_of_a_home_that_moved_are_read_and_made_where_it_is_now(
    registry: Registry, fitted: dict[Family, Recommender], tmp_path: Path
) -> None:
    entered(registry, fitted[Family.TRENDING])
    registry.artifact_root.rename(tmp_path / "moved é, 100 %")
    moved = Registry(registry.tracking_uri, tmp_path / "moved é, 100 %")

    changed = [
        follow_home(sa.make_url(registry.tracking_uri), NAME, moved.artifact_root) for _ in range(2)
    ]

    assert changed == [registry.artifact_root.as_uri(), None]
    version = entered(moved, fitted[Family.RANDOM])
    assert moved.load(moved.version("1")).family == "trending"
    assert moved.load(version).family == "random"
    assert not registry.artifact_root.exists()


def test_a_copied_home_writes_its_versions_into_itself(
    registry: Registry,
    fitted: dict[Family, Recommender],
    new_database: Callable[[str], sa.URL],
    tmp_path: Path,
) -> None:
    entered(registry, fitted[Family.TRENDING])
    before = sorted(registry.artifact_root.rglob("*"))
    url = sa.make_url(registry.tracking_uri)
    disconnected(url)
    database = new_database(str(url.database))
    shutil.copytree(registry.artifact_root, tmp_path / "mlcopy")

    follow_home(database, NAME, tmp_path / "mlcopy")
    copy = registry_at(database, tmp_path / "mlcopy")
    version = entered(copy, fitted[Family.RANDOM])

    assert copy.load(version).family == "random"
    assert sorted(registry.artifact_root.rglob("*")) == before
    assert registry.load(registry.version("1")).family == "trending"
    with pytest.raises(ModelError, match="no version 2"):
        registry.version("2")


def test_an_experiment_that_was_deleted_in_mlflow_is_restored(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    entered(registry, fitted[Family.TRENDING])
    client = MlflowClient(tracking_uri=registry.tracking_uri)
    experiment = registry.ensure_experiment()
    client.delete_experiment(experiment)

    version = entered(registry, fitted[Family.RANDOM])

    assert registry.load(version).family == "random"
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert registry.metrics(registry.version("1")) == {"test_ndcg_at_10": 0.25}


def test_what_was_archived_deleted_or_registered_in_mlflows_pages_stops_nothing(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    for family in (Family.TRENDING, Family.RANDOM, Family.CONTENT):
        entered(registry, fitted[family])
    client = MlflowClient(tracking_uri=registry.tracking_uri)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # stages are deprecated, and in the pages all the same
        client.transition_model_version_stage(NAME, "1", "Archived")
    client.delete_model_version(NAME, "2")
    client.create_model_version(NAME, source="/elsewhere")
    client.delete_run(registry.version("3").run_id)

    assert [version.version for version in registry.versions()] == ["1", "3"]
    assert registry.load(registry.version("1")).family == "trending"
    assert registry.load(registry.version("3")).family == "content"
    assert registry.find("2") is registry.find("4") is None
    for deed in (registry.version, lambda number: registry.set_alias("champion", number)):
        with pytest.raises(ModelError) as fault:
            deed("2")
        assert "deleted in MLflow" in fault.value.remedy
        assert "firstchair promote" in fault.value.remedy


def disconnected(url: sa.URL) -> None:
    """End the connections to a database, so that it can be copied."""
    admin = sa.create_engine(
        to_driver(url, "psycopg").set(database="postgres"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
        connection.execute(sa.text(ended), {"name": url.database})
    admin.dispose()


def test_versions_are_found_by_day_and_family(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    for day in (date(2026, 2, 1), date(2026, 2, 2)):
        for family in (Family.RANDOM, Family.TRENDING):
            entered(registry, fitted[family], as_of=day)

    assert [v.version for v in registry.versions()] == ["1", "2", "3", "4"]
    assert [v.version for v in registry.versions(as_of=date(2026, 2, 2))] == ["3", "4"]
    assert [v.version for v in registry.versions(as_of=date(2026, 2, 2), family="trending")] == [
        "4"
    ]


def test_an_alias_points_where_it_was_put(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
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
    assert [
        path.name
        for path in files
        if path.suffix in {".pkl", ".pickle", ".joblib"} or is_pickle(path)
    ] == []


def is_pickle(path: Path) -> bool:
    try:
        operations = [operation.name for operation, *_ in pickletools.genops(path.read_bytes())]
    except Exception:
        return False
    return operations[:1] == ["PROTO"]


def test_mlflow_itself_opens_a_version_and_predicts(
    registry: Registry, fitted: dict[Family, Recommender]
) -> None:
    version = entered(registry, fitted[Family.ALS])
    mlflow.set_tracking_uri(registry.tracking_uri)
    listeners = pd.DataFrame(
        {"country": ["CL", "SE"], "age_group": ["25-34"] * 2, "artist_ids": ["a000 a002", ""]}
    )

    served = mlflow.pyfunc.load_model(f"models:/artist-recommender/{version.version}")
    lists = served.predict(listeners)

    first = lists["artist_ids"][0].split()
    assert len(first) == 20
    assert {int(artist[1:]) % 2 for artist in first[:10]} == {0}
    assert served.metadata.signature is not None


def test_a_registry_out_of_reach_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        registry.describe_decision(
            version.version, sequence=sequence, decision_id=f"d{sequence}", sentence=sentence
        )

    client = mlflow.MlflowClient(registry.tracking_uri, registry.tracking_uri)
    described = client.get_model_version(NAME, version.version)
    run = client.get_run(version.run_id)
    assert described.description == (
        f"XGBoost, fitted on everything before {AS_OF}. "
        "Simulated data: no figure here is of a real service.\n\n"
        "Cause of the training: drift of country.\n\n"
        "test_ndcg_at_10 0.2500.\n\n"
        "[Dagster run](http://dagster/runs/7)\n\n"
        "Newest decision: [Entry 4 of the ledger](http://console/decisions/d4): It becomes "
        "champion."
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
    runs = (
        f"#/experiments/{experiment.experiment_id}/runs"
        "?viewStateShareKey=figures&workflowType=machine_learning"
    )
    assert runs in client.get_registered_model(NAME).description
