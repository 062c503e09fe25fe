"""Records to events, in the engine: types, required fields, UTC instants, reasons of refusals."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from firstchair.events.fields import FIELDS, NAMES, WHOLE, Field, names_of
from firstchair.events.vocabulary import EventType, Reason

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# Clocks of senders run ahead; what is further ahead is no clock's fault.
CLOCK_SKEW = timedelta(hours=1)
RFC_3339 = (
    r"^\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)
LIKE_RFC_3339 = r"^\d{4}-\d\d-\d\d([Tt ][\d:.+-]*[Zz]?)?$"
# A leap second has no instant of its own in the engine: it is the last microsecond of its day.
LEAP_SECOND = r":60(\.\d+)?([Zz+-])"
SHOWN_CHARACTERS = 60

_TEXTS = "array<string>"


@ibis.udf.scalar.builtin(name="json_valid", signature=(("string",), "boolean"))
def _json_valid(raw): ...  # type: ignore[no-untyped-def]


@ibis.udf.scalar.builtin(name="json_type", signature=(("string",), "string"))
def _json_type(raw): ...  # type: ignore[no-untyped-def]


@ibis.udf.scalar.builtin(name="json_type", signature=(("string", _TEXTS), _TEXTS))
def _json_types(raw, paths): ...  # type: ignore[no-untyped-def]


@ibis.udf.scalar.builtin(name="json_extract_string", signature=(("string", _TEXTS), _TEXTS))
def _json_texts(raw, paths): ...  # type: ignore[no-untyped-def]


@ibis.udf.scalar.builtin(name="json_merge_patch", signature=(("string", "string"), "string"))
def _json_merge_patch(raw, patch): ...  # type: ignore[no-untyped-def]


def parse(
    records: ir.Table, *, now: ir.TimestampValue, not_required: Collection[str] = ()
) -> ir.Table:
    """Every record with its fields, or with the reason why it is none.

    Args:
        records: object_url, line, raw; one row per record, raw a text. A column `mapped`, where
            there is one, is the record in the contract's form (`firstchair.events.mapping`).
        now: The instant of ingestion; an event more than `CLOCK_SKEW` after it is refused.
        not_required: Fields that a record may lack nevertheless.

    Returns:
        One row per record, no order: object_url, line, raw, the contract's fields (user_id not yet
        a pseudonym), occurred_at (UTC), event_date, extra, reason and detail (both null where it is
        an event). Where several reasons hold, the first of: not_json, not_an_object, missing_field,
        bad_type, bad_timestamp, future_timestamp, out_of_range.
    """
    paths = ibis.array([f"$.{name}" for name in NAMES])
    valid = records.mutate(is_json=_json_valid(records.raw))
    # What is no JSON is parsed as an empty object, so that no function of the engine meets it.
    safe = valid.mutate(body=valid.is_json.ifelse(valid.raw, "{}"))
    safe = safe.mutate(kind=_json_type(safe.body))
    body = safe.mapped if "mapped" in safe.columns else safe.body
    safe = safe.mutate(body=(safe.kind == "OBJECT").ifelse(body, "{}"))
    drawn = safe.mutate(types=_json_types(safe.body, paths), texts=_json_texts(safe.body, paths))
    columns = {f"{name}_type": drawn.types[number] for number, name in enumerate(NAMES)}
    columns |= {f"{name}_text": drawn.texts[number] for number, name in enumerate(NAMES)}
    typed = _typed(drawn.mutate(**columns))
    reason, detail = _verdict(typed, now, not_required)
    return typed.mutate(reason=reason, detail=detail, extra=_extra(typed))


def _typed(t: ir.Table) -> ir.Table:
    text = t.occurred_at_text
    is_leap = text.re_search(LEAP_SECOND)
    read = text.re_replace(LEAP_SECOND, r":59.999999\2").upper()
    instant = text.re_search(RFC_3339).ifelse(read, ibis.null("string"))
    t = t.mutate(occurred_at=instant.try_cast("timestamp('UTC', 6)"))
    # Leap seconds are inserted at the end of a UTC month (ITU-R TF.460), and nowhere else.
    after = t.occurred_at + ibis.interval(microseconds=1)
    at_month_end = (after.day() == 1) & (after.hour() == 0) & (after.minute() == 0)
    t = t.mutate(occurred_at=(is_leap & ~at_month_end).ifelse(ibis.null(), t.occurred_at))
    kind = t.event_type_text
    return t.mutate(
        event_id=_text(t, "event_id"),
        event_type=kind,
        event_date=t.occurred_at.date(),
        user_id=t.user_id_text,
        source=_text(t, "source"),
        source_seq=t.source_seq_text.try_cast("int64"),
        simulated=(t.simulated_text == "true").fill_null(False),
        slate_id=_of(t, "slate_id", t.slate_id_text),
        position=_of(t, "position", t.position_text.try_cast("int32")),
        artist_id=_of(t, "artist_id", t.artist_id_text),
        track_id=_of(t, "track_id", t.track_id_text),
        model_version=_of(t, "model_version", t.model_version_text),
        propensity=_of(t, "propensity", t.propensity_text.try_cast("float64")),
        surface=(kind == EventType.IMPRESSION).ifelse(
            t.surface_text.fill_null("home"), ibis.null("string")
        ),
        ms_played=_of(t, "ms_played", t.ms_played_text.try_cast("int64")),
    )


def _text(t: ir.Table, name: str) -> ir.StringValue:
    """The value where it is a text: a list or an object may hold anything."""
    return (t[f"{name}_type"] == "VARCHAR").ifelse(t[f"{name}_text"], ibis.null("string"))


def _of(t: ir.Table, name: str, value: Any) -> Any:
    """The value where events of this row's type have the field, else null."""
    kinds = [kind for kind in EventType if name in names_of(kind)]
    return t.event_type_text.isin(kinds).fill_null(False).ifelse(value, ibis.null(value.type()))


