"""Lines that are plain events: told by a pattern, and read in one pass of the engine.

Most records are flat objects of the contract's fields in their usual forms. For those the long way
(`firstchair.events.parsing`) has one outcome, which is found here for a fraction of the work. Where
a line may be anything else, it goes the long way.
"""

from datetime import datetime
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from firstchair.events.fields import FIELDS, NAMES, NUMBER, TEXT, TRUTH, Field
from firstchair.events.parsing import CLOCK_SKEW, EARLIEST
from firstchair.events.vocabulary import EventType
from firstchair.sources.lines import Flags

# Values that need no second look: texts without escapes, whole numbers far from any limit.
_TEXT = r'"[^"\\\x00-\x1f]+"'
_NUMBER = r"[0-9](?:\.[0-9]{1,17})?(?:e-[0-9]{1,2})?"
_WHOLE = {"source_seq": r"(?:0|[1-9][0-9]{0,17})", "": r"(?:0|[1-9][0-9]{0,8})"}
_INSTANT = (
    r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?'
    r'(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"'
)
_TYPES = {"source_seq": "BIGINT", "position": "INTEGER", "ms_played": "BIGINT"}


def is_plain(lines: pa.LargeBinaryArray) -> Flags:
    """Which lines are certainly one plain JSON object with fields of the contract alone."""
    return np.asarray(pc.match_substring_regex(lines, _pattern()))


def never_plain(lines: pa.LargeBinaryArray) -> Flags:
    """No line is: records of another form are to be mapped."""
    return np.zeros(len(lines), bool)


@cache
def _pattern() -> str:
    pair = "|".join(f'"{name}": ?(?:{_value(name)})' for name in NAMES)
    return rf"^\{{(?:{pair})(?:, ?(?:{pair}))*\}}\r?\n$"


def _value(name: str) -> str:
    kinds = _kinds(name)
    if name == "occurred_at":
        return _INSTANT
    if kinds == TEXT:
        return f"null|{_TEXT}" if _may_be_null(name) else _TEXT
    if kinds == TRUTH:
        return "true|false"
    return _NUMBER if kinds == NUMBER else _WHOLE.get(name, _WHOLE[""])


def _kinds(name: str) -> tuple[str, ...]:
    return next(field.json_types for field in FIELDS if field.name == name)


def _may_be_null(name: str) -> bool:
    """Whether some events have the field and others of its kind usually hold null."""
    return len({f.required for f in FIELDS if f.name == name}) == 2


def quotes_of(raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """How many quotes each line has."""
    counts = []
    for chunk in raw.chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        places = np.flatnonzero(np.frombuffer(data, np.uint8) == ord('"'))
        counts.append(pa.array(np.diff(np.searchsorted(places, ends))))
    return pa.chunked_array(counts, pa.int64())


def drawn_sql(now: datetime) -> str:
    """SQL over `lines` (n, object_url, line, raw, quotes): each line that is plain as an event.

    The columns are n, the place, the contract's fields as `firstchair.events.parsing.parse` finds
    them, and `certain`: whether it would find this event and no reason to refuse it.

    A plain line has no quotes but those of its names and texts. So their number tells whether it
    has any field twice, or one that events of its type do not have.
    """
    types = ", ".join(f'"{name}": "{_type(name)}"' for name in NAMES)
    instant = "try_cast(f.occurred_at as timestamptz)"
    values = {name: f"f.{name}" for name in NAMES}
    values["occurred_at"] = "occurred_at"
    values["simulated"] = "coalesce(f.simulated, false)"
    shown = f"f.event_type = '{EventType.IMPRESSION}'"
    values["surface"] = f"case when {shown} then coalesce(f.surface, 'home') end"
    fields = ", ".join(f"{value} as {name}" for name, value in values.items())
    common = " and ".join(f"f.{f.name} is not null" for f in FIELDS if f.common and f.required)
    by_type = " ".join(
        f"when '{kind}' then {_needed(kind)} and quotes = {_quotes(kind)}" for kind in EventType
    )
    latest = (now + CLOCK_SKEW).isoformat()
    return f"""
        select n, object_url::varchar as object_url, line, {fields},
               occurred_at::date as event_date, null::varchar as extra,
               coalesce(occurred_at between '{EARLIEST.isoformat()}' and '{latest}'
                   and {common} and case f.event_type {by_type} else false end, false) as certain
        from (select *, {instant} as occurred_at
              from (select n, object_url, line, raw, quotes,
                           json_transform(raw, '{{{types}}}') as f from lines))"""


def _type(name: str) -> str:
    kinds = _kinds(name)
    if kinds in (TEXT, TRUTH):
        return kinds[0]
    return "DOUBLE" if kinds == NUMBER else _TYPES[name]


def _of(kind: EventType) -> list[Field]:
    return [field for field in FIELDS if kind in field.of]


def _needed(kind: EventType) -> str:
    needed = [f.name for f in _of(kind) if f.required and not f.common]
    return " and ".join([f"f.{name} is not null" for name in needed] or ["true"])


def _quotes(kind: EventType) -> str:
    """SQL of the quotes of an event of this type that has each of its fields at most once."""
    terms = []
    for field in _of(kind):
        quotes = 4 if field.json_types == TEXT else 2
        if field.required:
            terms.append(str(quotes))
            continue
        absent = "0"
        if _may_be_null(field.name):
            nulls = [f"contains(raw, '\"{field.name}\":{blank}null')" for blank in ("", " ")]
            absent = f"case when {' or '.join(nulls)} then 2 else 0 end"
        terms.append(f"case when f.{field.name} is null then {absent} else {quotes} end")
    return " + ".join(terms)
