"""Users' rows out of the lake, with the files and the log entries that held them."""

from collections import Counter, defaultdict
from datetime import datetime

from firstchair.erasure.identity import Identities, Identity
from firstchair.erasure.reading import Search, matches_in
from firstchair.events.vocabulary import ERASED, IS_ERASED, Reason
from firstchair.lake import Lake, LakeFiles, Table, connect, drop_earlier_versions, vacuum
from firstchair.lake import tables as t
from firstchair.privacy.places import COLUMN, TablePlace, table_places

# Functions by which the engine reads, and delta-rs changes, rows with a pattern.
READS, WRITES = "regexp_matches", "regexp_like"
STUB = {
    "reason": f"'{Reason.UNKNOWN_USER}'",
    "detail": f"'{ERASED}'",
    "raw": "null",
    "event_id": "null",
}


def erase_rows(
    lake: Lake, identities: Identities, *, now: datetime
) -> dict[Identity, dict[str, int]]:
    """Take users' rows out of every table; the rows that went, by user and table.

    Each record that was accepted becomes one that was refused: `unknown_user`, "erased", with its
    place and its sequence number and nothing of its content. So every record that was read keeps
    one fate, and no source gets a gap. Texts of other records that name a user are emptied.
    Data files and log entries of earlier versions are removed, so decisions that rest on them
    cannot be replayed; where no file of the lake names any of the users, as after a mistyped key,
    they stay. It is idempotent, and completes what a killed call began.
    """
    _keep_fates(lake, identities, now)
    erased: dict[Identity, dict[str, int]] = defaultdict(dict)
    for place in table_places():
        for identity, rows in _out_of(lake, place, identities).items():
            erased[identity][place.table.name] = rows
    if erased or _named_in_files(lake, identities):
        for place in table_places():
            vacuum(lake, place.table)
            drop_earlier_versions(lake, place.table)
    return erased


def _named_in_files(lake: Lake, identities: Identities) -> bool:
    """Whether a file of the lake, of any version or of a log, names a user or cannot be read."""
    files, search = LakeFiles(lake.url), Search(identities)
    for file in files.listed():
        try:
            with files.open(file.name) as stream:
                if matches_in(stream, search):
                    return True
        except (OSError, EOFError, ValueError):
            return True
    return False


def _keep_fates(lake: Lake, identities: Identities, now: datetime) -> None:
    """Refuse the users' events in bronze/events, before these are deleted.

    Refusals by the validation of a day are of events in bronze/events too, and go first.
    """
    own = _own(identities)
    with connect() as connection:
        connection.execute(f"""
            create temp table own as
            select event_id, object_url, line, source, source_seq, batch_id
            from {lake.scan(t.BRONZE_EVENTS)} where {own}
        """)
        validated = connection.execute(f"""
            select event_id from {lake.scan(t.QUARANTINE_EVENTS)} semi join own using (event_id)
            where batch_id is null
        """).fetchall()
        stubs = connection.sql(f"""
            select object_url, line, '{Reason.UNKNOWN_USER}' as reason, '{ERASED}' as detail,
                   null as raw, '{now.isoformat()}'::timestamptz as quarantined_at,
                   null as event_id, source, source_seq, null as event_date, batch_id
            from own anti join (
                select object_url, line from {lake.scan(t.QUARANTINE_EVENTS)} where {IS_ERASED}
            ) using (object_url, line)
            order by object_url, line
        """).to_arrow_table()
    if validated:
        ids = ", ".join("'" + event_id.replace("'", "''") + "'" for (event_id,) in validated)
        lake.delete(t.QUARANTINE_EVENTS, f"batch_id is null and event_id in ({ids})")
    if stubs.num_rows:
        lake.append(t.QUARANTINE_EVENTS, stubs)


def _out_of(lake: Lake, place: TablePlace, identities: Identities) -> Counter[Identity]:
    """Take users out of a table; how many rows of each went or were emptied."""
    table, gone = place.table, Counter[Identity]()
    if place.keyed:
        gone += _deleted(lake, table, identities)
    for column in place.texts:
        named = _counted(lake, table, {one: one.sql(column, regexp=READS) for one in identities})
        if named:
            emptied = STUB if table is t.QUARANTINE_EVENTS else {column: "null"}
            rows = " or ".join(one.sql(column, regexp=WRITES) for one in named)
            lake.update(table, emptied, rows)
        gone += named
    return gone


def _deleted(lake: Lake, table: Table, identities: Identities) -> Counter[Identity]:
    """Delete the rows of the users by their pseudonyms; how many of each there were."""
    by_key = {one.user_key: one for one in identities}
    with connect() as connection:
        found = connection.execute(
            f"select {COLUMN}, count(*) from {lake.scan(table)} where {_own(identities)} group by 1"
        ).fetchall()
    if found:
        lake.delete(table, _own(identities))
    return Counter({by_key[key]: rows for key, rows in found})


def _counted(lake: Lake, table: Table, conditions: dict[Identity, str]) -> Counter[Identity]:
    """How many rows of a table each condition names, in one reading."""
    asked = ", ".join(f"count(*) filter ({one})" for one in conditions.values())
    with connect() as connection:
        counts = connection.execute(f"select {asked} from {lake.scan(table)}").fetchone() or ()
    return +Counter(dict(zip(conditions, counts, strict=True)))


def _own(identities: Identities) -> str:
    """Condition that a row is of one of the users, in the SQL of either dialect."""
    keys = ", ".join(f"'{one.user_key}'" for one in identities)
    return f"{COLUMN} in ({keys})"
