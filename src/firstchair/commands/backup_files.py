"""The folder of a backup: files with their checksums in a manifest, checked before a restore."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from firstchair.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
# Folders of a backup: files of the home, dumps of databases, files of a lake outside of the home.
HOME, DATABASES, LAKE = "home", "databases", "lake"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a backup. sha256: in hex. mode: permission bits, as on the original."""

    sha256: str
    bytes: int
    mode: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    made_by: release of firstchair. home: where the original was. databases: names of the dumps.
    key: digest of the key of pseudonyms. ledger_entries: decisions, when it was begun.
    ledger_is_whole: whether their hash chain held. published: name of the version that was served.
    left_out: what belongs to the platform and is kept elsewhere, in words. files: by path.
    """

    made_by: str
    made_at: datetime
    home: str
    databases: tuple[str, ...]
    key: str
    ledger_entries: int
    ledger_is_whole: bool
    published: str | None
    left_out: tuple[str, ...]
    files: Mapping[str, KeptFile]

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of its backup."""
        record = json.loads(json.dumps(asdict(self), default=str)) | {"format": FORMAT}
        text = json.dumps(record | {"digest": _digest(record)}, indent=1, sort_keys=True)
        (folder / MANIFEST).write_text(text)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a backup.

        Raises:
            BackupError: There is none, it was changed, or a newer release wrote it.
        """
        try:
            record = json.loads((folder / MANIFEST).read_text())
            digest, kind = record.pop("digest"), record.pop("format")
        except FileNotFoundError as error:
            raise refused(
                folder, f"{MANIFEST} is not there; this is no backup, or not a whole one."
            ) from error
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise refused(folder, f"{MANIFEST} cannot be read: {error}.") from error
        if _digest(record | {"format": kind}) != digest:
            raise refused(folder, f"{MANIFEST} is not as it was written.")
        if kind != FORMAT:
            raise refused(folder, f"It has format {kind}, this release reads {FORMAT}.")
        if any(".." in Path(name).parts or Path(name).is_absolute() for name in record["files"]):
            raise refused(folder, f"{MANIFEST} names files that are not in the backup.")
        files = {name: KeptFile(**file) for name, file in record.pop("files").items()}
        record |= {name: tuple(record[name]) for name in ("databases", "left_out")}
        record["made_at"] = datetime.fromisoformat(record["made_at"])
        return cls(**record, files=files)

    def check(self, folder: Path) -> None:
        """Compare every file with its checksum.

        Raises:
            BackupError: A file is missing or not as it was written; the text names the first.
        """
        damaged = [name for name, file in self.files.items() if not _is_whole(folder / name, file)]
        if damaged:
            raise refused(
                folder,
                f"{len(damaged):,} of {len(self.files):,} files are missing or damaged "
                f"(first: {damaged[0]}).",
            )


def refused(folder: Path, what: str) -> BackupError:
    """The fault of a backup that cannot be restored."""
    return BackupError(
        f"The backup cannot be restored: {what}",
        where=str(folder),
        data="Nothing was written.",
        remedy="Take another backup, or another copy of this one.",
    )


def copy_in(source: IO[bytes], target: Path, *, like: os.stat_result | None = None) -> KeptFile:
    """Copy a stream into a file of a backup, with mode and time of last change of `like`."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            size += copy.write(chunk)
    mode = 0o600 if like is None else like.st_mode & 0o777
    target.chmod(mode)
    if like is not None:
        os.utime(target, ns=(like.st_mtime_ns, like.st_mtime_ns))
    return KeptFile(digest.hexdigest(), size, mode)


def copy_out(source: Path, target: Path, file: KeptFile) -> None:
    """Copy a file of a backup to its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    target.chmod(file.mode)


def summed(path: Path) -> KeptFile:
    """A file that is in its backup already."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return KeptFile(digest, path.stat().st_size, 0o600)


def under(files: Mapping[str, KeptFile], folder: str) -> Sequence[tuple[str, KeptFile]]:
    """Files of a folder of the backup, by their path in it."""
    start = f"{folder}/"
    return [(n.removeprefix(start), file) for n, file in files.items() if n.startswith(start)]


def _is_whole(path: Path, file: KeptFile) -> bool:
    try:
        return path.stat().st_size == file.bytes and summed(path).sha256 == file.sha256
    except OSError:
        return False


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
