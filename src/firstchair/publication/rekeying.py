"""Published versions under new pseudonyms: the same lists of the same users, in a new order."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.publication.layout import MANIFEST, POINTER, VERSIONS
from firstchair.publication.matrices import KINDS
from firstchair.publication.published import fault_of
from firstchair.publication.writing import finish, point_to, unfinished

HIGH, LOW = "key_high.npy", "key_low.npy"
# The users' rows of the matrix, one after another, and where each begins.
OFFSETS, OF_ROWS = "row.offsets.npy", ("row.artists.npy", "row.confidence.npy")


def published_keys(root: Path) -> set[str]:
    """Pseudonyms of the users of all whole published versions, 32 hex digits each."""
    whole = (folder for folder in _versions(root) if fault_of(folder) is None)
    return {key.hex() for folder in whole for key in _keys(folder)}


def rekey_published(root: Path, new: Mapping[str, str]) -> int:
    """Put new pseudonyms in the place of old ones in every published version.

    A version becomes another one, since its content names it; the pointer follows, and the old
    version is removed. It is idempotent: a version without an old pseudonym is left as it is. A
    damaged version is removed, since a new digest would make its damage valid; where the pointer
    names it, readers take the newest whole one until the lists are published again.

    Args:
        root: Folder of what is published.
        new: New pseudonym by old one, 32 hex digits each.

    Returns:
        How many versions were written.
    """
    for torn in (root / VERSIONS).glob(".*"):
        shutil.rmtree(torn)
    written = 0
    # The oldest first, because readers take the newest where the one pointed to is corrupt.
    for folder in sorted(_versions(root), key=lambda path: path.stat().st_mtime_ns):
        if fault_of(folder) is not None:
            shutil.rmtree(folder)
            continue
        keys = _keys(folder)
        if any(key.hex() in new for key in keys):
            name = _rekey(folder, [bytes.fromhex(new.get(k.hex(), k.hex())) for k in keys])
            if (root / POINTER).exists() and (root / POINTER).read_text() == folder.name:
                point_to(root, name)
            shutil.rmtree(folder)
            written += 1
    return written


def _versions(root: Path) -> Iterator[Path]:
    if (root / VERSIONS).exists():
        yield from (path for path in (root / VERSIONS).iterdir() if path.name[0] != ".")


def _keys(folder: Path) -> list[bytes]:
    """Keys of the users of a version, 16 bytes each, in the order of its rows."""
    halves = np.column_stack([np.load(folder / name) for name in (HIGH, LOW)]).astype(">u8")
    return [row.tobytes() for row in halves]


def _rekey(folder: Path, keys: list[bytes]) -> str:
    """Write a version with these keys for its rows; its name."""
    partial = folder.parent / f".{folder.name}.{os.getpid()}"
    facts = json.loads((folder / MANIFEST).read_text())
    with unfinished(partial):
        shutil.copytree(folder, partial)
        (partial / MANIFEST).unlink()
        _reorder(folder, partial, keys, facts)
        kept = {k: v for k, v in facts.items() if k not in {"files", "version"}}
        return finish(partial, folder.parent, kept)


def _reorder(folder: Path, partial: Path, keys: list[bytes], facts: Mapping[str, Any]) -> None:
    """Write the keys, ascending, and all that has a row for each user in their order."""
    halves = np.frombuffer(b"".join(keys), dtype=">u8").reshape(len(keys), 2).astype(np.uint64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    np.save(partial / HIGH, halves[order, 0])
    np.save(partial / LOW, halves[order, 1])
    for name in _of_users(facts):
        np.save(partial / name, np.load(folder / name, mmap_mode="r")[order])
    if (folder / OFFSETS).exists():
        _reorder_rows(folder, partial, order)


def _of_users(facts: Mapping[str, Any]) -> Iterator[str]:
    """Names of the arrays that have a row for each user."""
    yield "buckets.npy"
    yield from (f"{role}.{kind}.npy" for role in facts["roles"] for kind in KINDS)
    for ranker in (facts["folding"] or {}).get("rankers", {}):
        yield from (f"ranker.{ranker}.{of}.npy" for of in ("users", "cells"))


def _reorder_rows(folder: Path, partial: Path, order: npt.NDArray[np.int64]) -> None:
    """Write the users' rows of the matrix in another order."""
    offsets = np.load(folder / OFFSETS)
    lengths = np.diff(offsets)[order]
    ends = np.cumsum(lengths)
    # The place that each entry had: where its row began, and how far it stands in it.
    places = np.arange(int(lengths.sum())) + np.repeat(
        offsets[:-1][order] - (ends - lengths), lengths
    )
    np.save(partial / OFFSETS, np.concatenate([[0], ends]).astype(offsets.dtype))
    for name in OF_ROWS:
        np.save(partial / name, np.load(folder / name, mmap_mode="r")[places])
