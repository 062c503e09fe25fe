"""Every fault a person can act on, each with what, where, what became of the data, and what to do.

FirstchairError
├── SettingsError        a setting is missing, unknown or out of range
├── SourceError          an event store, account database or catalogue cannot be read
├── LakeError            a table of ours is missing or unreadable
│   └── StoreAwayError   the store of the tables does not answer
├── DataError            rows or records that nothing may be built on
├── LeakageError         something at or after `as_of` reached a computation that must not see it
├── ModelError           a model cannot be fitted, stored or loaded
│   └── UnknownVersionError  nothing is registered under the number of a version
├── EvidenceError        two things were to be compared that are not comparable
│   └── BadEvidenceError  rows that are no evidence: a missing column, a bad value, a user twice
├── PublicationError     published lists cannot be copied to their bucket, or fetched from it
├── LedgerError          the decision ledger refuses an entry or its chain is broken
│   └── RefusedDecisionError  a person asked for a decision that the present state rules out
├── BackupError          a backup cannot be made, or is damaged, or may not be restored
└── RunError             a run of the pipeline failed or may not start
    └── WriterBusyError   another writer of the tables is at work
"""

import errno
import os

# Faults of a disk that a person can mend: full, over a quota or a limit, read-only, not ours.
STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)


class FirstchairError(Exception):
    """A fault a person can act on: what, where, what became of the data, what to do.

    http_status: how the API and the console answer. 503 means that the same request may succeed
    once the remedy was applied.
    """

    code = "firstchair_error"
    http_status = 503

    def __init__(self, what: str, *, where: str, data: str, remedy: str) -> None:
        super().__init__(f"{what} {data} {remedy}")
        self.what = what
        self.where = where
        self.data = data
        self.remedy = remedy


class SettingsError(FirstchairError):
    """A setting is missing, unknown or out of range."""

    code = "bad_settings"


class SourceError(FirstchairError):
    """An event store, account database or catalogue cannot be read."""

    code = "source_unavailable"


class LakeError(FirstchairError):
    """A table of ours is missing or unreadable."""

    code = "lake_unavailable"


class StoreAwayError(LakeError):
    """The store of the tables does not answer, or its disk fails; the tables may be whole."""


class DataError(FirstchairError):
    """Rows or records that nothing may be built on; nothing was."""

    code = "data_unusable"


class LeakageError(FirstchairError):
    """Something at or after `as_of` reached a computation that must not see it."""

    code = "leakage"


class ModelError(FirstchairError):
    """A model cannot be fitted, stored or loaded."""

    code = "model_failed"


class UnknownVersionError(ModelError):
    """Nothing is registered under the number of a version."""

    http_status = 404


class PublicationError(FirstchairError):
    """Published lists cannot be copied to their bucket, or fetched from it."""

    code = "lists_not_copied"


class EvidenceError(FirstchairError):
    """Two things were to be compared that are not comparable."""

    code = "not_comparable"


class BadEvidenceError(EvidenceError):
    """Rows that are no evidence: a column missing, a value out of range, a user twice."""

    code = "bad_evidence"


class LedgerError(FirstchairError):
    """The decision ledger refuses an entry or its chain is broken."""

    code = "ledger_refused"


class RefusedDecisionError(LedgerError):
    """A person asked for a decision that the present state rules out; nothing was written."""

    http_status = 409


class BackupError(FirstchairError):
    """A backup cannot be made, or is damaged, or may not be restored where it was to be."""

    code = "backup_failed"


class RunError(FirstchairError):
    """A run of the pipeline failed or may not start."""

    code = "run_failed"


class WriterBusyError(RunError):
    """Another writer of the tables is at work; nothing was read or written."""

    code = "writer_busy"


def storage_fault(error: BaseException) -> str | None:
    """What is wrong with the disk behind an error, or behind what caused it; None for other errors.

    Libraries raise their own classes for it, with the system's words.
    """
    seen: BaseException | None = error
    while seen is not None:
        of_system = isinstance(seen, OSError) and seen.errno in STORAGE_ERRORS
        if of_system or any(os.strerror(number) in str(seen) for number in STORAGE_ERRORS):
            return " ".join(str(seen).split())
        seen = seen.__cause__ or seen.__context__
    return None
