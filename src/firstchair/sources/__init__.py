"""Reading what others own: event objects, accounts, catalogue."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.sources import accounts
    from firstchair.sources.objects import EventStore, ObjectState, in_batches, spread
    from firstchair.sources.pseudonyms import user_key
    from firstchair.sources.records import Record, is_plain_name, records_of
    from firstchair.sources.skipped import SkippedObjects
    from firstchair.sources.tables import (
        REPEATS,
        missing_tables,
        read_table,
        table_columns,
        unknown_keys,
        value_counts,
        values_by_key,
        whole_table,
    )
    from firstchair.sources.tombstones import Tombstone, Tombstones

__all__ = [
    "REPEATS",
    "EventStore",
    "ObjectState",
    "Record",
    "SkippedObjects",
    "Tombstone",
    "Tombstones",
    "accounts",
    "in_batches",
    "is_plain_name",
    "missing_tables",
    "read_table",
    "records_of",
    "spread",
    "table_columns",
    "unknown_keys",
    "user_key",
    "value_counts",
    "values_by_key",
    "whole_table",
]

__getattr__ = deferred(
    __name__,
    __all__,
    ("pseudonyms", "tombstones", "skipped", "records", "objects", "tables", "accounts"),
)