def _verdict(
    t: ir.Table, now: ir.TimestampValue, not_required: Collection[str]
) -> tuple[ir.StringValue, ir.StringValue]:
    latest = now + ibis.interval(CLOCK_SKEW)
    cases: list[tuple[Any, Reason, Any]] = [
        (~t.is_json, Reason.NOT_JSON, "not JSON by RFC 8259"),
        (
            t.kind != "OBJECT",
            Reason.NOT_AN_OBJECT,
            ibis.literal("a JSON value of type ") + t.kind.lower(),
        ),
    ]
    cases += [
        (_missing(t, f), Reason.MISSING_FIELD, f"{f.name} is missing")
        for f in FIELDS
        if f.required and f.name not in not_required
    ]
    cases += [(_mistyped(t, f), Reason.BAD_TYPE, _mistyped_detail(t, f)) for f in FIELDS]
    shown = t.occurred_at_text.substr(0, SHOWN_CHARACTERS)
    # What is no instant at all may be anything: its form tells enough.
    form = shown.re_replace(r"\d", "9").re_replace(r"[^\x00-\x7F]|[A-Za-z]", "a")
    told = shown.re_search(LIKE_RFC_3339).ifelse(shown, ibis.literal("a text like ") + form)
    cases += [
        (
            t.occurred_at.isnull(),
            Reason.BAD_TIMESTAMP,
            ibis.literal("occurred_at is no RFC 3339 instant: ") + told,
        ),
        (
            t.occurred_at < EARLIEST,
            Reason.BAD_TIMESTAMP,
            ibis.literal("occurred_at is before 2000: ") + shown,
        ),
        (
            t.occurred_at > latest,
            Reason.FUTURE_TIMESTAMP,
            ibis.literal("occurred_at is after ingestion: ") + shown,
        ),
    ]
    for name in ("source_seq", "position", "ms_played", "propensity"):
        lost = t[name].isnull() & _has(t, name) & t[f"{name}_text"].notnull()
        text = t[f"{name}_text"].substr(0, SHOWN_CHARACTERS)
        cases.append((lost, Reason.OUT_OF_RANGE, ibis.literal(f"{name} does not fit: ") + text))
    reason = ibis.cases(*[(condition.fill_null(False), str(code)) for condition, code, _ in cases])
    detail = ibis.cases(*[(condition.fill_null(False), text) for condition, _, text in cases])
    return reason, detail


def _has(t: ir.Table, name: str) -> Any:
    kinds = [kind for kind in EventType if name in names_of(kind)]
    return True if len(kinds) == len(EventType) else t.event_type_text.isin(kinds)


def _applies(t: ir.Table, field: Field) -> Any:
    return (
        ibis.literal(True)
        if field.common
        else t.event_type_text.isin(list(field.of)).fill_null(False)
    )


def _missing(t: ir.Table, field: Field) -> Any:
    kind, text = t[f"{field.name}_type"], t[f"{field.name}_text"]
    absent = kind.isnull() | (kind == "NULL") | ((kind == "VARCHAR") & (text == ""))
    return _applies(t, field) & absent


def _mistyped(t: ir.Table, field: Field) -> Any:
    kind = t[f"{field.name}_type"]
    wrong = kind.notnull() & (kind != "NULL") & ~kind.isin(field.json_types)
    if field.json_types == WHOLE:
        # An integer over 64 bits is drawn as a DOUBLE: its type is sound, its size is judged later.
        wrong &= ~((kind == "DOUBLE") & t[f"{field.name}_text"].re_search(r"^-?\d+$"))
    return _applies(t, field) & wrong


def _mistyped_detail(t: ir.Table, field: Field) -> Any:
    wanted = " or ".join(
        dict.fromkeys(
            {"VARCHAR": "a string", "BOOLEAN": "a boolean"}.get(k, "a number")
            for k in field.json_types
        )
    )
    if field.json_types == WHOLE:
        wanted = "an integer"
    return ibis.literal(f"{field.name} is not {wanted} but ") + t[f"{field.name}_type"].lower()


def _extra(t: ir.Table) -> Any:
    """JSON of the fields that the contract does not name for this type; null if none."""
    patches = {kind: _patch(names_of(kind)) for kind in EventType}
    common = _patch(tuple(f.name for f in FIELDS if f.common))
    patch = ibis.cases(
        *[(t.event_type_text == kind, patch) for kind, patch in patches.items()], else_=common
    )
    left = _json_merge_patch(t.body, patch)
    return left.nullif("{}")


def _patch(names: tuple[str, ...]) -> str:
    return "{" + ",".join(f'"{name}":null' for name in names) + "}"
