"""Users' names crossed out in the plain files of the home and of the artifact store."""

from collections import defaultdict
from pathlib import Path

from firstchair.erasure.identity import Identities, Identity
from firstchair.erasure.places import stored_files
from firstchair.platform.platform import Platform

# What a file begins with that is not to be changed in place.
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1", b"\x93NUMPY")


def mask_files(platform: Platform, identities: Identities) -> dict[Identity, list[str]]:
    """Cross the users' names out of logs, reports and documents; each keeps its length.

    Returns the files that each user stood in.
    """
    masked: dict[Identity, list[str]] = defaultdict(list)
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
        if data.startswith(PACKED):
            continue
        held = identities.users_in(data)
        for identity in held:
            data = identity.masked(data)
            masked[identity].append(file.name)
        if held:
            _write_over(file.path, data)
    return masked


def _write_over(path: Path, data: bytes) -> None:
    """Change the bytes of a file in place: a process that appends to it goes on with it."""
    with path.open("r+b") as file:
        file.write(data)
