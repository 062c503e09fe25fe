"""`firstchair check`: what would be accepted, refused and why, before anything is written."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa

from firstchair import events, privacy
from firstchair.databases import account_source
from firstchair.errors import FirstchairError
from firstchair.events import Reason
from firstchair.mappings import EventMapping
from firstchair.settings import Settings
from firstchair.sources import (
    EventStore,
    Record,
    accounts,
    missing_tables,
    spread,
    unknown_keys,
)

RECORDS, ACCOUNTS, EXAMPLES = 1_000, 1_000, 3
# Objects that the records are taken from, spread over the store.
OBJECTS = 20
SHOWN_NAMES = 8
SHOWN = (
    *("event_id", "event_type", "occurred_at", "user_id", "source", "source_seq"),
    *("artist_id", "track_id", "ms_played", "slate_id", "position", "extra"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a source, how many rows of the sample have it, and how to mend it."""

    source: str
    code: str
    rows: int
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What would become of the first records and accounts; nothing was written.

    read, accepted, refused: records of the sample; the last by reason. objects: in the event store.
    accounts_read, accounts_refused: rows of the account table, likewise.
    understood: share (0 to 1) of the accounts whose age group, gender, country, city is known.
    catalogue: where artists and tracks are from. derived: what is made up for a source without it.
    examples: what is read of the first accepted records, field by field. names_only: fields beyond
    the contract's whose values are not kept, with how many records have them, the most frequent
    first.
    """

    objects: int = 0
    read: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    accounts_read: int = 0
    accounts_refused: dict[str, int] = field(default_factory=dict)
    understood: dict[str, float] = field(default_factory=dict)
    catalogue: str = ""
    derived: tuple[str, ...] = ()
    examples: tuple[dict[str, Any], ...] = ()
    names_only: dict[str, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        """No fault was found."""
        return not self.faults


def check(settings: Settings, *, now: datetime) -> CheckReport:
    """Read `RECORDS` records and `ACCOUNTS` accounts by the code of ingestion; write nothing."""
    faults: list[Fault] = []
    mapping = settings.events.mapping
    report, fields = _events(settings, mapping, now, faults)
    try:
        url = account_source(settings)
        if url is None:
            faults.append(_NO_ACCOUNTS)
        else:
            report = _accounts(settings, url, report, fields, now, faults)
    except FirstchairError as error:
        faults.append(_of(error, "accounts"))
    return replace(report, faults=tuple(faults))


_NO_ACCOUNTS = Fault(
    "accounts",
    "no_accounts",
    0,
    "No account database is set, and the home has none.",
    'Set source_database_url = "postgresql://user@host/database" in firstchair.toml.',
)


def _of(error: FirstchairError, source: str) -> Fault:
    return Fault(source, error.code, 0, error.what, error.remedy)


def _events(
    settings: Settings, mapping: EventMapping | None, now: datetime, faults: list[Fault]
) -> tuple[CheckReport, list[dict[str, Any]]]:
    """The records, and the fields of those that would be accepted."""
    try:
        store = EventStore(settings.events_url, {})
        listing = store.listing()
        names = list(listing.states)
        found = list(_sample(store, names))
    except FirstchairError as error:
        faults.append(_of(error, "events"))
        return CheckReport(), []
    if (skipped := events.skipped_of(listing.skipped)) is not None:
        mend = "Deliver them as .json, .jsonl or .ndjson, with .gz or .zst where they are packed."
        faults.append(Fault("events", "skipped", skipped.objects, skipped.sentence(), mend))
    if not names:
        what = f"No event object is under {settings.events_url}."
        faults.append(
            Fault("events", "no_objects", 0, what, "Set events_url to where event objects are.")
        )
    records = [record for _, record in found]
    refusals = events.refusals(records, now=now, mapping=mapping)
    refused = {refusal.index for refusal in refusals}
    faults += _refused(found, refusals)
    fields = events.parsed_fields(records, now=now, mapping=mapping)
    allowed = events.allowed_names(settings.kept_extra_fields, mapping)
    fields = [
        one | {"extra": _extra(one, allowed)} for one in fields if one["index"] not in refused
    ]
    faults += _repeated(fields)
    report = CheckReport(
        objects=len(names),
        read=len(records),
        accepted=len(fields),
        refused=dict(Counter(refusal.reason for refusal in refusals).most_common()),
        derived=() if mapping is None else mapping.derived(),
        examples=tuple(map(_example, fields[:EXAMPLES])),
        names_only=_names_only(fields),
    )
    return report, fields


def _sample(store: EventStore, names: list[str]) -> Iterable[tuple[str, Record]]:
    """Up to `RECORDS` records of objects spread over all of them."""
    chosen = spread(names, OBJECTS)
    each = -(-RECORDS // max(1, len(chosen)))
    for name in chosen:
        for record in islice(store.records(name), each):
            yield name, record


def _example(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that are there, without addresses and the like."""
    shown = {name: fields[name] for name in SHOWN if fields[name] is not None}
    return {
        name: events.without_shapes(value) if isinstance(value, str) else value
        for name, value in shown.items()
    }


