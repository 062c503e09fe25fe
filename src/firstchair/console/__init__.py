"""The review console: server-rendered pages over the lake, the ledger and what is served."""

from firstchair.console.routes import console
from firstchair.console.sources import ConsoleConfig, Sources

__all__ = ["ConsoleConfig", "Sources", "console"]
