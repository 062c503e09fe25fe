"""Adapters of public data sets: each writes the two sources, and says what is real and what is composed."""

from firstchair.datasets.load import DATASETS, LoadReport, load

__all__ = ["DATASETS", "LoadReport", "load"]
