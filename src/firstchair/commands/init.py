"""`firstchair init`: a commented `firstchair.toml` with a mapping proposed from samples."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from firstchair import events
from firstchair.databases import to_driver
from firstchair.errors import SettingsError
from firstchair.mappings import EventMapping
from firstchair.sources import EventStore, Record, spread, table_columns

CONFIG = "firstchair.toml"
RECORDS, OBJECTS, DEPTH = 200, 10, 4
# Names that fields go by, in small letters and digits alone; the first of these that is there
# counts.
FIELD_NAMES = {
    "event_id": "eventid messageid uuid id",
    "event_type": "eventtype eventname event action type what",
    "occurred_at": "occurredat eventtime timestamp ts time playedat listenedat createdat datetime "
    "at",
    "user_id": "userid uid listenerid memberid accountid customerid subscriberid userkey user",
    "source": "source app platform client",
    "source_seq": "sourceseq sequence seq",
    "slate_id": "slateid listid recommendationid impressionid",
    "position": "position rank slot",
    "artist_id": "artistid artistkey bandid",
    "track_id": "trackid songid recordingid trackkey",
    "ms_played": "msplayed playedms durationplayed listenedms secondsplayed listenedseconds "
    "playedseconds listenseconds",
    "artist_name": "artistname artist",
    "track_title": "tracktitle trackname songname title",
}
COLUMN_NAMES = {
    "user_id": "userid memberid accountid customerid listenerid subscriberid id",
    "created_at": "createdat joinedat registeredat signupat created joined registered signupdate",
    "birth_date": "birthdate dateofbirth dob birthday",
    "age": "age",
    "gender": "gender sex",
    "country": "countrycode country",
    "latitude": "latitude lat",
    "longitude": "longitude lng lon",
}
# Parts of what sources call an event, in the order in which they are looked for.
TYPE_PARTS = (
    ("unfollow", "unfollow unlike"),
    ("follow", "follow like"),
    ("impression", "impression shown display view"),
    ("click", "click tap select"),
    ("play", "play listen stream scrobble"),
    ("login", "login signin signedin sessionstart loggedin"),
)
# Words that hold such a part and mean something else.
OTHER_WORDS = re.compile("playlist|dislike|preview|review|overview|listener|deselect")
SECONDS = re.compile(r"sec")


@dataclass(frozen=True, slots=True)
class InitReport:
    """The text written. accepted, accepted_before: of the samples, with the mapping and without."""

    path: str
    sampled: int
    accepted_before: int
    accepted: int
    mapping: tuple[str, ...]
    accounts: tuple[str, ...]


def init(
    folder: Path,
    *,
    events_url: str,
    accounts_url: str,
    preset: str | None,
    force: bool,
    now: datetime,
) -> InitReport:
    """Write `firstchair.toml` into a folder.

    Raises:
        SettingsError: The file is there already and `force` is false, or there is no such preset.
        SourceError: A source cannot be read; nothing was written.
    """
    path = folder / CONFIG
    if path.exists() and not force:
        raise SettingsError(
            f"{CONFIG} is there already.",
            where=str(path.absolute()),
            data="It was left as it is.",
            remedy="Move it away, or add --force to write it anew.",
        )
    records = list(_sample(events_url))
    before = _accepted(records, None, now)
    lines: tuple[str, ...] = ()
    if preset is not None:
        lines = (f"preset = {_quoted(preset)}",)
    elif records and before < len(records):
        lines = tuple(_proposed(records))
    mapping = _parsed(lines)
    table = tuple(_proposed_accounts(accounts_url)) if accounts_url else ()
    text = _text(events_url, accounts_url, lines, table, mapping)
    path.touch(mode=0o600)  # an address of a database may hold a password
    path.write_text(text, encoding="utf-8")
    return InitReport(
        path=str(path.absolute()),
        sampled=len(records),
        accepted_before=before,
        accepted=_accepted(records, mapping, now),
        mapping=lines,
        accounts=table,
    )


def _sample(events_url: str) -> Iterator[Record]:
    store = EventStore(events_url, {})
    names = list(store.states())
    for name in spread(names, OBJECTS):
        yield from islice(store.records(name), RECORDS // OBJECTS)


def _accepted(records: list[Record], mapping: EventMapping | None, now: datetime) -> int:
    return len(records) - len(events.refusals(records, now=now, mapping=mapping))


def _parsed(lines: tuple[str, ...]) -> EventMapping | None:
    """The mapping that these lines of TOML are.

    Raises:
        SettingsError: They are none.
    """
    import tomllib

    if not lines:
        return None
    try:
        return EventMapping.model_validate(tomllib.loads("\n".join(lines)))
    except ValueError as error:
        raise SettingsError(
            f"The mapping cannot be used: {str(error).splitlines()[-2:][0].strip()}.",
            where="[events.mapping]",
            data="Nothing was written.",
            remedy="Choose a preset that there is: segment, rudderstack or snowplow.",
        ) from error


def _proposed(records: list[Record]) -> Iterator[str]:
    """Lines of TOML: the fields by the names that they have in the records."""
    values = _values(records)
    if (preset := _preset(values)) is not None:
        yield f"preset = {_quoted(preset)}"
        if (names := _type_names(values.get("event", []))) and preset != "snowplow":
            yield f'event_type = {{ path = "event", names = {_inline(names)} }}'
        return
    for name, known in FIELD_NAMES.items():
        path = _path(values, known.split())
        if path is None:
            if name == "source":
                yield 'source = { value = "events" }'
        elif name == "event_type":
            names = _type_names(values[path])
            kept = f", names = {_inline(names)}" if names else ""
            yield f"event_type = {{ path = {_quoted(path)}{kept} }}"
        elif name == "occurred_at":
            yield f"occurred_at = {{ path = {_quoted(path)}{_instant(values[path])} }}"
        elif name == "ms_played" and SECONDS.search(path.lower()):
            yield f'ms_played = {{ path = {_quoted(path)}, unit = "s" }}'
        elif path != name:
            yield f"{name} = {_quoted(path)}"


def _preset(values: dict[str, list[Any]]) -> str | None:
    if "collector_tstamp" in values:
        return "snowplow"
    if "messageId" in values and "event" in values:
        is_rudder = "rudderId" in values or (
            "context.library.name" in values
            and any("rudder" in str(value).lower() for value in values["context.library.name"])
        )
        return "rudderstack" if is_rudder else "segment"
    return None


def _values(records: list[Record]) -> dict[str, list[Any]]:
    """Values that are no objects or lists by their path, over all records."""
    found: dict[str, list[Any]] = {}
    for record in records:
        try:
            value = orjson.loads(record.text)
        except orjson.JSONDecodeError:
            continue
        for path, leaf in _leaves(value, (), DEPTH):
            found.setdefault(path, []).append(leaf)
    return found


def _leaves(value: Any, names: tuple[str, ...], depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            if '"' not in name and name:
                yield from _leaves(inner, (*names, name), depth - 1)
    elif names and not isinstance(value, dict | list) and value is not None:
        yield ".".join(n if re.fullmatch(r"[\w-]+", n) else f'"{n}"' for n in names), value


def _path(values: dict[str, list[Any]], known: list[str]) -> str | None:
    """The path of a field: by all its names together, else by the last; shallow ones first."""
    paths = sorted(values, key=lambda path: (path.count("."), path))
    for wanted in known:
        for path in paths:
            whole = re.sub(r"[^a-z0-9]", "", path.lower())
            last = re.sub(r"[^a-z0-9]", "", path.rsplit(".", 1)[-1].lower())
            if wanted in {whole, last} and (wanted != "id" or "." not in path):
                return path
    for wanted in known:  # properties.artist.id is an artistid
        for path in paths:
            whole = re.sub(r"[^a-z0-9]", "", path.lower())
            if len(wanted) > len("user") and whole.endswith(wanted):
                return path
    return None


def _type_names(values: list[Any]) -> dict[str, str]:
    """What a source calls our event types, the most frequent first."""
    names: dict[str, str] = {}
    for value, _ in Counter(str(value) for value in values).most_common(50):
        plain = OTHER_WORDS.sub("", re.sub(r"[^a-z]", "", value.lower()))
        for kind, parts in TYPE_PARTS:
            if any(part in plain for part in parts.split()):
                if value != kind:
                    names[value] = kind
                break
    return names


def _quoted(text: str) -> str:
    """A string of TOML, which takes no pair of surrogates and no DEL as they are in JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _instant(values: list[Any]) -> str:
    """Unit of a number of seconds or less, or a time zone where texts have no offset."""
    first = str(values[0])
    if re.fullmatch(r"\d+(\.\d+)?", first):
        number = float(first)
        unit = "us" if number > 1e14 else "ms" if number > 1e11 else "s"
        return f', unit = "{unit}"'
    has_offset = re.search(r"([Zz]|[+-]\d\d:?\d\d)$", first)
    return "" if has_offset else ', time_zone = "UTC"'


