"""What the engine spark needs, and how it is told where that is missing."""

import fcntl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firstchair.commands.doctor import examine
from firstchair.definitions.checks import CheckState
from firstchair.erasure import forget_users
from firstchair.errors import RunError, SettingsError
from firstchair.lake import (
    Lake,
    SparkSettings,
    computing,
    open_engine,
    remove_left,
    require_engine,
    staged_files,
)
from firstchair.settings import Settings, load_settings


@pytest.fixture
def on_spark(lake: Lake) -> Lake:
    return replace(lake, engine="spark")


def java(folder: Path, release: str) -> None:
    """A Java of that release, at JAVA_HOME `folder`."""
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{release}\" 2020-01-01' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    "used", [{"engine": "spark"}, {"spark": SparkSettings(fits_als=True)}], ids=("engine", "als")
)
def test_without_the_extra_the_error_names_the_command(
    used: dict[str, Any], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)

    with pytest.raises(SettingsError, match=r"pip install 'firstchair\[spark\]'"):
        open_engine(replace(lake, **used))


def test_an_erasure_that_could_not_fit_models_again_does_not_begin(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    only_a_lake: Any = SimpleNamespace(lake=replace(lake, spark=SparkSettings(fits_als=True)))

    with pytest.raises(SettingsError, match="Spark needs pyspark"):
        forget_users(only_a_lake, ["u1"])


def test_without_java_the_error_says_how_to_get_it(
    on_spark: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(SettingsError, match=r"no Java is found.*openjdk-17-jre-headless"):
        require_engine(on_spark)
    java(tmp_path, "1.8.0_402")
    with pytest.raises(SettingsError, match="Java 8 is too old"):
        require_engine(on_spark)
    java_of_spark = tmp_path / "bin" / "java"
    java_of_spark.write_text(java_of_spark.read_text().replace("1.8.0_402", "17.0.15"))
    require_engine(on_spark)


def test_of_an_error_in_the_python_of_an_executor_its_own_text_is_told() -> None:
    errors = pytest.importorskip("pyspark.errors", reason="the extra `spark` is not installed")
    told = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/opt/firstchair/models/storage.py", line 47, in read
    raise ModelError(
firstchair.errors.ModelError: The model cannot be read: no such file.

Driver stacktrace:
"""

    with (
        pytest.raises(RunError, match=r"not compute: firstchair.errors.ModelError: The model can"),
        computing(SparkSettings()),
    ):
        raise errors.PythonException(told)


def test_doctor_says_of_spark_what_is_missing_only_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    away = "postgresql://nobody@127.0.0.1:9/x"
    found = [
        {
            finding.name: finding
            for finding in examine(
                Settings(
                    home=tmp_path,
                    engine=engine,
                    als_fitted_by=als,
                    database_url=away,
                    source_database_url=away,
                )
            )
        }
        for engine, als in (("duckdb", "implicit"), ("spark", "implicit"), ("duckdb", "spark"))
    ]

    assert "spark" not in found[0]
    for checks in found[1:]:
        assert checks["spark"].state is CheckState.FAILS
        assert "pip install" in checks["spark"].remedy


def test_a_lake_on_s3_is_refused_before_spark_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path))
    monkeypatch.setenv("FIRSTCHAIR_ENGINE", "spark")
    monkeypatch.setenv("FIRSTCHAIR_LAKE_URL", "s3://bucket/lake")

    with pytest.raises(SettingsError, match=r"engine spark reads a lake in a folder"):
        load_settings()


def test_options_of_spark_are_names_and_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path))
    monkeypatch.setenv("FIRSTCHAIR_SPARK_OPTIONS", "spark.executor.memory=4g spark.a.b=c=d")
    assert load_settings().spark_properties == (
        ("spark.executor.memory", "4g"),
        ("spark.a.b", "c=d"),
    )

    monkeypatch.setenv("FIRSTCHAIR_SPARK_OPTIONS", "executor.memory=4g")
    with pytest.raises(SettingsError, match=r"'executor.memory=4g' is not of the form"):
        load_settings()


def test_what_a_killed_run_staged_is_removed_unless_the_folder_is_in_use(tmp_path: Path) -> None:
    spark = SparkSettings(folder=tmp_path / "spark")
    remove_left(spark)
    staged = spark.scratch / "staged-x" / "rows"

    staged.mkdir(parents=True)
    with (spark.scratch / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        remove_left(spark)
        assert staged.is_dir()
    remove_left(spark)

    assert [path.name for path in spark.scratch.iterdir()] == [".lock"]


def test_rows_that_executors_wrote_into_a_folder_of_their_own_are_missed(tmp_path: Path) -> None:
    spark = SparkSettings("spark://host:7077")

    with pytest.raises(RunError, match=r"spark://host:7077 wrote nothing where.*share the folder"):
        staged_files(spark, tmp_path)


def test_with_duckdb_nothing_imports_spark(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["pyspark"] = None  # an import of it fails
from datetime import date
from firstchair.features import build_interactions
from firstchair.lake import Lake
build_interactions(Lake({str(tmp_path)!r}), as_of=date(2026, 1, 9))
"""

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
