"""The command line: options in, one domain call, a table or one JSON document out."""

from firstchair.cli import erasure, evaluation, gate, tokens, upkeep
from firstchair.cli.app import app, main

__all__ = ["app", "erasure", "evaluation", "gate", "main", "tokens", "upkeep"]
