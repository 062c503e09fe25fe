"""The fields of an event: which JSON types each may have, and which event types require it."""

from dataclasses import dataclass

from firstchair.events.vocabulary import EventType

TEXT = ("VARCHAR",)
WHOLE = ("UBIGINT", "BIGINT")
NUMBER = ("UBIGINT", "BIGINT", "DOUBLE")
TRUTH = ("BOOLEAN",)

ALL = tuple(EventType)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: JSON types as DuckDB names them, event types that have it, whether required."""

    name: str
    json_types: tuple[str, ...]
    of: tuple[EventType, ...] = ALL
    required: bool = True

    @property
    def common(self) -> bool:
        """Every event has it, whatever its type."""
        return self.of == ALL


SHOWN = (EventType.IMPRESSION, EventType.CLICK)
FIELDS = (
    Field("event_id", TEXT),
    Field("event_type", TEXT),
    Field("occurred_at", TEXT),
    Field("user_id", TEXT),
    Field("source", TEXT),
    Field("source_seq", WHOLE),
    Field("simulated", TRUTH, required=False),
    Field("slate_id", TEXT, SHOWN),
    Field("slate_id", TEXT, (EventType.PLAY,), required=False),
    Field("position", WHOLE, SHOWN),
    Field("artist_id", TEXT, tuple(kind for kind in EventType if kind != EventType.LOGIN)),
    Field("track_id", TEXT, (EventType.PLAY,)),
    Field("ms_played", WHOLE, (EventType.PLAY,)),
    Field("model_version", TEXT, (EventType.IMPRESSION,)),
    Field("propensity", NUMBER, (EventType.IMPRESSION,)),
    Field("surface", TEXT, (EventType.IMPRESSION,), required=False),
)
NAMES = tuple(dict.fromkeys(field.name for field in FIELDS))


def names_of(kind: EventType) -> tuple[str, ...]:
    """Fields that an event of this type has; the rest of what it carries is `extra`."""
    return tuple(name for name in NAMES if any(f.name == name and kind in f.of for f in FIELDS))
