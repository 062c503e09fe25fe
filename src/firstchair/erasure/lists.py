"""The published lists without some users, here and in their bucket; earlier ones are removed."""

import shutil
from pathlib import Path

import numpy as np

from firstchair.erasure.identity import Identities
from firstchair.platform.platform import Platform
from firstchair.publication import copy_to, publish_day
from firstchair.publication.layout import VERSIONS
from firstchair.publication.served import serves


def publish_without(
    platform: Platform, leaving: Identities, *, fitted: bool
) -> tuple[str | None, list[str]]:
    """Publish the lists that are served now without the users; remove publications with them.

    Raises:
        PublicationError: The bucket cannot be written; the same call again completes it.
    """
    root = platform.settings.published
    name = _published_anew(platform, leaving, fitted=fitted)
    removed = _remove(root, leaving, keep=name)
    copy_to(platform.settings.published_url, root)
    return name, removed


def _published_anew(platform: Platform, leaving: Identities, *, fitted: bool) -> str | None:
    """The publication that is served, made anew if it has a user or models were fitted again."""
    root, served = platform.settings.published, serves(platform.settings.published)
    if served is None:
        return None
    name = served.published
    if fitted or _lists(root / VERSIONS / name, leaving):
        name = publish_day(
            platform.lake,
            platform.registry,
            as_of=served.as_of,
            root=root,
            list_length=platform.settings.list_length,
            arms=platform.arms(),
            diversity=platform.settings.diversity,
        ).published
    return name


def _remove(root: Path, leaving: Identities, *, keep: str | None) -> list[str]:
    folders = sorted((root / VERSIONS).glob("*")) if (root / VERSIONS).is_dir() else []
    removed = [path for path in folders if path.name != keep and _lists(path, leaving)]
    for path in removed:
        shutil.rmtree(path)
    return [path.name for path in removed]


def _lists(folder: Path, leaving: Identities) -> bool:
    """Whether a publication, or what is left of one, has a list of one of the users."""
    try:
        high, low = (np.load(folder / f"key_{half}.npy") for half in ("high", "low"))
    except (OSError, ValueError):
        return True  # it cannot be read, so it serves nobody
    return any(
        ((high == int(one.user_key[:16], 16)) & (low == int(one.user_key[16:], 16))).any()
        for one in leaving
    )
