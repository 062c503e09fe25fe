"""Read a published version: columns mapped from disk and shared by all workers, if it is whole."""

import hashlib
import json
import mmap
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
import orjson

from firstchair.definitions.arms import HOLDOUT, Bounds, role_at
from firstchair.errors import ModelError
from firstchair.outbox.prefault import prefault_for_reading
from firstchair.publication.factors import Folding, open_folding
from firstchair.publication.layout import (
    FORMAT,
    MANIFEST,
    NAME,
    NOBODY,
    POINTER,
    READABLE,
    REDIRECTS,
    UNKNOWN_USER,
    VERSIONS,
    name_of,
    role_named,
)
from firstchair.publication.reranking import Reranker

# What a damaged version, or one of an unknown form, raises when it is read.
FAULTS = (OSError, ValueError, KeyError, StopIteration)


@dataclass(frozen=True, slots=True)
class Columns:
    """One role's lists as flat views, user after user, `length` entries each.

    artists: int32, numbers in the catalogue, `NOBODY` past a list's end. scores: int16, units of
    1 / 10,000. reasons: int32, numbers of texts.
    """

    artists: memoryview
    scores: memoryview
    reasons: memoryview

    def entries(self, start: int, count: int) -> tuple[list[int], list[int], list[int]]:
        """Artists, scores and reasons of `count` entries, in two thirds of the time of slices."""
        wide, narrow = _unpacked(count)
        return (
            [*wide(self.artists, 4 * start)],
            [*narrow(self.scores, 2 * start)],
            [*wide(self.reasons, 4 * start)],
        )


@dataclass(frozen=True, slots=True)
class Role:
    """The model in a role: its family and its registered version.

    data_until: first day (ISO 8601) whose events it was not fitted on. data_fingerprint: digest of
    the data that it was fitted on. Both are empty in versions published before they were kept.
    """

    family: str
    version: str
    data_until: str = ""
    data_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """One published version, mapped.

    key_high, key_low: uint64 views, the halves of each user's key, ascending by both. starts:
    uint32 view (2^16 + 1,), the first row whose key's first 16 bits are so much or more. buckets:
    uint16, the user's for arms. arms: roles by bucket. unknown_user_list: the list that unknown
    users are shown; unknown_users: the model that made it. artist_ids, names: JSON texts of the
    catalogue, by number. redirects: the current artist by each that was merged into it.
    reason_text, reason_offsets: texts as JSON, one after another. folding: what fold-ins need; None
    where it was not published. rankers: by registered version, those that reorder the folded lists
    of their users. code_version: the release of firstchair that made the lists.
    refused: what was to be served instead and is damaged, each with its fault.
    """

    version: str
    as_of: date
    users: int
    length: int
    simulated: bool
    roles: dict[str, Role]
    unknown_users: Role
    columns: dict[str, Columns]
    unknown_user_list: Columns
    key_high: memoryview
    key_low: memoryview
    starts: memoryview
    buckets: memoryview
    arms: Bounds
    artist_ids: list[str]
    redirects: dict[str, str]
    names: list[str | None]
    reason_offsets: memoryview
    reason_text: mmap.mmap
    folding: Folding | None = None
    rankers: dict[str, Reranker] = field(default_factory=dict)
    code_version: str = ""
    refused: tuple[str, ...] = ()

    def role_of(self, row: int) -> str:
        """Role whose list the user of a row sees."""
        return role_at(self.arms, self.buckets[row])

    def row(self, user_key: bytes) -> int:
        """Row of the user with these 16 bytes of key; `NOBODY` where they have no list."""
        high, low = int.from_bytes(user_key[:8]), int.from_bytes(user_key[8:])
        first = high >> 48
        row = bisect_left(self.key_high, high, self.starts[first], self.starts[first + 1])
        while row < self.users and self.key_high[row] == high:
            if self.key_low[row] == low:
                return row
            row += 1
        return NOBODY

    def number_of(self, artist_id: str) -> int:
        """Number of an artist, or of the artist it was merged into; `NOBODY` if it is unknown."""
        artist_id = self.redirects.get(artist_id, artist_id)
        place = bisect_left(self.artist_ids, artist_id)
        return (
            place
            if place < len(self.artist_ids) and self.artist_ids[place] == artist_id
            else NOBODY
        )

    def reason(self, number: int) -> str:
        """The published text of a reason."""
        return str(
            orjson.loads(
                self.reason_text[self.reason_offsets[number] : self.reason_offsets[number + 1]]
            )
        )


@lru_cache
def _unpacked(count: int) -> tuple[Callable[..., tuple[int, ...]], Callable[..., tuple[int, ...]]]:
    """Functions that read `count` int32, and `count` int16, at an offset in bytes."""
    return Struct(f"{count}i").unpack_from, Struct(f"{count}h").unpack_from


def open_published(root: Path) -> Published:
    """Map the version that the pointer names or, if that is torn or corrupt, the newest whole one.

    Raises:
        ModelError: Nothing whole has been published.
    """
    refused = [] if _is_named(root) else [f"{POINTER}: it names no version"]
    for name in _candidates(root):
        try:
            return replace(_open(root / VERSIONS / name), refused=tuple(refused))
        except FAULTS as error:
            refused.append(f"{name}: {error}")
    raise ModelError(
        f"No whole published version was found{': ' if refused else ''}{'; '.join(refused)}.",
        where=str(root),
        data="Nothing is served.",
        remedy="Publish lists with `firstchair run`.",
    )


def current(root: Path) -> str | None:
    """Name of the version that the pointer names; None before the first, or where it names none."""
    try:
        text = (root / POINTER).read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return text if NAME.fullmatch(text) else None


