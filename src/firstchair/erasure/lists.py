"""The published lists without a user; earlier publications with them are removed."""

import shutil
from pathlib import Path

import numpy as np

from firstchair.erasure.identity import Identity
from firstchair.platform.platform import Platform
from firstchair.publication import publish_day
from firstchair.publication.layout import VERSIONS
from firstchair.publication.served import serves


def publish_without(
    platform: Platform, identity: Identity, *, fitted: bool
) -> tuple[str | None, list[str]]:
    """Publish the lists that are served now without the user; remove publications with them."""
    root, served = platform.settings.published, serves(platform.settings.published)
    if served is None:
        return None, _remove(root, identity, keep=None)
    name = served.published
    if fitted or _lists(root / VERSIONS / name, identity):
        name = publish_day(
            platform.lake,
            platform.registry,
            as_of=served.as_of,
            root=root,
            list_length=platform.settings.list_length,
            arms=platform.arms(),
        ).published
    return name, _remove(root, identity, keep=name)


def _remove(root: Path, identity: Identity, *, keep: str | None) -> list[str]:
    folders = sorted((root / VERSIONS).glob("*")) if (root / VERSIONS).is_dir() else []
    removed = [path for path in folders if path.name != keep and _lists(path, identity)]
    for path in removed:
        shutil.rmtree(path)
    return [path.name for path in removed]


def _lists(folder: Path, identity: Identity) -> bool:
    """Whether a publication, or what is left of one, has a list of the user."""
    try:
        high, low = (np.load(folder / f"key_{half}.npy") for half in ("high", "low"))
    except (OSError, ValueError):
        return True  # it cannot be read, so it serves nobody
    wanted = int(identity.user_key[:16], 16), int(identity.user_key[16:], 16)
    return bool(((high == np.uint64(wanted[0])) & (low == np.uint64(wanted[1]))).any())
