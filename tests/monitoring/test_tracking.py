"""Figures of sources with any name are metrics that MLflow takes, each under its own name."""

import pytest
from mlflow.utils.validation import _validate_metric, path_not_unique

from monitoring.tracking import metric_name

KEYS = ("ios", "kafka://eu/app", "/srv/log", "web/", "a//b", "../x", "", ".", "..", "x" * 300)


@pytest.mark.parametrize("key", [*KEYS, "é" * 200, "Ligne 1\n\0", "☃"])
def test_mlflow_takes_the_figure_of_a_source_with_any_name(key: str) -> None:
    name = metric_name("sequence_gaps", key)

    _validate_metric(name, 1.0, 0, 0)
    assert not path_not_unique(name)
    assert name.startswith("sequence_gaps/")
    assert name.count("/") == 1


def test_no_two_sources_share_a_name() -> None:
    keys = (*KEYS, "a/b", "a:b", "a_b", "x" * 301, "x" * 299 + "y")

    assert len({metric_name("silent", key) for key in keys}) == len(keys)
