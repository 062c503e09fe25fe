"""Forgotten users, as keyed hashes by which their late events and accounts are kept out."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from firstchair.files import replace_file

FILE = "tombstones.jsonl"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One forgotten user.

    user_hash: HMAC-SHA256 of the user_id in hex, with a key that is used for nothing else. It is no
        `user_key`, and a new `pseudonym_key` leaves it as it is. erasure_id: of the ledger's entry;
        drawn by chance. forgotten_at: RFC 3339. done: whether the erasure was finished.
    """

    user_hash: str
    erasure_id: str
    forgotten_at: str
    done: bool = False


class Tombstones:
    """The tombstones of a home, as they stood at the last `refresh`.

    Args:
        folder: Where the file is.
        key: Gives the key of the hashes; called when the first hash is needed.
    """

    def __init__(self, folder: Path, key: Callable[[], bytes]) -> None:
        self._path = folder / FILE
        self._get_key = key
        self._stamp: object = None
        self._known: dict[str, Tombstone] = {}
        self.refresh()

    @cached_property
    def _key(self) -> bytes:
        return self._get_key()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._known)

    def holds(self, user_id: str) -> bool:
        """Whether that user was forgotten."""
        return self.of(user_id) is not None

    def of(self, user_id: str) -> Tombstone | None:
        """The tombstone of a user; None where they were not forgotten."""
        return self._known.get(self.hash_of(user_id)) if self._known else None

    def among(self, user_ids: Iterable[str]) -> list[str]:
        """Those of the users who were forgotten."""
        return [user_id for user_id in user_ids if self.holds(user_id)] if self else []

    def hash_of(self, user_id: str) -> str:
        """The hash by which a user is recognised; 64 hex digits."""
        # Apart from a `user_key` even where somebody gives both the same key.
        text = b"forgotten\0" + user_id.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def put(self, tombstone: Tombstone) -> None:
        """Add a tombstone, or replace the one with its hash; the file is whole at every instant."""
        self.refresh()
        found = self._known | {tombstone.user_hash: tombstone}
        lines = "".join(json.dumps(asdict(one)) + "\n" for one in found.values())
        replace_file(self._path, lines.encode(), mode=0o600)
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it has changed."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return
        stamp = (state.st_mtime_ns, state.st_ino, state.st_size)
        if stamp != self._stamp:
            found = (Tombstone(**json.loads(line)) for line in self._path.read_text().splitlines())
            self._known, self._stamp = {one.user_hash: one for one in found}, stamp