def _extra(one: dict[str, Any], allowed: frozenset[str]) -> str | None:
    """The fields beyond the contract's of an event, as ingestion would keep them."""
    if one["extra"] is None:
        return None
    return events.kept_extra(one["extra"], one["user_id"], events.MASK, allowed)


def _names_only(fields: list[dict[str, Any]]) -> dict[str, int]:
    counts = Counter(
        name
        for one in fields
        for name, value in orjson.loads(one["extra"] or "{}").items()
        if value == events.MASK
    )
    return dict(counts.most_common(SHOWN_NAMES))


def _refused(
    found: list[tuple[str, Record]],
    refusals: list[events.Refusal],
) -> list[Fault]:
    """One fault for each reason and field, the most frequent first."""
    groups: dict[tuple[str, str], list[events.Refusal]] = {}
    for refusal in refusals:
        groups.setdefault((refusal.reason, refusal.detail.split(" ")[0].rstrip(":")), []).append(
            refusal
        )
    faults = []
    for (reason, name), group in sorted(groups.items(), key=lambda item: -len(item[1])):
        place, record = found[group[0].index]
        detail = events.without_shapes(group[0].detail)
        what = f"{reason}: {detail} (first: {place} line {record.line})."
        mend = _mend(reason, name, detail, record)
        faults.append(Fault("events", reason, len(group), what, mend))
    return faults


# What to do by reason, for a field `{name}`; `{there}`: names that the first such record has.
TABLE = "[events.mapping]"
MENDS = {
    Reason.NOT_JSON: "Deliver whole JSON objects in UTF-8, one after another or in an array.",
    Reason.NOT_AN_OBJECT: "Deliver one JSON object an event, with its fields by name.",
    Reason.MISSING_FIELD: f'Name in {TABLE} where it is: {{name}} = "..."; a record has {{there}}.',
    Reason.BAD_TYPE: f"Name it in {TABLE}: what is named is converted where nothing is lost.",
    Reason.BAD_TIMESTAMP: "An instant needs its offset; for local times add "
    f'time_zone = "Europe/Berlin" to occurred_at in {TABLE}.',
    Reason.FUTURE_TIMESTAMP: "Look at the unit and the time zone of occurred_at, and at the clock "
    "of the sender.",
    Reason.UNKNOWN_EVENT_TYPE: f"Name it in {TABLE}: "
    'event_type.names = {{ "theirs" = "play" }}; '
    f"ours are {', '.join(events.EventType)}.",
}
A_TABLE = "This looks like a table (CSV): deliver JSON objects, one a line."
A_NUMBER = f'Say what the number counts: occurred_at = {{ path = "...", unit = "ms" }} in {TABLE}.'
TOO_EARLY = "Look at the unit of occurred_at (s, ms or us), and at the clock of the sender."
ANOTHER = "Correct {name} where it is written; its range is in the contract."


def _mend(reason: str, name: str, detail: str, record: Record) -> str:
    text = MENDS.get(Reason(reason), ANOTHER)
    if reason == Reason.NOT_JSON and "," in record.text and record.text.lstrip()[0] not in "{[":
        text = A_TABLE
    elif (reason, name) == (Reason.BAD_TYPE, "occurred_at"):
        return A_NUMBER
    elif reason == Reason.BAD_TIMESTAMP and "before 2000" in detail:
        text = TOO_EARLY
    there = ", ".join(_names(record)[:SHOWN_NAMES]) or "nothing"
    return text.format(name=name, there=there)


