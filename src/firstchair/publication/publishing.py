"""Publish the lists of a day: write columns into a new folder, then swap one pointer to it."""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import firstchair
from firstchair.definitions.arms import CHALLENGER, CHAMPION, HOLDOUT, PREVIOUS, Arms, Bounds
from firstchair.errors import ModelError
from firstchair.features import build_interactions
from firstchair.lake import Lake, holds_merged, is_simulated
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.promotion import Alias, Registry, Version
from firstchair.promotion.stages import REMOVED
from firstchair.publication.batch import aliased_versions, complete_lists, listed_versions
from firstchair.publication.bucket import copy_to, require_publisher
from firstchair.publication.folding_files import folding_files, folding_versions
from firstchair.publication.layout import FORMAT, MANIFEST, VERSIONS
from firstchair.publication.lists import trending_for_unknown_users, trending_of
from firstchair.publication.matrices import write_matrices
from firstchair.publication.ranking_files import ranking_versions, write_rankers
from firstchair.publication.served import serves
from firstchair.publication.writing import finish, point_to, unfinished

KEPT_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class _Contents:
    as_of: date
    roles: Mapping[str, Version]
    length: int
    arms: Arms
    diversity: float


@dataclass(frozen=True, slots=True)
class PublishReport:
    """The version served now: its name, users, bytes on disk, registered version by role."""

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
    arms: Arms,
    diversity: float = 0.0,
    bucket: str = "",
) -> PublishReport:
    """Write the lists of `as_of` under `root` and point to them. It is idempotent.

    Published are the lists of the champion, of the challenger (shown in canary, explored in any
    case) and of trending for the holdout, one list for unknown users, and what fold-ins need. The
    folder is whole before the pointer moves. The `KEPT_VERSIONS` newest publications are kept for
    readers that find this one corrupt, except those that show users a version that was rolled back
    or rejected. What a killed publication left is removed first, so that it does not fill the disk;
    the caller holds the writers' lock. Last, a bucket is given the same, where there is one
    (`copy_to`).

    Raises:
        ModelError: There is no champion, or no list of it for that day; what is published stays.
        PublicationError: The bucket cannot be written, and the lists are published here; or lists
            are fetched into `root`, and nothing was published.
    """
    require_publisher(root)
    forget_unfinished(root)
    roles = _roles(lake, registry, as_of)
    if roles is None:
        raise ModelError(
            f"There are no lists of the champion, or none of trending, for as_of {as_of}.",
            where=t.RECOMMENDATIONS.name,
            data="Nothing was published; what is published stays.",
            remedy="Materialise promotion_decision and recommendations of that day, then publish "
            "again.",
        )
    arms = arms.among(roles)
    if PREVIOUS not in dict(arms.bounds):
        roles.pop(PREVIOUS, None)
    contents = _Contents(as_of, roles, list_length, arms, diversity)
    name = _write(lake, registry, root / VERSIONS, contents)
    point_to(root, name)
    _forget_removed(root, registry, name)
    _forget_old(root, name)
    copy_to(bucket, root)
    return _report(root, name)


def _report(root: Path, name: str) -> PublishReport:
    """What a published version is."""
    manifest = json.loads((root / VERSIONS / name / MANIFEST).read_text())
    return PublishReport(
        as_of=date.fromisoformat(manifest["as_of"]),
        published=name,
        users=manifest["users"],
        bytes=sum(found["bytes"] for found in manifest["files"].values()),
        roles={role: found["version"] for role, found in manifest["roles"].items()},
    )


def publish_day(
    lake: Lake,
    registry: Registry,
    *,
    as_of: date,
    root: Path,
    list_length: int,
    arms: Arms,
    diversity: float = 0.0,
    bucket: str = "",
) -> PublishReport:
    """Publish the lists of `as_of`, after making those that are missing or outdated.

    Champion and challenger have no lists if they got the role after the day's lists were made.
    Matrix and lists are outdated if they hold an artist that was merged since. Where lists of a
    later day are served nothing is made, and the report is of these: a day that is built again
    takes no user back. Where the day has no lists yet, those of the day that is served are
    published as the aliases are now: a rollback does not wait for models.

    Raises:
        ModelError: There is no champion, or trending has no list; what is published stays.
        PublicationError: The bucket cannot be written; the lists are published here.
    """
    served = serves(root)
    if served is not None and served.as_of > as_of:
        return _report(root, served.published)
    if served is not None and not listed_versions(lake, as_of):
        as_of = served.as_of
    if holds_merged(lake, t.INTERACTIONS, f"as_of = date '{as_of}'"):
        build_interactions(lake, as_of=as_of)
    lists: dict[str, Any] = {"list_length": list_length, "diversity": diversity}
    complete_lists(lake, registry, as_of=as_of, **lists)
    return publish(lake, registry, as_of=as_of, root=root, arms=arms, bucket=bucket, **lists)


def would_assign(lake: Lake, registry: Registry, *, as_of: date, arms: Arms) -> Bounds | None:
    """Roles by bucket that `publish_day` would serve for `as_of`; None where it would raise."""
    makeable = {v.version for v in aliased_versions(registry, as_of) if v is not None}
    roles = _roles(lake, registry, as_of, makeable)
    return None if roles is None else arms.among(roles).bounds


