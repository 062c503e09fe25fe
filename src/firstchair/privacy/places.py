"""Every place where a `user_key` is stored; erasure and rotation of the key work through this list.

Fitted models are none of them: every family stores artists alone and gets users with the data of a
day. A spooled event and an object of the event store hold the `user_id`, never the `user_key`.
"""

from dataclasses import dataclass

from firstchair.lake import Table
from firstchair.lake import tables as t

# The column that holds a pseudonym, in every table that is about users.
COLUMN = "user_key"
# Texts in which a pseudonym may stand in the place of a `user_id`.
TEXTS = {
    t.BRONZE_EVENTS.name: ("extra",),
    t.EVENTS.name: ("extra",),
    t.QUARANTINE_EVENTS.name: ("raw", "detail"),
    t.QUARANTINE_USERS.name: ("detail",),
}
# Outside the lake: in each published version the keys of its users (`key_high.npy`, `key_low.npy`;
# other arrays have a row for each of them), and today's signals, in files under the spool.


@dataclass(frozen=True, slots=True)
class TablePlace:
    """A table of the lake with pseudonyms.

    keyed: whether it has the column `user_key`. texts: columns in whose texts pseudonyms may stand.
    """

    table: Table
    keyed: bool
    texts: tuple[str, ...]


def table_places() -> tuple[TablePlace, ...]:
    """The tables of the lake that hold pseudonyms, in the order of `ALL_TABLES`."""
    found = (
        TablePlace(table, COLUMN in table.schema.names, TEXTS.get(table.name, ()))
        for table in t.ALL_TABLES
    )
    return tuple(place for place in found if place.keyed or place.texts)
