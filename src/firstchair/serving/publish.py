"""Publishing: the lists of a day as memory-mapped columns in a folder of their own, then one pointer swapped to it."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

import firstchair
from firstchair.errors import ModelError
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.promotion import Alias, Arms, Registry, Stage, Version, arms_of
from firstchair.serving.factors import folding_files, folding_versions
from firstchair.serving.lists import trending_for_strangers

POINTER, VERSIONS, MANIFEST = "CURRENT", "versions", "manifest.json"
FORMAT = 2
# Scores are published with four decimals, as whole numbers of this unit.
SCORE_UNITS = 10_000
KEPT_VERSIONS = 5
# Another salt deals all users anew over the arms.
SALT = "first"
NOBODY = -1


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What is served now: name of the version, users, bytes on disk, registered version by role."""

    as_of: date
    published: str
    users: int
    bytes: int
    roles: dict[str, str]


def publish(
    lake: Lake,
    registry: Registry,
    *,
    as_of: date,
    root: Path,
    list_length: int,
    salt: str = SALT,
    arms: Arms | None = None,
) -> PublishReport:
    """Write the lists of `as_of` under `root` and point to them; the same lists again change nothing.

    Published are the champion's lists, the challenger's (shown in canary, explored in any case), those of trending
    for the holdback, one list for a listener of whom nothing is known, and what fold-ins need. The folder is whole
    before the pointer moves, and the `KEPT_VERSIONS` newest versions stay for a rollback.

    Raises:
        ModelError: There is no champion, or no list of his for that day; what is published stays.
    """
    roles = _roles(lake, registry, as_of)
    if arms is None or "previous" not in dict(arms.bounds):
        roles.pop("previous", None)
    if arms is not None:
        # A role without lists that day is not dealt: its users see the champion's.
        arms = replace(arms, bounds=tuple((role if role in roles else "champion", end) for role, end in arms.bounds))
    contents = lake.fingerprint(t.RECOMMENDATIONS, f"as_of = date '{as_of}'")
    stages = sorted((role, version.version, version.stage) for role, version in roles.items())
    folded = [*folding_versions(registry, as_of, roles)]
    matrix = lake.fingerprint(t.INTERACTIONS, f"as_of = date '{as_of}'")
    named = [FORMAT, contents, stages, salt, folded, matrix, arms and asdict(arms)]
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()
    name = f"{as_of}-{digest[:12]}"
    folder = root / VERSIONS / name
    if not (folder / MANIFEST).exists():
        dealt = arms or arms_of(None, salt=salt, yardstick_share=0.0)
        _write(lake, registry, folder, name, as_of, roles, list_length, dealt, bounds=arms is not None)
    point_to(root, name)
    _forget_old(root, name)
    manifest = json.loads((folder / MANIFEST).read_text())
    return PublishReport(
        as_of=as_of,
        published=name,
        users=manifest["users"],
        bytes=sum(found["bytes"] for found in manifest["files"].values()),
        roles={role: found["version"] for role, found in manifest["roles"].items()},
    )


def point_to(root: Path, name: str) -> None:
    """Swap the pointer in one step; readers see the version before or this one, never a mixture."""
    pointer = root / POINTER
    if pointer.exists() and pointer.read_text() == name:
        return
    temporary = root / f".{POINTER}.{os.getpid()}"
    _put(temporary, name.encode())
    temporary.replace(pointer)
    _sync_folder(root)


def _roles(lake: Lake, registry: Registry, as_of: date) -> dict[str, Version]:
    published = set(
        lake.read(t.RECOMMENDATIONS, f"as_of = date '{as_of}'").column("model_version").unique().to_pylist()
    )
    trending = registry.versions(as_of=as_of, family=Family.TRENDING)
    found = {
        "champion": registry.alias(Alias.CHAMPION),
        "challenger": registry.alias(Alias.CHALLENGER),
        "previous": registry.alias(Alias.PREVIOUS),
        "holdback": trending[-1] if trending else None,
    }
    roles = {role: version for role, version in found.items() if version is not None and version.version in published}
    if "champion" not in roles or not trending:
        raise ModelError(
            f"There are no lists of the champion, or none of trending, for as_of {as_of}.",
            where=t.RECOMMENDATIONS.name,
            data="Nothing was published; what is published stays.",
            remedy="Materialise promotion_decision and recommendations of that day, then publish again.",
        )
    return roles