def forget_unfinished(root: Path) -> int:
    """Remove the folders of publications that were killed; return how many there were.

    The caller holds the writers' lock, so no publication is under way.
    """
    unfinished = list((root / VERSIONS).glob(".*"))
    for path in unfinished:
        shutil.rmtree(path, ignore_errors=True)
    return len(unfinished)


def _roles(
    lake: Lake, registry: Registry, as_of: date, makeable: Collection[str] = ()
) -> dict[str, Version] | None:
    """Versions with lists of the day, by role.

    It is None where the champion has no lists or no trending model is registered. makeable: numbers
    of versions that would get lists before they are published.
    """
    published = listed_versions(lake, as_of)
    published |= set(makeable) if published else set()
    trending = registry.newest(as_of).get(Family.TRENDING)
    found = {
        CHAMPION: registry.alias(Alias.CHAMPION),
        CHALLENGER: registry.alias(Alias.CHALLENGER),
        PREVIOUS: registry.alias(Alias.PREVIOUS),
        HOLDOUT: trending,
    }
    roles = {
        role: version
        for role, version in found.items()
        if version is not None and version.version in published
    }
    return None if CHAMPION not in roles or trending is None else roles


def _write(lake: Lake, registry: Registry, versions: Path, contents: _Contents) -> str:
    """Write a version under the name that its content gives it, unless it exists; its name."""
    partial = versions / f".{contents.as_of}.{os.getpid()}"
    with unfinished(partial):
        partial.mkdir(parents=True)
        return finish(partial, versions, _fill(lake, registry, partial, contents))


def _fill(lake: Lake, registry: Registry, partial: Path, contents: _Contents) -> dict[str, Any]:
    """Write the files of a version; the facts of its manifest."""
    unknown_user_list = trending_for_unknown_users(lake, registry, contents.as_of, contents.length)
    keys = write_matrices(
        lake,
        partial,
        as_of=contents.as_of,
        versions={role: version.version for role, version in contents.roles.items()},
        unknown_user_list=unknown_user_list,
        length=contents.length,
    )
    halves = keys.view(">u8").reshape(len(keys), 2).astype(np.uint64)
    np.save(partial / "key_high.npy", halves[:, 0])
    np.save(partial / "key_low.npy", halves[:, 1])
    np.save(
        partial / "buckets.npy",
        np.array([contents.arms.bucket(k) for k in keys.tolist()], np.uint16),
    )
    folding = _fold(lake, registry, partial, contents, keys)
    return {
        "format": FORMAT,
        "as_of": contents.as_of.isoformat(),
        "users": len(keys),
        "length": contents.length,
        "simulated": is_simulated(lake),
        "redirects_version": lake.version(t.ARTIST_REDIRECTS),
        "code_version": firstchair.__version__,
        "roles": {role: _described(version) for role, version in contents.roles.items()},
        "unknown_users": _described(trending_of(registry, contents.as_of)),
        "folding": folding,
        "arms": [list(bound) for bound in contents.arms.bounds],
    }


def _fold(
    lake: Lake, registry: Registry, folder: Path, contents: _Contents, keys: npt.NDArray[np.void]
) -> dict[str, Any] | None:
    """Write what fold-ins need; return its part of the manifest, None where there is none."""
    catalogue = json.loads((folder / "catalogue.json").read_bytes())
    artists = np.array([artist for artist, _ in catalogue], dtype=str)
    files, facts = folding_files(
        lake,
        registry,
        as_of=contents.as_of,
        versions=folding_versions(registry, contents.as_of, contents.roles),
        keys=keys,
        artists=artists,
        diversity=contents.diversity,
    )
    for name, array in files.items():
        np.save(folder / name, array)
    if facts is None:
        return None
    rankers = write_rankers(
        lake,
        registry,
        folder,
        as_of=contents.as_of,
        versions=ranking_versions(contents.roles, dict(contents.arms.bounds)),
        keys=keys,
        artists=artists,
    )
    return facts | {"rankers": rankers}


def _described(version: Version) -> dict[str, Any]:
    return {
        "family": version.family,
        "version": version.version,
        "data_until": version.as_of.isoformat(),
        "data_fingerprint": version.data_fingerprint,
    }


def _forget_removed(root: Path, registry: Registry, current: str) -> None:
    """Remove the publications that show users a removed version, except the current one."""
    for path in (root / VERSIONS).iterdir():
        if path.name != current and any(map(partial(_is_removed, registry), _shown(path))):
            shutil.rmtree(path, ignore_errors=True)


def _shown(folder: Path) -> set[str]:
    """Numbers of the versions that a publication shows to users; empty where it is torn."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return {manifest["roles"][role]["version"] for role, _ in manifest["arms"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _is_removed(registry: Registry, number: str) -> bool:
    version = registry.find(number)
    return version is not None and version.stage in REMOVED


def _forget_old(root: Path, current: str) -> None:
    """Remove all but the newest versions; a reader that maps a removed one keeps its pages."""
    versions = sorted(
        (path for path in (root / VERSIONS).iterdir() if not path.name.startswith(".")),
        key=lambda path: (path.name == current, path.stat().st_mtime_ns),
    )
    for path in versions[:-KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
