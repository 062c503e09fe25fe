"""Adapters of public data sets: each writes both sources and says what is real or composed."""

from firstchair.datasets.load import DATASETS, LoadReport, load

__all__ = ["DATASETS", "LoadReport", "load"]
