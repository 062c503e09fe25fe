"""One definition, two engines: Spark gives the rows that DuckDB gives."""

import shutil
import sys
from collections.abc import Iterator
from datetime import date, timedelta

import ibis
import pytest

from firstchair.features import History, artist_statistics, first_taken, interactions, user_features

AS_OF = date(2026, 2, 10)


@pytest.fixture(scope="module")
def spark() -> Iterator[ibis.BaseBackend]:
    sql = pytest.importorskip("pyspark.sql", reason="the extra `spark` is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17")
    local = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.pyspark.python": sys.executable,
    }
    session = sql.SparkSession.builder.master("local[2]").config(map=local).getOrCreate()
    yield ibis.pyspark.connect(session)
    session.stop()


@pytest.mark.parametrize(
    "feature",
    [
        lambda history: artist_statistics(history, as_of=AS_OF),
        lambda history: first_taken(history, start=date(2026, 1, 2), end=AS_OF),
        lambda history: interactions(history, as_of=AS_OF),
        lambda history: user_features(history, as_of=AS_OF),
    ],
    ids=["artist_statistics", "first_taken", "interactions", "user_features"],
)
def test_spark_gives_the_rows_of_duckdb(scene, rows, spark, tmp_path, feature):
    history = scene.history(scene.busy(until=AS_OF + timedelta(days=5)))
    views = {}
    for name in ("events", "users", "artists", "tracks"):
        getattr(history, name).to_parquet(tmp_path / f"{name}.parquet")
        spark._session.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
        views[name] = spark.table(name)

    # Past Ibis, which fetches through pandas and cannot bring a map back.
    fetched = spark._session.sql(spark.compile(feature(History(**views)))).toArrow()

    expected = rows(feature(history))
    assert (
        sorted(
            fetched.to_pylist(), key=lambda row: str([row.get("user_key"), row.get("artist_id")])
        )
        == expected
    )
    assert len(expected) > 1
