"""Times that a person types, as instants within bounds that every store and every page can take."""

from datetime import UTC, datetime, tzinfo

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
# A day before the end of what `datetime` holds, so that no offset carries an instant beyond it.
LAST = datetime(9999, 12, 30, tzinfo=UTC)


def instant_of(text: str, *, zone: tzinfo | None) -> datetime:
    """Read an instant in ISO 8601 and return it in UTC.

    Args:
        text: As a person typed it.
        zone: Zone of a text without an offset; None is the zone of this machine.

    Raises:
        ValueError: It is no instant, or none from `FIRST` to `LAST`; the text says which.

    >>> instant_of("2026-02-01T09:00:00+01:00", zone=UTC).isoformat()
    '2026-02-01T08:00:00+00:00'
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        shown = text[:40]
        raise ValueError(
            f"{shown} is not an RFC 3339 instant, such as 2026-02-01T00:00:00Z"
        ) from error
    try:
        instant = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        instant = None
    if instant is None or not FIRST <= instant <= LAST:
        raise ValueError(f"{text[:40]} is not between {FIRST:%Y-%m-%d} and {LAST:%Y-%m-%d}")
    return instant
