"""`[events.mapping]`: event fields by paths into a record, constants and small conversions."""

import re
import tomllib
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Unit = Literal["s", "ms", "us"]
PRESETS = ("rudderstack", "segment", "snowplow")
# Of the contract (section 1.1).
EVENT_FIELDS = (
    *("event_id", "event_type", "occurred_at", "user_id", "source", "source_seq", "simulated"),
    *("slate_id", "position", "artist_id", "track_id", "ms_played"),
    *("model_version", "propensity", "surface"),
)
_STEP = re.compile(r'(?:"([^"]+)"|([^."\[\]]+))((?:\[\d+\])*)(?:\.|$)')
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class FieldMapping(BaseModel):
    """Where one field comes from: the first path that leads to something, else the constant.

    paths: `properties.artist.id`, `items[0].id`, `"a.name".with_dots`.
    value: a constant, where no path leads to anything or none is given.
    unit: of a number of seconds, milli- or microseconds; since 1970 where the field is an instant.
    time_zone: of instants without an offset.
    names: other texts for those of the source, such as event types; a text that is not here stays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    paths: tuple[str, ...] = Field((), alias="path")
    value: str | bool | int | float | None = None
    unit: Unit | None = None
    time_zone: str | None = None
    names: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        """A text is a path, and a list of texts are paths."""
        return {"path": given} if isinstance(given, str | list | tuple) else given

    @field_validator("paths", mode="before")
    @classmethod
    def _one_or_more(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @field_validator("paths")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            json_path(path)
        return paths

    @field_validator("names", mode="before")
    @classmethod
    def _pairs(cls, given: Any) -> Any:
        return tuple(given.items()) if isinstance(given, dict) else given

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(
                    f"there is no time zone {zone!r}, such as Europe/Berlin"
                ) from error
        return zone

    @model_validator(mode="after")
    def _has_an_origin(self) -> Self:
        if not self.paths and self.value is None:
            raise ValueError("name a path or a value")
        return self


class EventMapping(BaseModel):
    """The fields of an event, each from where the records of a source have it.

    A field that is not named is read under its own name. Beyond the contract's fields others may be
    named, and are kept as further fields of the event; what is named nowhere is dropped. Where the
    source has no `event_id`, it is derived from the record's text; `source_seq` may be absent.

    preset: a ready mapping that the others are put over. root: a path before all others, such as
    `payload`.
    """

    model_config = ConfigDict(frozen=True)

    preset: str | None = None
    root: str = ""
    fields: tuple[tuple[str, FieldMapping], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        """In TOML the fields stand beside `preset` and `root`."""
        if not isinstance(given, dict) or "fields" in given:
            return given
        own = {name: value for name, value in given.items() if name not in {"preset", "root"}}
        ready = _preset(given.get("preset"))
        for name in own:
            _require_field(name)
        fields = ready | own
        kept = {name: given[name] for name in ("preset", "root") if name in given}
        return kept | {"fields": tuple(fields.items())}

    @field_validator("root")
    @classmethod
    def _is_a_path(cls, root: str) -> str:
        if root:
            json_path(root)
        return root

    @model_validator(mode="after")
    def _conversions_fit(self) -> Self:
        for name, field in self.fields:
            if field.unit is not None and name not in {"occurred_at", "ms_played"}:
                raise ValueError(f"{name} has no unit; only occurred_at and ms_played do")
            if field.time_zone is not None and name != "occurred_at":
                raise ValueError(f"{name} has no time zone; only occurred_at does")
        return self

    def field(self, name: str) -> FieldMapping:
        """Where a field of the contract comes from."""
        return dict(self.fields).get(name) or FieldMapping(paths=(name,))

    @property
    def further(self) -> tuple[str, ...]:
        """Fields beyond the contract's."""
        return tuple(name for name, _ in self.fields if name not in EVENT_FIELDS)

    def derived(self) -> tuple[str, ...]:
        """What is made up for the source because the mapping does not say where it has it."""
        named = dict(self.fields)
        return (
            *(
                ()
                if "event_id" in named
                else ("event_id: of the record's text, where it has none",)
            ),
            *(() if "source_seq" in named else ("source_seq: none, where a record has none",)),
        )


def json_path(path: str, root: str = "") -> str:
    """A path as JSON path of the engine: every name quoted.

    Raises:
        ValueError: It is no path.

    >>> json_path('properties."a.b".ids[0]')
    '$."properties"."a.b"."ids"[0]'
    """
    steps = []
    for part in filter(None, (root, path)):
        place = 0
        while place < len(part):
            step = _STEP.match(part, place)
            if step is None:
                raise ValueError(
                    f"{path!r} is no path, such as properties.artist_id or items[0].id"
                )
            steps.append(f'."{step[1] or step[2]}"{step[3]}')
            place = step.end()
    return f"${''.join(steps)}"


def _require_field(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a field: use small letters, digits and _")
    near = get_close_matches(name, EVENT_FIELDS, n=1, cutoff=0.85)
    if name not in EVENT_FIELDS and near:
        raise ValueError(f"there is no field {name}; {near[0]} is meant, or choose another name")


@cache
def _preset(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name}; choose one of {', '.join(PRESETS)}")
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text())
