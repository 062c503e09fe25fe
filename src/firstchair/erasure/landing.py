"""Objects of the event store that hold a user: listed, and rewritten where that is asked."""

import gzip
from collections.abc import Iterable
from typing import Any

import fsspec
import orjson
import pyarrow as pa
import zstandard

from firstchair.erasure.identity import ERASED, Identity
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.sources import EventStore, Record
from firstchair.sources.objects import PARTIAL


def objects_with(store: EventStore, identity: Identity) -> list[str]:
    """Names of the event objects that hold the user, ascending; all objects are read.

    Raises:
        SourceError: The store cannot be reached.
    """
    return [
        name
        for name in store.states()
        if any(_is_about(record, identity) for record in store.records(name))
    ]


def rewrite(
    lake: Lake, store: EventStore, names: Iterable[str], identity: Identity
) -> tuple[list[str], list[str]]:
    """Write objects again without the user's records; the names of those that were, and were not.

    Every other record keeps its text and its line, so that places in quarantine/events stay right;
    an array becomes one value a line. An object with a record that cannot be read whole is left as
    it is. The new version is noted as read, so that no alert is raised for it.

    Raises:
        SourceError: The store cannot be reached.
    """
    done, left = [], []
    files, root = fsspec.core.url_to_fs(store.url, **store.storage_options)
    for name in names:
        records = list(store.records(name))
        if not all(map(_is_whole, records)):
            left.append(name)
            continue
        path = f"{root.rstrip('/')}/{name}"
        packed = _packed(files.cat_file(path), _without(records, identity))
        files.pipe_file(f"{path}{PARTIAL}", packed)
        files.mv(f"{path}{PARTIAL}", path)
        done.append(name)
    _note_versions(lake, store, done)
    return done, left


def _is_about(record: Record, identity: Identity) -> bool:
    named = identity.user_id in record.text and _user_of(record) == identity.user_id
    return named or identity.is_in(record.text)


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


def _without(records: Iterable[Record], identity: Identity) -> bytes:
    """The records but the user's, each on the line that it was on; names in others are masked."""
    lines: list[bytes] = []
    for record in records:
        if _user_of(record) == identity.user_id:
            continue
        text = record.text.encode("utf-8", "surrogatepass")
        text = identity.masked(text) if identity.found_in(text) else text
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
