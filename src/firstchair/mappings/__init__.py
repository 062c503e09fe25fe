"""How sources of another form are read: which of their fields, columns or queries mean what."""

from firstchair.mappings.accounts import AccountMapping, TableMapping
from firstchair.mappings.events import PRESETS, EventMapping, FieldMapping

__all__ = ["PRESETS", "AccountMapping", "EventMapping", "FieldMapping", "TableMapping"]
