"""The review console: server-rendered pages about the lake, the ledger and the served lists."""

from firstchair.console.routes import console
from firstchair.console.sources import ConsoleConfig, Sources

__all__ = ["ConsoleConfig", "Sources", "console"]
