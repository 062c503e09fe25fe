"""A user's rows out of the lake, with the files and the log entries that held them."""

from datetime import datetime

from firstchair.erasure.identity import Identity
from firstchair.events.vocabulary import ERASED, IS_ERASED, Reason
from firstchair.lake import Lake, connect, drop_earlier_versions, vacuum
from firstchair.lake import tables as t
from firstchair.privacy.places import COLUMN, TablePlace, table_places

STUB = {
    "reason": f"'{Reason.UNKNOWN_USER}'",
    "detail": f"'{ERASED}'",
    "raw": "null",
    "event_id": "null",
}


def erase_rows(lake: Lake, identity: Identity, *, now: datetime) -> dict[str, int]:
    """Take a user's rows out of every table; the rows that went, by table.

    Each record that was accepted becomes one that was refused: `unknown_user`, "erased", with its
    place and its sequence number and nothing of its content. So every record that was read keeps
    one fate, and no source gets a gap. Texts of other records that name the user are emptied.
    Data files and log entries of earlier versions are removed, so decisions that rest on them
    cannot be replayed. It is idempotent, and completes what a killed call began.
    """
    _keep_fates(lake, identity, now)
    erased = {}
    for place in table_places():
        erased[place.table.name] = _of_table(lake, place, identity)
        vacuum(lake, place.table)
        drop_earlier_versions(lake, place.table)
    return {name: rows for name, rows in erased.items() if rows}


def _keep_fates(lake: Lake, identity: Identity, now: datetime) -> None:
    """Refuse the user's events in bronze/events, before these are deleted.

    Refusals by the validation of a day are of events in bronze/events too, and go first.
    """
    own = f"{COLUMN} = '{identity.user_key}'"
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


def _of_table(lake: Lake, place: TablePlace, identity: Identity) -> int:
    table, rows = place.table, 0
    if place.keyed:
        own = f"{COLUMN} = '{identity.user_key}'"
        if rows := lake.count(table, own):
            lake.delete(table, own)
    for column in place.texts:
        if named := lake.count(table, identity.sql(column, regexp="regexp_matches")):
            emptied = STUB if table is t.QUARANTINE_EVENTS else {column: "null"}
            lake.update(table, emptied, identity.sql(column, regexp="regexp_like"))
            rows += named
    return rows
