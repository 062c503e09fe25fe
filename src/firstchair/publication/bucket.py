"""Published versions in a bucket: copied there by who publishes, fetched by hosts of logins.

A bucket holds the same names as the local folder. A version is whole before `CURRENT` names it.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from firstchair.errors import FirstchairError, PublicationError
from firstchair.lake import LakeFile, LakeFiles
from firstchair.publication.layout import MANIFEST, NAME, POINTER, VERSIONS, name_of
from firstchair.publication.published import current, damage, fault_of
from firstchair.publication.writing import point_to, put_in_place, synced

# Marks a folder whose versions were fetched: nobody publishes into it.
FETCHED = "FETCHED"


def copy_to(url: str, root: Path) -> None:
    """Make a bucket hold what is published: the version whole first, then the pointer to it.

    Objects that are there as they are here are not written again. A damaged version is not copied,
    and then the bucket points to none. Versions that are not here any
    more are removed, so what is erased or past its retention goes. Killed at any point, it is
    completed by the next call.

    Args:
        url: Of the bucket, `s3://...`; nothing happens where it is empty.
        root: Folder of what is published.

    Raises:
        PublicationError: The bucket cannot be read or written, or somebody else moved its pointer.
    """
    if not url:
        return
    (root / FETCHED).unlink(missing_ok=True)
    with _reached(url, "Lists are published on this machine; the bucket has those of before."):
        files = LakeFiles(url)
        stored = {file.name: file for file in files.listed()}
        name = current(root) if damage(root) is None else None
        if name is not None:
            _put_version(files, stored, root / VERSIONS / name)
            _point(files, stored.get(POINTER), name)
        elif POINTER in stored:
            files.remove(POINTER)
        kept = {path.name for path in _versions(root)}
        for gone in _of_others(stored, kept):
            files.remove(gone)


def is_copied(url: str, root: Path) -> bool:
    """Whether a bucket points to what is published here and has its objects, by their sizes.

    It is true without a bucket, and before any publication. A bucket that cannot be reached holds
    nothing.
    """
    name = current(root)
    if not url or name is None:
        return True
    folder = root / VERSIONS / name
    try:
        files = LakeFiles(url)
        sizes = {file.name: file.size for file in files.listed()}
        local = {_stored(folder, path): path.stat().st_size for path in _files(folder)}
        return local.items() <= sizes.items() and _named(files) == name
    except Exception:  # each store of fsspec has exceptions of its own
        return False


def fetch(url: str, root: Path) -> str | None:
    """Have a folder serve the version that a bucket points to.

    The version is fetched whole and checked before the pointer is swapped to it. Versions that the
    bucket does not hold any more are removed then. It is idempotent.

    Args:
        url: Of the bucket, `s3://...`.
        root: Folder that logins are answered from; nobody publishes into it.

    Returns:
        Name of the version; None while the bucket has none.

    Raises:
        PublicationError: The bucket cannot be read, or the version in it is damaged, or lists are
            published into the folder; what is served stays.
    """
    _follow(url, root)
    with _reached(url, "The lists that were served before are served on."):
        files = LakeFiles(url)
        name = _named(files)
        if name is None:
            return None
        if current(root) != name or damage(root) is not None:
            _fetch_version(files, url, root / VERSIONS / name)
            point_to(root, name)
        _forget(root, kept={_version_of(file.name) for file in files.listed(VERSIONS)} | {name})
        return name


def _put_version(files: LakeFiles, stored: Mapping[str, LakeFile], folder: Path) -> None:
    """Write the files of a version that differ in the bucket, the manifest last."""
    for path in sorted(_files(folder), key=lambda path: path.name == MANIFEST):
        name = _stored(folder, path)
        if not _is_same(stored.get(name), path):
            files.put(path, name)


def _is_same(stored: LakeFile | None, path: Path) -> bool:
    """Whether an object has the bytes of a file, as far as its ETag can tell; else it has not.

    The ETag of what was written at once is its MD5; a store may have others for large objects.
    """
    if stored is None or stored.size != path.stat().st_size:
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return stored.etag.strip('"') == digest.hexdigest()


def _point(files: LakeFiles, stored: LakeFile | None, name: str) -> None:
    """Swap the pointer, if it is the one that was listed before the version was written."""
    if stored is None or files.read(POINTER) != name.encode():
        files.swap(POINTER, name.encode(), etag="" if stored is None else stored.etag)


def _named(files: LakeFiles) -> str | None:
    """Name of the version that a bucket points to; None where it has no pointer.

    Raises:
        ValueError: The pointer names no version.
    """
    try:
        name = files.read(POINTER).decode()
    except FileNotFoundError:
        return None
    if not NAME.fullmatch(name):
        raise ValueError(f"{POINTER} names no version")
    return name


def _follow(url: str, root: Path) -> None:
    """Mark a folder as one that is fetched into.

    Raises:
        PublicationError: Lists are published into it.
    """
    if current(root) is not None and not (root / FETCHED).exists():
        raise PublicationError(
            "Lists are published into this folder, so none are fetched into it.",
            where=str(root),
            data="Nothing was fetched; the published lists stay.",
            remedy="Fetch on hosts of logins alone, each with a home of its own.",
        )
    root.mkdir(parents=True, exist_ok=True)
    (root / FETCHED).write_text(url)


def _fetch_version(files: LakeFiles, url: str, folder: Path) -> None:
    """Fetch a version, and put it in its place if it is whole."""
    work = folder.parent / ".fetching"
    shutil.rmtree(work, ignore_errors=True)
    partial = work / folder.name  # named as it will be, because a version's content gives its name
    partial.mkdir(parents=True)
    try:
        _fetch_files(files, partial)
        if (fault := fault_of(partial)) is not None:
            raise PublicationError(
                f"The lists in the bucket are damaged: {fault}.",
                where=f"{url}/{VERSIONS}/{folder.name}",
                data="They are not served; the lists that were served before are.",
                remedy="Run `firstchair run` where lists are published: it writes them again.",
            )
        put_in_place(partial, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetch_files(files: LakeFiles, partial: Path) -> None:
    """Fetch the manifest of a version and the files that it names.

    Raises:
        ValueError: The manifest is not the one that the version is named by.
    """
    prefix = f"{VERSIONS}/{partial.name}"
    files.get(f"{prefix}/{MANIFEST}", partial / MANIFEST)
    manifest: Any = json.loads((partial / MANIFEST).read_bytes())
    if not isinstance(manifest, dict) or name_of(manifest) != partial.name:
        raise ValueError(f"{prefix}/{MANIFEST} is not what was published")
    if any(_leaves(PurePosixPath(name)) for name in manifest["files"]):
        raise ValueError(f"{prefix}/{MANIFEST} names a file outside of its version")
    for name in manifest["files"]:
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        files.get(f"{prefix}/{name}", partial / name)
        synced(partial / name)
    synced(partial / MANIFEST)


def _leaves(path: PurePosixPath) -> bool:
    return path.is_absolute() or ".." in path.parts


def _forget(root: Path, *, kept: set[str]) -> None:
    """Remove local versions that are not kept; a reader that maps one keeps its pages."""
    for path in _versions(root):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _versions(root: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from (path for path in (root / VERSIONS).iterdir() if not path.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _stored(folder: Path, path: Path) -> str:
    """Name in the bucket of a file of a version."""
    return f"{VERSIONS}/{folder.name}/{path.relative_to(folder).as_posix()}"


def _version_of(name: str) -> str:
    """Version that an object under `versions/` belongs to."""
    return name.split("/")[1]


def _of_others(stored: Iterable[str], kept: set[str]) -> list[str]:
    """Objects of versions that are not kept."""
    of_versions = (name for name in stored if name.startswith(f"{VERSIONS}/"))
    return [name for name in of_versions if _version_of(name) not in kept]


@contextmanager
def _reached(url: str, data: str) -> Iterator[None]:
    """Raise what a bucket or its client raises as one error."""
    try:
        yield
    except FirstchairError:
        raise
    except Exception as error:  # each store of fsspec has exceptions of its own
        raise PublicationError(
            f"The published lists in the bucket cannot be read or written "
            f"({type(error).__name__}: {error}).",
            where=url,
            data=data,
            remedy="Check published_url, the credentials and the rights there; one home alone "
            "may publish to it.",
        ) from error
