"""Objects of the event store that hold users: listed, and rewritten where that is asked."""

import gzip
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import fsspec
import orjson
import pyarrow as pa
import zstandard

from firstchair.erasure.identity import ERASED, Identities, Identity
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.sources import EventStore, Record
from firstchair.sources.objects import PARTIAL

# Texts of records are searched together, which is faster than one by one.
PIECE_BYTES = 1 << 20


def objects_with(store: EventStore, identities: Identities) -> dict[Identity, list[str]]:
    """Names of the event objects that hold each user, ascending; all objects are read once.

    Raises:
        SourceError: The store cannot be reached.
    """
    found: dict[Identity, list[str]] = defaultdict(list)
    for name in store.states():
        for identity in _held_in(store.records(name), identities):
            found[identity].append(name)
    return found


def rewrite(
    lake: Lake, store: EventStore, names: Iterable[str], identities: Identities
) -> list[str]:
    """Write objects again without the users' records; the names of those that were written.

    Every other record keeps its text and its line, so that places in quarantine/events stay right;
    an array becomes one value a line. An object with a record that cannot be read whole is left as
    it is. The new version is noted as read, so that no alert is raised for it.

    Raises:
        SourceError: The store cannot be reached.
    """
    done = []
    files, root = fsspec.core.url_to_fs(store.url, **store.storage_options)
    for name in names:
        records = list(store.records(name))
        if not all(map(_is_whole, records)):
            continue
        path = f"{root.rstrip('/')}/{name}"
        packed = _packed(files.cat_file(path), _without(records, identities))
        files.pipe_file(f"{path}{PARTIAL}", packed)
        files.mv(f"{path}{PARTIAL}", path)
        done.append(name)
    _note_versions(lake, store, done)
    return done


def _held_in(records: Iterable[Record], identities: Identities) -> set[Identity]:
    """Who stands in the records of an object, by a name in a text or as the user of a record."""
    by_id = {identity.user_id: identity for identity in identities}
    held: set[Identity] = set()
    piece, size = [], 0
    for record in records:
        user = _user_of(record)
        if isinstance(user, str) and user in by_id:
            held.add(by_id[user])
        piece.append(record.text)
        size += len(record.text)
        if size >= PIECE_BYTES:
            held |= identities.users_in(_joined(piece))
            piece, size = [], 0
    return held | identities.users_in(_joined(piece))


def _joined(texts: Iterable[str]) -> bytes:
    return "\n".join(texts).encode("utf-8", "surrogatepass")


def _is_whole(record: Record) -> bool:
    """Whether a record's text gives its bytes again."""
    return len(record.text.encode("utf-8", "surrogatepass")) >= record.size and not (
        record.refused and "\ufffd" in record.text
    )


def _user_of(record: Record) -> Any:
    try:
        value = orjson.loads(record.text)
    except orjson.JSONDecodeError:
        return None
    return value.get("user_id") if isinstance(value, dict) else None


def _without(records: Iterable[Record], identities: Identities) -> bytes:
    """The records but the users', each on the line that it was on; names in others are masked."""
    leaving = [identity.user_id for identity in identities]
    lines: list[bytes] = []
    for record in records:
        if _user_of(record) in leaving:
            continue
        text = record.text.encode("utf-8", "surrogatepass")
        for identity in identities.users_in(text):
            text = identity.masked(text)
        lines += [b""] * (record.line - 1 - len(lines))
        lines += text.split(b"\n")
    return b"\n".join(lines) + b"\n"


def _packed(before: bytes, plain: bytes) -> bytes:
    """The bytes compressed as the object was."""
    if before.startswith(b"\x1f\x8b"):
        return gzip.compress(plain, mtime=0)
    if before.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdCompressor().compress(plain)
    return plain


def _note_versions(lake: Lake, store: EventStore, names: list[str]) -> None:
    """Note what the objects are now as what was read."""
    if not names:
        return
    states = store.states()
    rows = [
        {
            "batch_id": ERASED,
            "object_url": name,
            "store_version": states[name].version,
            "was_read": True,
        }
        for name in names
    ]
    lake.append(t.OBJECT_VERSIONS, pa.Table.from_pylist(rows, schema=t.OBJECT_VERSIONS.schema))