def _write(
    lake: Lake,
    registry: Registry,
    folder: Path,
    name: str,
    as_of: date,
    roles: Mapping[str, Version],
    length: int,
    arms: Arms,
    *,
    bounds: bool,
) -> None:
    partial = folder.with_name(f".{name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    keys = np.sort(_keys(lake, as_of))
    catalogue = lake.read(t.ARTISTS).select(["artist_id", "name"]).sort_by("artist_id")
    artists = np.asarray(catalogue.column("artist_id").to_pylist(), dtype=str)
    halves = keys.view(">u8").reshape(len(keys), 2).astype(np.uint64)
    files: dict[str, Any] = {
        "key_high.npy": halves[:, 0].copy(),
        "key_low.npy": halves[:, 1].copy(),
        "buckets.npy": np.array([arms.bucket(key) for key in keys.view("V16").tolist()], dtype=np.uint16),
        "catalogue.json": _catalogue(catalogue),
    }
    reasons = _Reasons()
    for role, version in roles.items():
        files |= _columns(lake, as_of, version, role, keys, artists, reasons, length)
    stranger = trending_for_strangers(lake, registry, as_of, length)
    place = {artist: number for number, artist in enumerate(artists)}
    files["stranger.artists.npy"] = np.array([[place[item.artist_id] for item in stranger]], dtype=np.int32)
    files["stranger.scores.npy"] = _units(np.array([[item.score for item in stranger]]))
    files["stranger.reasons.npy"] = reasons.numbers([item.reason for item in stranger])[None, :]
    files |= reasons.files()
    versions = folding_versions(registry, as_of, roles)
    mapped, folding = folding_files(lake, registry, as_of=as_of, versions=versions, keys=keys, artists=artists)
    files |= mapped
    for file, content in files.items():
        _save(partial / file, content)
    manifest = {
        "format": FORMAT,
        "version": name,
        "as_of": as_of.isoformat(),
        "users": len(keys),
        "length": length,
        "simulated": lake.count(t.EVENTS, "simulated") > 0,
        "roles": {role: _described(version) for role, version in roles.items()},
        "folding": folding,
        "code_version": firstchair.__version__,
        "arms": [list(bound) for bound in arms.bounds] if bounds else [],
        "files": {file: _digest(partial / file) for file in sorted(files)},
    }
    _put(partial / MANIFEST, json.dumps(manifest, sort_keys=True).encode())
    _sync_folder(partial)
    partial.replace(folder)
    _sync_folder(folder.parent)


def _described(version: Version) -> dict[str, Any]:
    return {
        "family": version.family,
        "version": version.version,
        "canary": version.stage == Stage.CANARY,
        "data_until": version.as_of.isoformat(),
        "data_fingerprint": version.data_fingerprint,
    }


def _keys(lake: Lake, as_of: date) -> npt.NDArray[np.void]:
    """16 bytes a user: his key, which is 32 hexadecimal digits."""
    found = lake.read(t.RECOMMENDATIONS, f"as_of = date '{as_of}'").column("user_key").unique()
    return np.frombuffer(bytes.fromhex("".join(found.to_pylist())), dtype="S16")


class _Reasons:
    """Each text once, already as JSON."""

    def __init__(self) -> None:
        self.texts = pa.array([], pa.string())

    def numbers(self, texts: Any) -> npt.NDArray[np.int32]:
        """Places of the texts; new ones are added at the end."""
        given = pa.array(texts, pa.string()) if isinstance(texts, list) else texts
        new = pc.filter(given.unique(), pc.invert(pc.is_in(given.unique(), self.texts)))
        self.texts = pa.concat_arrays([self.texts, new])
        return np.asarray(pc.index_in(given, self.texts).to_numpy(zero_copy_only=False), dtype=np.int32)

    def files(self) -> dict[str, Any]:
        rendered = [orjson.dumps(text) for text in self.texts.to_pylist()]
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in rendered], dtype=np.int64)])
        return {"reasons.json": b"".join(rendered), "reason_offsets.npy": offsets.astype(np.int64)}


def _columns(
    lake: Lake,
    as_of: date,
    version: Version,
    role: str,
    keys: npt.NDArray[Any],
    artists: npt.NDArray[np.str_],
    reasons: _Reasons,
    length: int,
) -> dict[str, Any]:
    """Matrices (users, length) of one role: numbers of artists (`NOBODY` past the end), scores, reasons."""
    with connect() as connection:
        rows = connection.sql(
            f"select user_key, position, artist_id, score, reason from {lake.scan(t.RECOMMENDATIONS)} "
            f"where as_of = date '{as_of}' and model_version = '{version.version}' and position <= {length} "
            "order by user_key, position"
        ).to_arrow_table()
    own = np.frombuffer(bytes.fromhex("".join(rows.column("user_key").to_pylist())), dtype="S16")
    user = np.searchsorted(keys, own)
    slot = rows.column("position").to_numpy() - 1
    shape = (len(keys), length)
    matrices: dict[str, npt.NDArray[Any]] = {
        "artists": np.full(shape, NOBODY, dtype=np.int32),
        "scores": np.zeros(shape, dtype=np.int16),
        "reasons": np.zeros(shape, dtype=np.int32),
    }
    matrices["artists"][user, slot] = np.searchsorted(artists, np.asarray(rows.column("artist_id").to_pylist(), str))
    matrices["scores"][user, slot] = _units(rows.column("score").to_numpy())
    matrices["reasons"][user, slot] = reasons.numbers(rows.column("reason").combine_chunks())
    return {f"{role}.{name}.npy": matrix for name, matrix in matrices.items()}


def _units(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    return np.round(scores * SCORE_UNITS).astype(np.int16)


def _catalogue(rows: pa.Table) -> bytes:
    return orjson.dumps([[row["artist_id"], row["name"]] for row in rows.to_pylist()])


def _save(path: Path, content: npt.NDArray[Any] | bytes) -> None:
    if isinstance(content, bytes):
        _put(path, content)
        return
    with path.open("wb") as file:
        np.save(file, content)
        file.flush()
        os.fsync(file.fileno())


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _forget_old(root: Path, current: str) -> None:
    """The newest versions stay; a reader that still maps a removed one keeps its pages until it lets go."""
    versions = sorted(
        (path for path in (root / VERSIONS).iterdir() if not path.name.startswith(".")),
        key=lambda path: (path.name == current, path.stat().st_mtime_ns),
    )
    for path in versions[:-KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
