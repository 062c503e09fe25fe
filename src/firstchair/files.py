"""Files that are replaced whole and stay after a power cut."""

import os
import socket
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put a file in place of another one, or make it; readers see the old or the new one, whole.

    It is on the disk when this returns, file and name.

    Args:
        path: In a folder that is there, or is made.
        content: All that the file is to hold.
        mode: Permissions of the file.
    """
    _written(path, content, mode).replace(path)
    sync_folder(path.parent)


def write_once(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file whole unless it is there: of several processes, the first one's content stands.

    It is on the disk when this returns, file and name.

    Args:
        path: In a folder that is there, or is made.
        content: All that the file is to hold.
        mode: Permissions of the file.
    """
    temporary = _written(path, content, mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Bring what was written to a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    sync_file(folder)


def _written(path: Path, content: bytes, mode: int) -> Path:
    """A file beside `path` that holds the content and is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # In two containers over one home a process may have the same number.
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary
