"""Pseudonyms under a new key: the map of user_keys, and the lake's tables rewritten with it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.mappings import TableMapping
from firstchair.privacy.places import COLUMN, TablePlace, table_places
from firstchair.sources import EventStore, Record, accounts, read_table, user_key

ROWS_AT_ONCE, RECORDS_AT_ONCE = 1 << 17, 50_000
# A pseudonym in a text.
_PSEUDONYM = "[0-9a-f]{32}"
_WHOLE = re.compile(rf"(?<![0-9a-f]){_PSEUDONYM}(?![0-9a-f])")
UserIds: TypeAlias = Callable[[Sequence[Record]], Iterable[str]]
PAIRS = pa.schema([("old", pa.string()), ("new", pa.string()), ("orphan", pa.bool_())])


def pairs(
    lake: Lake,
    accounts_url: sa.URL,
    store: EventStore,
    *,
    old_key: bytes,
    new_key: bytes,
    user_ids: UserIds,
    others: Iterable[str] = (),
    mapping: TableMapping | None = None,
) -> pa.Table:
    """Old and new pseudonym of every user who has an account or stands in a table.

    A user without an account is looked for in the objects that their events came from. One who is
    in none of these either is an orphan: their new pseudonym is made of the old one, so that their
    rows still belong together, and a later event of theirs is another user's.

    Args:
        lake: The tables, under the old key.
        accounts_url: Database of the accounts.
        store: The event store.
        old_key: Secret of the pseudonyms in the tables.
        new_key: Secret of those to come.
        user_ids: Account keys of the events among some records.
        others: Pseudonyms that stand elsewhere than in a column of a table.
        mapping: How accounts of another form are read.

    Returns:
        Columns of `PAIRS`, one row a user, by old pseudonym.

    Raises:
        SourceError: The accounts or the event store cannot be read.
    """
    found: dict[str, str] = {}
    for people in read_table(accounts_url, accounts.USERS, mapping=mapping):
        ids = [user_id for user_id in people["user_id"] if user_id]
        found |= {user_key(user_id, old_key): user_key(user_id, new_key) for user_id in ids}
    missing = (_stored(lake) | {*others}) - found.keys()
    for user_id in _landed(lake, store, missing, old_key, user_ids):
        found[user_key(user_id, old_key)] = user_key(user_id, new_key)
    orphans = missing - found.keys()
    found |= {old: user_key(old, new_key) for old in orphans}
    old = sorted(found)
    return pa.table([old, [found[key] for key in old], [k in orphans for k in old]], schema=PAIRS)


def _stored(lake: Lake) -> set[str]:
    """Every pseudonym in a column of a table."""
    columns = [
        f"select {COLUMN} from {lake.scan(place.table)}" for place in table_places() if place.keyed
    ]
    with connect() as connection:
        rows = connection.execute(
            f"select distinct {COLUMN} from ({' union all '.join(columns)}) "
            f"where {COLUMN} is not null"
        ).fetchall()
    return {key for (key,) in rows}


def _landed(
    lake: Lake, store: EventStore, wanted: set[str], key: bytes, user_ids: UserIds
) -> Iterator[str]:
    """Account keys of these pseudonyms, from the objects that their events came from."""
    left = set(wanted)
    if not left:
        return
    with connect() as connection:
        connection.register("wanted", pa.table({COLUMN: pa.array(sorted(left), pa.string())}))
        names = connection.execute(
            f"select distinct object_url from {lake.scan(t.BRONZE_EVENTS)} "
            f"semi join wanted using ({COLUMN}) order by object_url"
        ).fetchall()
    there = store.states() if names else {}
    for name in (name for (name,) in names if name in there):
        records = store.records(name) if left else iter(())
        while some := list(islice(records, RECORDS_AT_ONCE)):
            for user_id in user_ids(some):
                if (pseudonym := user_key(user_id, key)) in left:
                    left.discard(pseudonym)
                    yield user_id


def rekey_table(lake: Lake, place: TablePlace, found: pa.Table) -> int:
    """Put new pseudonyms in the place of old ones in one table, in one commit.

    It is idempotent: no new pseudonym is an old one, and nothing is written where no old one is.

    Args:
        lake: The tables.
        place: The table and where it has pseudonyms.
        found: As `pairs` gives them.

    Returns:
        How many rows were written.
    """
    if lake.snapshot(place.table) is None:
        return 0
    new = dict(zip(found["old"].to_pylist(), found["new"].to_pylist(), strict=True))
    scan = lake.scan(place.table)
    with connect() as connection:
        connection.register("pairs", found)
        texts = [name for name in place.texts if _register_texts(connection, scan, name, new)]
        has_old = place.keyed and connection.execute(
            f"select exists (select 1 from {scan} semi join pairs on {COLUMN} = old)"
        ).fetchall() == [(True,)]
        if not has_old and not texts:
            return 0
        replaced = [f"coalesce(pairs.new, x.{COLUMN}) as {COLUMN}"] if place.keyed else []
        replaced += [f"coalesce({name}s.new, x.{name}) as {name}" for name in texts]
        joins = [f"left join pairs on x.{COLUMN} = pairs.old"] if place.keyed else []
        joins += [f"left join {name}s on x.{name} = {name}s.old" for name in texts]
        names = ", ".join(f'"{name}"' for name in place.table.schema.names)
        rows = connection.sql(
            f"select {names} from (select x.* replace ({', '.join(replaced)}) "
            f"from {scan} x {' '.join(joins)}) order by {_order(place)}"
        )
        lake.overwrite(place.table, rows.to_arrow_reader(ROWS_AT_ONCE))
    return lake.count(place.table)


def _order(place: TablePlace) -> str:
    """Order of the rows in the files, as builds write them: by partition, and then near another."""
    names = place.table.schema.names
    inner = ("source", "source_seq") if "source" in names else (COLUMN,)
    return ", ".join([*filter(None, [place.table.partition_by]), *inner])


def _register_texts(
    connection: duckdb.DuckDBPyConnection, scan: str, name: str, new: Mapping[str, str]
) -> bool:
    """Make `{name}s` a relation of texts with old pseudonyms, replaced; True if there is any."""
    rows = connection.execute(
        f"select distinct {name} from {scan} where regexp_matches({name}, '{_PSEUDONYM}')"
    ).fetchall()
    changed = {text: rekeyed_text(text, new) for (text,) in rows}
    changed = {text: after for text, after in changed.items() if after != text}
    columns = {"old": pa.array([*changed], pa.string()), "new": pa.array(changed.values())}
    connection.register(f"{name}s", pa.table(columns))
    return bool(changed)


def rekeyed_text(text: str, new: Mapping[str, str]) -> str:
    """The text with new pseudonyms in the place of old ones.

    >>> rekeyed_text('{"user_id":"' + 32 * "a" + '"}', {32 * "a": 32 * "b"})
    '{"user_id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}'
    """
    return _WHOLE.sub(lambda match: new.get(match[0], match[0]), text)