def to_serve(root: Path) -> tuple[str, int] | None:
    """The pointer's content and when its version was put there; None before any publication.

    It changes when another version is published, or a damaged one is published again.
    """
    if not (root / POINTER).exists():
        return None
    name = current(root)
    return (name or "", _changed(root / VERSIONS / name)[1] if name else 0)


def damage(root: Path) -> str | None:
    """What is wrong with the version that is to be served; None before any, and where it is whole.

    Files that are as they were at the last call are not read again.
    """
    if not _is_named(root):
        return f"{POINTER}: it names no version"
    name = current(root)
    if name is None:
        return None
    folder = root / VERSIONS / name
    files = sorted(folder.rglob("*"))
    return _fault(folder, tuple((path, *_changed(path)) for path in files))


@lru_cache(maxsize=4)
def _fault(folder: Path, _state: tuple[tuple[Path, int, int], ...]) -> str | None:
    return fault_of(folder)


def _changed(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_size, found.st_mtime_ns


def fault_of(folder: Path) -> str | None:
    """Why a published version is not whole; None where it is."""
    try:
        _manifest(folder)
    except FAULTS as error:
        return f"{folder.name}: {error}"
    return None


def _is_named(root: Path) -> bool:
    """Whether the pointer names a version, or was never written."""
    return current(root) is not None or not (root / POINTER).exists()


def _candidates(root: Path) -> list[str]:
    """The version pointed to, then the others from the newest on."""
    folder = root / VERSIONS
    found = (
        [path for path in folder.iterdir() if not path.name.startswith(".")]
        if folder.exists()
        else []
    )
    newest = [path.name for path in sorted(found, key=lambda path: -path.stat().st_mtime_ns)]
    pointed = current(root)
    return [pointed, *(name for name in newest if name != pointed)] if pointed else newest


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a version, which is whole.

    Raises:
        OSError, ValueError, KeyError: It is not.
    """
    manifest: Any = json.loads((folder / MANIFEST).read_text())
    if not isinstance(manifest, dict):
        raise ValueError("its manifest is none")
    if manifest["format"] not in READABLE:
        raise ValueError(f"format {manifest['format']} is none of {READABLE}")
    if manifest["format"] == FORMAT and name_of(manifest) != folder.name:
        raise ValueError("its manifest is not what was published")
    if not manifest["arms"]:
        raise ValueError("its manifest names no arms")
    for name, expected in manifest["files"].items():
        _verify(folder / name, expected)
    return manifest


def _open(folder: Path) -> Published:
    manifest = _manifest(folder)
    catalogue = orjson.loads((folder / "catalogue.json").read_bytes())
    artist_ids = [artist_id for artist_id, _ in catalogue]
    as_of = date.fromisoformat(manifest["as_of"])
    # Earlier releases published no redirects.
    known = REDIRECTS in manifest["files"]
    redirects = orjson.loads((folder / REDIRECTS).read_bytes()) if known else {}
    # Earlier releases published no rankers.
    rankers = (manifest["folding"] or {}).get("rankers", {})
    key_high = _mapped(folder / "key_high.npy")
    return Published(
        version=manifest["version"],
        as_of=as_of,
        users=manifest["users"],
        length=manifest["length"],
        simulated=manifest["simulated"],
        roles={role_named(stored): _role(found) for stored, found in manifest["roles"].items()},
        unknown_users=_role(manifest.get("unknown_users") or _holdout(manifest["roles"])),
        columns={role_named(stored): _columns(folder, stored) for stored in manifest["roles"]},
        unknown_user_list=_columns(folder, UNKNOWN_USER),
        key_high=key_high,
        key_low=_mapped(folder / "key_low.npy"),
        starts=_starts(key_high),
        buckets=_mapped(folder / "buckets.npy"),
        arms=tuple((role_named(stored), end) for stored, end in manifest["arms"]),
        artist_ids=artist_ids,
        redirects=redirects,
        names=[name for _, name in catalogue],
        reason_offsets=_mapped(folder / "reason_offsets.npy"),
        reason_text=_text(folder / "reasons.json"),
        folding=open_folding(folder, manifest["folding"]),
        rankers={
            version: Reranker(folder, version, facts, artist_ids=artist_ids, as_of=as_of)
            for version, facts in rankers.items()
        },
        code_version=manifest.get("code_version", ""),
    )


def _verify(path: Path, expected: dict[str, Any]) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected["sha256"]:
        raise ValueError(f"{path.name} is not what was published")


def _holdout(roles: dict[str, Any]) -> dict[str, Any]:
    """The role whose model made the list of unknown users in publications of earlier releases."""
    return next(found for stored, found in roles.items() if role_named(stored) == HOLDOUT)


def _role(found: dict[str, Any]) -> Role:
    return Role(**{name: found[name] for name in Role.__slots__ if name in found})


def _columns(folder: Path, role: str) -> Columns:
    return Columns(
        *(_mapped(folder / f"{role}.{name}.npy") for name in ("artists", "scores", "reasons"))
    )


def _starts(key_high: memoryview) -> memoryview:
    """First row of the keys with each first 16 bits; a search between two touches few pages."""
    prefixes = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    return (
        np.append(np.searchsorted(np.asarray(key_high), prefixes), len(key_high))
        .astype(np.uint32)
        .data
    )


def _mapped(path: Path) -> memoryview:
    """A flat view of an array mapped from disk; all processes that map it share its pages."""
    array = np.load(path, mmap_mode="r").reshape(-1)
    prefault_for_reading(array)
    return memoryview(array)


def _text(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
