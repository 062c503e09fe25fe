"""The scopes of tokens."""

from enum import StrEnum


class Scope(StrEnum):
    """What a token may do: read answers and pages, post events, or decide and operate."""

    READ = "read"
    WRITE_EVENTS = "write-events"
    OPERATE = "operate"
