"""A user's names crossed out in the plain files of the home and of the artifact store."""

from pathlib import Path

from firstchair.erasure.identity import Identity
from firstchair.erasure.places import stored_files
from firstchair.platform.platform import Platform

# What a file begins with that is not to be changed in place.
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1", b"\x93NUMPY")


def mask_files(platform: Platform, identity: Identity) -> list[str]:
    """Cross the user's names out of logs, reports and documents; each keeps its length."""
    masked = []
    # A publication was made anew, and a worker may be writing to the spool.
    settled = (platform.settings.published, platform.settings.spool)
    for file in stored_files(platform):
        if file.path is None or file.kind not in {"home", "artifacts"}:
            continue
        if any(map(file.path.is_relative_to, settled)):
            continue
        try:
            data = file.path.read_bytes()
        except FileNotFoundError:
            continue
        if not data.startswith(PACKED) and identity.found_in(data):
            _write_over(file.path, identity.masked(data))
            masked.append(file.name)
    return masked


def _write_over(path: Path, data: bytes) -> None:
    """Change the bytes of a file in place: a process that appends to it goes on with it."""
    with path.open("r+b") as file:
        file.write(data)