def _names(record: Record) -> list[str]:
    """Names at the top of a record."""
    try:
        value = orjson.loads(record.text)
    except orjson.JSONDecodeError:
        return []
    return list(value) if isinstance(value, dict) else []


def _repeated(fields: list[dict[str, Any]]) -> list[Fault]:
    """Ids and sequence numbers that stand for several events."""
    bodies: dict[str, set[str]] = {}
    numbers: dict[tuple[str, int], set[str]] = {}
    for one in fields:
        body = {key: value for key, value in one.items() if key != "index"}
        bodies.setdefault(one["event_id"], set()).add(str(sorted(body.items(), key=str)))
        if one["source_seq"] is not None:
            numbers.setdefault((one["source"], one["source_seq"]), set()).add(one["event_id"])
    faults = []
    same = [event_id for event_id, found in bodies.items() if len(found) > 1]
    if same:
        what = f"{len(same):,} values of event_id stand for different events, the first {same[0]}."
        mend = "Name a field in [events.mapping] that no two events share, or leave event_id out."
        faults.append(Fault("events", "event_id_repeats", len(same), what, mend))
    taken = [place for place, found in numbers.items() if len(found) > 1]
    if taken:
        source, number = taken[0]
        what = (
            f"{len(taken):,} numbers stand for several events of a source, the first {number} of "
            f"{source}."
        )
        mend = (
            "Count source_seq within each source; where there is no such number, map it to a "
            "field that is not there."
        )
        faults.append(Fault("events", Reason.SEQUENCE_CONFLICT, len(taken), what, mend))
    return faults


def _accounts(
    settings: Settings,
    url: sa.URL,
    report: CheckReport,
    fields: list[dict[str, Any]],
    now: datetime,
    faults: list[Fault],
) -> CheckReport:
    mapping = settings.accounts.mapping
    sample = privacy.sample_users(url, now=now, at_most=ACCOUNTS, mapping=mapping.users)
    report = replace(
        report,
        accounts_read=sample.read,
        accounts_refused=sample.refused,
        understood=sample.understood,
    )
    if not sample.read:
        what = "The account table is empty, so every event would be of an unknown user."
        faults.append(Fault("accounts", "no_accounts", 0, what, _MAPPED_USERS))
    for reason, count in sample.refused.items():
        what = f"{reason}: {count:,} of {sample.read:,} accounts would be refused."
        mend = (
            "Every account needs user_id and created_at, not after now: name their columns in "
            "[accounts.mapping.users]."
        )
        faults.append(Fault("accounts", reason, count, what, mend))
    kept = [one for one in fields if one["user_id"]]
    faults += _unknown(url, accounts.USERS, "user_id", kept, mapping.users)
    return _catalogue(settings, url, report, fields, faults)


_MAPPED_USERS = "Name the table in [accounts.mapping.users], or fill it."


def _catalogue(
    settings: Settings,
    url: sa.URL,
    report: CheckReport,
    fields: list[dict[str, Any]],
    faults: list[Fault],
) -> CheckReport:
    mapping = settings.accounts.mapping
    named = mapping.artists is not None or mapping.tracks is not None
    if not named and len(missing_tables(url, accounts.ARTISTS, accounts.TRACKS)) == 2:
        return replace(report, catalogue="derived from the events: the database has none")
    for table, key in ((accounts.ARTISTS, "artist_id"), (accounts.TRACKS, "track_id")):
        try:
            faults += _unknown(url, table, key, fields, mapping.of(table.name))
        except FirstchairError as error:
            faults.append(_of(error, "catalogue"))
    return replace(report, catalogue="the account database")


def _unknown(
    url: sa.URL, table: sa.Table, key: str, fields: list[dict[str, Any]], mapping: Any
) -> list[Fault]:
    keys = sorted({one[key] for one in fields if one[key] is not None})
    missing = unknown_keys(url, table, keys, mapping=mapping) if keys else set()
    if not missing:
        return []
    rows = sum(one[key] in missing for one in fields)
    code = f"unknown_{key.removesuffix('_id')}"
    what = (
        f"{code}: {len(missing):,} of {len(keys):,} values of {key} are in no row of {table.name}; "
        f"{rows:,} of the records refer to them."
    )
    mend = f"Map {key} of the events and of {table.name} to the same key."
    return [Fault("events", code, rows, what, mend)]
