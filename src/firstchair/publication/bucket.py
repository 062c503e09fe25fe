"""Published versions in a bucket: a pipeline copies them there, hosts of logins fetch them.

A bucket holds the same names as the local folder. A version is whole before `CURRENT` names it.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from firstchair.errors import FirstchairError, PublicationError
from firstchair.files import replace_file
from firstchair.lake import LakeFile, LakeFiles
from firstchair.publication.layout import MANIFEST, NAME, POINTER, VERSIONS, name_of
from firstchair.publication.published import current, damage, fault_of
from firstchair.publication.writing import point_to, put_in_place, synced

# Marks a folder whose versions were fetched: nobody publishes into it.
FETCHED = "FETCHED"
# What this folder last wrote into a bucket, by which it knows its own again.
COPIED = "COPIED"
LOCAL_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@dataclass(frozen=True, slots=True)
class _Copied:
    """What a folder copied: bucket, version that its pointer names, and size and ETag by object."""

    url: str = ""
    version: str = ""
    objects: Mapping[str, Sequence[int | str]] = field(default_factory=dict)

    def has(self, file: LakeFile | None) -> bool:
        """Whether an object is as this folder wrote it."""
        return file is not None and self.objects.get(file.name) == [file.size, file.etag]


def copy_to(url: str, root: Path) -> None:
    """Make a bucket hold what is published: the version whole first, then the pointer to it.

    Objects that are as they were written by the call before are not written again. A damaged
    version is not copied, and then the bucket points to none. Versions that are not here any more
    are removed, so what is erased or past its retention goes. Killed at any point, it is completed
    by the next call. Where nothing was ever published here, nothing happens.

    Args:
        url: Of the bucket, `s3://...`; nothing happens where it is empty.
        root: Folder of what is published.

    Raises:
        PublicationError: The bucket cannot be read or written, another home publishes to it, or
            the lists in the folder are fetched ones.
    """
    if not url or current(root) is None:
        return
    require_publisher(root)
    with _reached(url, root, "Lists are published here; the bucket has those of before."):
        files, copied = LakeFiles(url), _copied(url, root)
        stored = {file.name: file for file in files.listed()}
        _require_own(files, stored, copied, root)
        name = current(root) if damage(root) is None else None
        if name is not None:
            _put_version(files, stored, copied, root / VERSIONS / name)
            _point(files, stored.get(POINTER), name)
        elif POINTER in stored:
            files.remove(POINTER)
        kept = {path.name for path in _versions(root)}
        for gone in _of_removed_versions(stored, kept):
            files.remove(gone)
        _note(root, url, name or "", files)


def not_copied(url: str, root: Path) -> str:
    """What a bucket lacks of what is published here, as a digest; empty where it has everything.

    It has everything too without a bucket, and before any publication. A bucket that cannot be
    reached lacks everything.
    """
    name = current(root)
    if not url or name is None:
        return ""
    folder, copied = root / VERSIONS / name, _copied(url, root)
    try:
        files = LakeFiles(url)
        stored = {file.name: file for file in files.listed()}
        wanted = sorted(_stored(folder, path) for path in _files(folder))
        lacks = [(one, stored.get(one)) for one in wanted if not copied.has(stored.get(one))]
        found = _named(files)
    except Exception:  # each store of fsspec has exceptions of its own
        return "unreachable"
    if not lacks and found == name:
        return ""
    return hashlib.sha256(repr((lacks, found)).encode()).hexdigest()[:12]


def require_publisher(root: Path) -> None:
    """Refuse to publish into a folder that lists are fetched into.

    Raises:
        PublicationError: It is one.
    """
    if (root / FETCHED).exists():
        raise PublicationError(
            "Lists are fetched into this folder from a bucket, so none are published into it.",
            where=str(root),
            data="Nothing was published; the lists that were fetched are served on.",
            remedy="Publish in the pipeline's home. If this home takes its place, stop "
            f"`firstchair.hosts.lists` and remove {FETCHED} here.",
        )


def _require_own(
    files: LakeFiles, stored: Mapping[str, LakeFile], copied: _Copied, root: Path
) -> None:
    """Refuse a bucket that points to a whole version which this home neither has nor copied.

    Raises:
        PublicationError: Another home publishes to it.
    """
    name = files.read(POINTER).decode("utf-8", "replace") if POINTER in stored else ""
    own = {copied.version, *(path.name for path in _versions(root))}
    if name not in own and f"{VERSIONS}/{name}/{MANIFEST}" in stored:
        raise PublicationError(
            f"Another home publishes to the bucket: it points to {name}, which is none of ours.",
            where=files.url,
            data="Lists are published on this machine; the bucket is as it was.",
            remedy="Give each home a bucket or prefix of its own in published_url. If this home "
            f"takes the other's place, stop that one and remove {POINTER} from the bucket.",
        )


def _copied(url: str, root: Path) -> _Copied:
    """What was copied to this bucket before; nothing where that is not known."""
    try:
        found = _Copied(**json.loads((root / COPIED).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return _Copied()
    return found if found.url == url else _Copied()


def _note(root: Path, url: str, version: str, files: LakeFiles) -> None:
    """Keep what the bucket says of the objects that were copied."""
    objects: dict[str, Sequence[int | str]] = {
        file.name: [file.size, file.etag]
        for file in files.listed()
        if file.name.startswith(f"{VERSIONS}/")
    }
    found = _Copied(url, version, objects)
    if found != _copied(url, root):
        replace_file(root / COPIED, json.dumps(asdict(found)).encode())


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
    with _reached(url, root, "The lists that were served before are served on."):
        _follow(url, root)
        files = LakeFiles(url)
        name = _named(files)
        if name is None:
            return None
        if current(root) != name or damage(root) is not None:
            _fetch_version(files, url, root / VERSIONS / name)
            point_to(root, name)
        _forget(root, kept={_version_of(file.name) for file in files.listed(VERSIONS)} | {name})
        return name


def _put_version(
    files: LakeFiles, stored: Mapping[str, LakeFile], copied: _Copied, folder: Path
) -> None:
    """Write the files of a version that are not in the bucket as we wrote them, manifest last."""
    for path in sorted(_files(folder), key=lambda path: path.name == MANIFEST):
        name = _stored(folder, path)
        if not copied.has(stored.get(name)):
            files.put(path, name)


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
    if not (root / FETCHED).exists():
        replace_file(root / FETCHED, url.encode())


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
    if any(_is_outside(PurePosixPath(name)) for name in manifest["files"]):
        raise ValueError(f"{prefix}/{MANIFEST} names a file outside of its version")
    for name in manifest["files"]:
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        files.get(f"{prefix}/{name}", partial / name)
        synced(partial / name)
    synced(partial / MANIFEST)


def _is_outside(path: PurePosixPath) -> bool:
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


def _of_removed_versions(stored: Iterable[str], kept: set[str]) -> list[str]:
    """Objects of versions that are not kept."""
    of_versions = (name for name in stored if name.startswith(f"{VERSIONS}/"))
    return [name for name in of_versions if _version_of(name) not in kept]


@contextmanager
def _reached(url: str, root: Path, data: str) -> Iterator[None]:
    """Raise what a bucket, its client or the local disk raises as one error."""
    try:
        yield
    except FirstchairError:
        raise
    except Exception as error:  # each store of fsspec has exceptions of its own
        if isinstance(error, OSError) and _is_local(error, root):
            raise PublicationError(
                f"The folder of lists cannot be written ({type(error).__name__}: {error}).",
                where=str(root),
                data=data,
                remedy="Make space on its disk, or give the right to write there.",
            ) from error
        raise PublicationError(
            f"The published lists in the bucket cannot be read or written "
            f"({type(error).__name__}: {error}).",
            where=url,
            data=data,
            remedy="Check published_url, the credentials and the rights there; one home alone "
            "may publish to it.",
        ) from error


def _is_local(error: OSError, root: Path) -> bool:
    """Whether an error is of the disk of the folder, and not of the bucket."""
    return error.errno in LOCAL_FAULTS or str(error.filename or "").startswith(str(root))
