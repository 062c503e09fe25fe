"""One line for each thing that a person did at a door: who, what, from where, with which outcome.

The lines stand in `{home}/logs/audit.jsonl` (mode 0600) and name no user of the service. Decisions
stand in the ledger as well.
"""

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LOG = logging.getLogger(__name__)
NAME = "audit.jsonl"


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Appends lines to one file; each is one write, so that processes may share it."""

    file: Path

    @classmethod
    def at(cls, home: Path) -> "AuditLog":
        """The log of a home."""
        return cls(home / "logs" / NAME)

    def note(self, deed: str, *, by: str, address: str, outcome: str, about: str = "") -> None:
        """Write a line; where it cannot be written, the line goes to the log of the process.

        Args:
            deed: What was asked for, such as `promote`.
            by: Name of the token that was used, or of the account on this machine.
            address: Of the client.
            outcome: `done`, or why not.
            about: What it was about, such as a version or a path.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"at": at, "deed": deed, "by": by, "address": address, "outcome": outcome}
        line = json.dumps(entry | ({"about": about[:500]} if about else {})) + "\n"
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            LOG.warning("The audit log cannot be written (%s): %s", error, line.strip())
