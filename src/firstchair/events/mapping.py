"""A mapping in the engine: records of another form to records of the contract's."""

from firstchair.events.fields import FIELDS, NUMBER, TRUTH, WHOLE
from firstchair.events.vocabulary import EventType
from firstchair.mappings import EventMapping, FieldMapping
from firstchair.mappings.events import EVENT_FIELDS, json_path

# Fields that a mapping may leave to none: they are derived, or absent.
NOT_REQUIRED = ("source_seq",)
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
INSTANT = r"'%Y-%m-%dT%H:%M:%S.%fZ'"
# A time without an offset, as RFC 3339 has it otherwise.
NAIVE = r"'^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?$'"
WHOLE_NUMBER = r"'^-?(0|[1-9]\d*)$'"
# As JSON writes one.
ANY_NUMBER = r"'^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$'"
FIRST_INEXACT = 1 << 53  # from here on a double does not hold every whole number
LAST_MICROSECOND = 253_402_300_800 * 1_000_000 - 1  # of the year 9999
_KINDS = {field.name: field.json_types for field in FIELDS}


def mapped_sql(mapping: EventMapping, records: str = "records") -> str:
    """SQL that adds to `records` (with raw) a column `mapped`: the record in the contract's form.

    A record that has that form already, such as an impression that the API wrote, stays as it is.
    What is no JSON object gives an empty one.
    """
    drawn = _Drawn(mapping.root)
    named = [(name, _value(name, mapping.field(name), drawn)) for name in EVENT_FIELDS]
    named += [(name, _value(name, mapping.field(name), drawn)) for name in mapping.further]
    values = ", ".join(f"'{name}', {value}" for name, value in named)
    own = _own_form(_Drawn("", drawn.paths))
    paths = ", ".join(_quoted(path) for path in drawn.paths)
    return f"""
        select *, case when {own} then doc
                       else json_merge_patch('{{}}', json_object({values})::varchar)
                  end::varchar as mapped
        from (
            select *, json_extract_string(doc, [{paths}]) as texts,
                   json_type(doc, [{paths}]) as kinds
            from (
                select * replace (
                    case when json_type(doc) = 'OBJECT' then doc else '{{}}' end as doc)
                from (select *, case when json_valid(raw) then raw else '{{}}' end as doc
                      from {records})))"""


class _Drawn:
    """Paths that are drawn from each record in one pass, each once."""

    def __init__(self, root: str, paths: list[str] | None = None) -> None:
        self.root = root
        self.paths = [] if paths is None else paths

    def number(self, path: str) -> int:
        """The place of a path in the lists `texts` and `kinds`, from 1."""
        full = json_path(path, self.root)
        if full not in self.paths:
            self.paths.append(full)
        return self.paths.index(full) + 1

    def text(self, path: str) -> str:
        return f"nullif(texts[{self.number(path)}], '')"

    def kind(self, path: str) -> str:
        return f"kinds[{self.number(path)}]"


def _own_form(drawn: _Drawn) -> str:
    kinds = ", ".join(_quoted(kind) for kind in EventType)
    needed = ("event_id", "occurred_at", "user_id", "source", "source_seq")
    present = " and ".join(f"{drawn.text(name)} is not null" for name in needed)
    return f"({drawn.text('event_type')} in ({kinds}) and {present})"


def _value(name: str, field: FieldMapping, drawn: _Drawn) -> str:
    """SQL of a JSON value, null where there is none."""
    texts = [drawn.text(path) for path in field.paths]
    text = f"coalesce({', '.join([*texts, 'null'])})"
    if field.names:
        cases = " ".join(f"when {_quoted(old)} then {_quoted(new)}" for old, new in field.names)
        text = f"case {text} {cases} else {text} end"
    if name == "occurred_at":
        text = _instant(text, field)
    elif name == "ms_played" and field.unit not in {None, "ms"}:
        factor = 1_000 / PER_SECOND[field.unit or "ms"]
        number = f"try_cast({text} as double) * {factor}"
        text = f"coalesce(try_cast(round({number}) as bigint)::varchar, {text})"
    constant = None if field.value is None else _constant(field.value)
    if name == "event_id" and name in field.paths and constant is None:
        constant = "left(sha256(doc), 32)"
    if constant is not None:
        text = f"coalesce({text}, {constant})"
    return _typed(name, text, field, drawn)


def _instant(text: str, field: FieldMapping) -> str:
    """A text by RFC 3339 where the mapping says how; else, and where it cannot be, as it is."""
    if field.unit is not None:
        micros = f"round(try_cast({text} as double) * {1_000_000 // PER_SECOND[field.unit]})"
        fits = f"{micros} between 0 and {LAST_MICROSECOND}"
        read = f"strftime(make_timestamp(case when {fits} then {micros}::bigint end), {INSTANT})"
        return f"coalesce({read}, {text})"
    if field.time_zone is not None:
        naive = f"case when regexp_matches({text}, {NAIVE}) then try_cast({text} as timestamp) end"
        utc = f"timezone('UTC', timezone({_quoted(field.time_zone)}, {naive}))"
        return f"coalesce(strftime({utc}, {INSTANT}), {text})"
    return text


def _typed(name: str, text: str, field: FieldMapping, drawn: _Drawn) -> str:
    """The text as the JSON type of the field; one that cannot be it stays, and is refused later."""
    kinds = _KINDS.get(name, ())
    if kinds == TRUTH:
        return f"case when {text} in ('true', 'false') then {text}::json else to_json({text}) end"
    if set(kinds) <= set(NUMBER) and kinds:
        return _number(text, whole=kinds == WHOLE)
    if not field.paths:
        return f"to_json({text})"
    # A list or an object is no text: it stays what it is.
    structured = " ".join(
        f"when {drawn.text(path)} is not null "
        f"then case when {drawn.kind(path)} in ('OBJECT', 'ARRAY') then {drawn.text(path)}::json "
        f"else to_json({text}) end"
        for path in field.paths
    )
    return f"case {structured} else to_json({text}) end"


def _number(text: str, *, whole: bool) -> str:
    """The text as a JSON number; 210000.0 and 2.1e5 are 210000 where the field is of whole ones."""
    number = f"when regexp_matches({text}, {ANY_NUMBER}) then {text}::json"
    if whole:
        double = f"try_cast({text} as double)"
        exact = f"{double} = floor({double}) and abs({double}) < {FIRST_INEXACT}"
        number = f"""when regexp_matches({text}, {WHOLE_NUMBER}) then {text}::json
            when regexp_matches({text}, {ANY_NUMBER}) and {exact}
            then try_cast({double} as bigint)::varchar::json {number}"""
    return f"case {number} else to_json({text}) end"


def _constant(value: str | bool | int | float) -> str:
    return _quoted(str(value).lower() if isinstance(value, bool) else str(value))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
