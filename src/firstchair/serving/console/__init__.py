"""The review console: server-rendered pages over the lake, the ledger and what is served."""

from firstchair.serving.console.routes import console
from firstchair.serving.console.sources import ConsoleConfig, Sources

__all__ = ["ConsoleConfig", "Sources", "console"]
