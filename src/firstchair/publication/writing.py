"""Making a folder of files a published version: synced, named by its content, and pointed to."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstchair.files import replace_file, sync_folder
from firstchair.publication.layout import MANIFEST, POINTER, name_of
from firstchair.publication.published import current, fault_of


def finish(partial: Path, versions: Path, facts: Mapping[str, Any]) -> str:
    """Make a folder of files a version under the name that its content gives it; that name.

    Args:
        partial: Folder with all files; it is moved, or removed where there is such a version.
        versions: Folder of all versions.
        facts: The manifest without `files` and `version`.
    """
    manifest = {
        **facts,
        "files": {
            path.relative_to(partial).as_posix(): synced(path)
            for path in sorted(found for found in partial.rglob("*") if found.is_file())
        },
    }
    name = name_of(manifest)
    _put(partial / MANIFEST, json.dumps(manifest | {"version": name}, sort_keys=True).encode())
    put_in_place(partial, versions / name)
    return name


@contextmanager
def unfinished(partial: Path) -> Iterator[None]:
    """While a folder is filled: it is removed where that fails, as on a full disk."""
    try:
        yield
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def put_in_place(partial: Path, folder: Path) -> None:
    """Make a whole folder of synced files a version; it is moved, or removed if there is one."""
    for path in (*partial.rglob("*"), partial):
        if path.is_dir():
            sync_folder(path)
    if fault_of(folder) is None:
        shutil.rmtree(partial)
    else:  # not there, or damaged since it was published
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    sync_folder(folder.parent)


def point_to(root: Path, name: str) -> None:
    """Swap the pointer in one step; readers see the version before or this one, never a mix."""
    pointer = root / POINTER
    if current(root) == name:
        return
    replace_file(pointer, name.encode())


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def synced(path: Path) -> dict[str, Any]:
    """Bring a file to the disk; its digest and size, as a manifest has them."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }
