"""The command line: options in, one domain call, a table or one JSON document out."""

from firstchair.cli import evaluation as _evaluation
from firstchair.cli.app import app, main

__all__ = ["_evaluation", "app", "main"]
