"""Registered versions: whole, without pickle, the same however often they are asked for."""

import pickletools
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from firstchair.errors import ModelError
from firstchair.models import Family, Recommender
from firstchair.promotion import Registry, Stage, Version
from tests.firstchair.models.toys import AS_OF, checkerboard


def entered(registry: Registry, model: Recommender, as_of: date = AS_OF, data: str = "one") -> Version:
    return registry.register(model, as_of=as_of, data_fingerprint=data, metrics={"test_ndcg_at_10": 0.25}, seed=1)


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