def _inline(names: dict[str, str]) -> str:
    pairs = ", ".join(f"{_quoted(old)} = {_quoted(new)}" for old, new in names.items())
    return f"{{ {pairs} }}"


def _proposed_accounts(url: str) -> Iterator[str]:
    """Lines of TOML of the table that is most like accounts; none where it is the contract's."""
    import sqlalchemy as sa

    tables = table_columns(to_driver(sa.make_url(url), "psycopg"))
    if {"user_id", "created_at"} <= set(tables.get("users", ())):
        return
    found = {name: _columns(columns) for name, columns in tables.items()}
    best = max(found, key=lambda name: (len(found[name]), name), default=None)
    # A key alone is that of any table.
    if best is None or "user_id" not in found[best] or len(found[best]) == 1:
        return
    yield f"table = {_quoted(best)}"
    yield f"columns = {_inline(found[best])}"


def _columns(columns: Iterable[str]) -> dict[str, str]:
    plain = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in columns}
    found = {}
    for name, known in COLUMN_NAMES.items():
        column = next((plain[one] for one in known.split() if one in plain), None)
        if column is not None:
            found[name] = column
    return found


def _text(
    events_url: str,
    accounts_url: str,
    lines: tuple[str, ...],
    table: tuple[str, ...],
    mapping: EventMapping | None,
) -> str:
    parts = [
        "# Written by `firstchair init` from samples; read it, then run `firstchair check`.",
        "# Every key: docs/operating.md. The environment (FIRSTCHAIR_ and the key) wins over it.",
        "",
        "# Event objects: any fsspec URL or a plain path.",
        f"events_url = {_quoted(events_url)}",
        "",
        "# Accounts and catalogue (Postgres); without it an embedded one is used.",
        f"source_database_url = {_quoted(accounts_url)}"
        if accounts_url
        else '# source_database_url = "postgresql://user@host/database"',
        "",
    ]
    if lines:
        parts += [
            "# Where the fields of an event are in the records (docs/bring-your-own-data.md).",
            *(f"# Derived: {line}." for line in (() if mapping is None else mapping.derived())),
            "[events.mapping]",
            *lines,
            "",
        ]
    if table:
        parts += [
            "# The table of accounts, with the source's column of each of ours.",
            "[accounts.mapping.users]",
            *table,
            "",
        ]
    return "\n".join(parts)
