"""The words of the event contract: event types and the stable reasons of a refusal."""

from enum import StrEnum


class EventType(StrEnum):
    """What a user did, or was shown."""

    LOGIN = "login"
    IMPRESSION = "impression"
    CLICK = "click"
    PLAY = "play"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"


class Reason(StrEnum):
    """Why a record stands in quarantine; codes are stable, others build on them."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    BAD_TYPE = "bad_type"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_USER = "unknown_user"
    UNKNOWN_ARTIST = "unknown_artist"
    UNKNOWN_TRACK = "unknown_track"
    SEQUENCE_CONFLICT = "sequence_conflict"


# Detail of a record of a forgotten user, and its row in quarantine/events as SQL. Nothing of the
# record is kept but its place and its sequence number, so that every record keeps one fate and no
# source gets a gap.
ERASED = "erased"
IS_ERASED = f"(reason = '{Reason.UNKNOWN_USER}' and detail = '{ERASED}')"
