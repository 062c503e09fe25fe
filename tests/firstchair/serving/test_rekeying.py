"""A published version under new pseudonyms keeps each user's lists, matrix row and features."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstchair.privacy import user_key
from firstchair.publication.layout import VERSIONS
from firstchair.publication.published import current, damage, open_published
from firstchair.publication.rekeying import published_keys, rekey_published
from tests.firstchair.serving.conftest import ALL_CHAMPION, KEY, USERS

NEW_KEY = b"another key"


def of_users(root: Path, key: bytes) -> dict[str, Any]:
    """Everything that a version holds of each user."""
    published = open_published(root)
    folder = root / VERSIONS / published.version
    offsets = np.load(folder / "row.offsets.npy")
    rankers = [np.load(path) for path in sorted(folder.glob("ranker.*.users.npy"))]
    assert rankers
    found = {}
    for user in USERS:
        row = published.row(bytes.fromhex(user_key(user, key)))
        length, own = published.length, slice(offsets[row], offsets[row + 1])
        found[user] = (
            published.role_of(row),
            {role: c.entries(row * length, length) for role, c in published.columns.items()},
            [
                np.load(folder / f"row.{name}.npy")[own].tolist()
                for name in ("artists", "confidence")
            ],
            [hashlib.sha256(ranker[row].tobytes()).hexdigest() for ranker in rankers],
        )
    return found


def test_every_user_finds_what_was_theirs(put_copy_matrix: Callable[..., Path]) -> None:
    root = put_copy_matrix(arms=ALL_CHAMPION.in_canary(0.5, salt="first/2"))
    before, name = of_users(root, KEY), current(root)
    new = {user_key(user, KEY): user_key(user, NEW_KEY) for user in USERS}

    assert rekey_published(root, new) == 1
    assert rekey_published(root, new) == 0

    assert of_users(root, NEW_KEY) == before
    assert published_keys(root) == set(new.values())
    assert not (root / VERSIONS / str(name)).exists()


def test_a_full_disk_leaves_what_was_published_and_no_more(
    put_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put_copy()
    before = list((root / VERSIONS).iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        rekey_published(root, {user_key(user, KEY): user_key(user, NEW_KEY) for user in USERS})

    assert list((root / VERSIONS).iterdir()) == before


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("champion.artists.npy", lambda whole: whole[:-1] + bytes([whole[-1] ^ 0x40])),
        ("key_high.npy", lambda whole: whole[:60]),
        ("key_low.npy", lambda whole: b""),
        ("manifest.json", lambda whole: whole[:-1]),
    ],
)
def test_damaged_lists_get_no_new_digest_and_the_rotation_goes_on(
    put_copy: Callable[..., Path], file: str, spoil: Callable[[bytes], bytes]
) -> None:
    root = put_copy(1)
    other = current(root)
    put_copy()
    path = root / VERSIONS / str(current(root)) / file
    path.write_bytes(spoil(path.read_bytes()))
    new = {user_key(user, KEY): user_key(user, NEW_KEY) for user in USERS}

    assert published_keys(root) == set(new)
    assert rekey_published(root, new) == 1

    assert published_keys(root) == set(new.values())
    assert damage(root) is not None
    assert len(list((root / VERSIONS).iterdir())) == 1
    assert open_published(root).version != other
    assert rekey_published(root, new) == 0
